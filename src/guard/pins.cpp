// SPDX-License-Identifier: Apache-2.0
#include "guard/pins.hpp"

#include <bpf/bpf.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>

#include <fmt/format.h>

namespace bpfwarden::guard {

namespace fs = std::filesystem;

Result<> pin(FdRef fd, const std::string& path) {
    if (::bpf_obj_pin(fd.get(), path.c_str()) && errno != EEXIST) return fail_errno(fmt::format("cannot pin {}", path));
    return {};
}

Result<std::vector<std::string>> pins_on(const std::string& mount) {
    std::vector<std::string> found;
    std::error_code problem;
    for (const auto& entry : fs::recursive_directory_iterator(mount, problem))
        if (entry.is_regular_file(problem)) found.push_back(entry.path());
    if (problem) return fail(Error::from_errno(problem.value(), fmt::format("cannot read {}", mount)));
    return found;
}

Result<> copy_pins(const std::string& from, const std::string& to) {
    for (const auto& path : BW_TRY(pins_on(from)))
        BW_TRY(pin(BW_TRY(enforce::open_pin(path)), fmt::format("{}/{}", to, fs::path(path).filename().string())));
    return {};
}

Result<std::set<enforce::BpfThing>> things_in(const std::string& directory) {
    std::set<enforce::BpfThing> things;
    for (const auto& path : BW_TRY(pins_on(directory)))
        for (const auto& thing : BW_TRY(enforce::with_what_it_needs(BW_TRY(enforce::open_pin(path)))))
            things.insert(thing);
    return things;
}

void remove_pins(const std::string& directory) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(directory, ignored)) ::unlink(entry.path().c_str());
    ::rmdir(directory.c_str());
}

Result<bw_place> place_of(const std::string& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found)) return fail_errno(fmt::format("cannot find {}", path));
    // dev_t as the kernel has it in a superblock.
    return bw_place{.device = major(found.st_dev) << 20 | minor(found.st_dev), .reserved = 0, .inode = found.st_ino};
}

Result<> change_name(const enforce::SealedChange& change, bw_change_what what, const std::string& path) {
    const auto place = BW_TRY(place_of(path));
    return change.make({.what = what, .kind = 0, .id = 0, .device = place.device, .value = place.inode});
}

}  // namespace bpfwarden::guard
