// SPDX-License-Identifier: Apache-2.0
#include "guard/holders.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include <fmt/format.h>

#include "base/text.hpp"
#include "enforce/bpf_thing.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::guard {

namespace fs = std::filesystem;

std::map<std::uint32_t, std::uint32_t> map_fds_of(pid_t pid) {
    std::map<std::uint32_t, std::uint32_t> found;
    std::error_code ended;
    for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fdinfo", pid), ended)) {
        const auto text = kernel::read_file(entry.path());
        if (!text) continue;
        for (const auto line : split(*text, '\n')) {
            if (!line.starts_with("map_id:")) continue;
            const auto number = line.substr(line.find_first_of("0123456789"));
            std::uint32_t id = 0;
            std::from_chars(number.data(), number.data() + number.size(), id);
            ++found[id];
        }
    }
    return found;
}

Result<std::map<std::uint32_t, std::uint32_t>> map_pins_in(const std::string& directory) {
    std::map<std::uint32_t, std::uint32_t> found;
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(directory, missing)) {
        const auto fd = BW_TRY(enforce::open_pin(entry.path()));
        const auto thing = BW_TRY(enforce::what_is(fd));
        if (thing.kind == BW_SEALED_MAP) ++found[thing.id];
    }
    return found;
}

std::map<std::uint32_t, std::vector<pid_t>> map_holders_but(const std::vector<pid_t>& known) {
    std::map<std::uint32_t, std::vector<pid_t>> found;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
        const auto name = entry.path().filename().string();
        pid_t pid = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (error != std::errc() || end != name.data() + name.size() || std::ranges::find(known, pid) != known.end())
            continue;
        for (const auto& [id, count] : map_fds_of(pid)) found[id].push_back(pid);
    }
    return found;
}

}  // namespace bpfwarden::guard
