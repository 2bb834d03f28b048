// SPDX-License-Identifier: Apache-2.0
#include "guard/place.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "enforce/places.hpp"
#include "kernel/mount.hpp"

namespace bpfwarden::guard {

static Result<> mount(const char* type, const std::vector<std::pair<const char*, std::string>>& options,
                      const char* path) {
    const auto context = BW_TRY(kernel::fs_open(type));
    for (const auto& [key, value] : options) BW_TRY(kernel::fs_set(context, key, value));
    BW_TRY(kernel::fs_create(context));
    const auto made = BW_TRY(kernel::fs_mount(context, 0));
    const UniqueFd target(::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!target) return fail_errno(fmt::format("cannot open {}", path));
    return kernel::attach_mount(made, target);
}

Result<Place> Place::make() {
    std::error_code problem;
    std::filesystem::create_directories(enforce::sealed_tmpfs, problem);
    if (problem) return fail(Error::from_errno(problem.value(), fmt::format("cannot make {}", enforce::sealed_tmpfs)));
    Place place;
    BW_TRY(mount("tmpfs", {{"mode", "0700"}, {"size", "64k"}}, enforce::sealed_tmpfs));
    place.mounted_ = 1;
    // Before anything is mounted on it: what is mounted on a shared mount is shared.
    if (::mount(nullptr, enforce::sealed_tmpfs, nullptr, MS_PRIVATE, nullptr))
        return fail_errno(fmt::format("cannot make the mount of {} private", enforce::sealed_tmpfs));
    if (::mkdir(enforce::sealed_bpffs, 0700)) return fail_errno(fmt::format("cannot make {}", enforce::sealed_bpffs));
    BW_TRY(mount("bpf", {{"mode", "0700"}}, enforce::sealed_bpffs));
    place.mounted_ = 2;
    for (const char* directory : {enforce::sealed_guard, enforce::sealed_policy, enforce::sealed_others})
        if (::mkdir(directory, 0700)) return fail_errno(fmt::format("cannot make {}", directory));
    return place;
}

void Place::remove() {
    ::umount2(enforce::sealed_bpffs, MNT_DETACH);
    ::umount2(enforce::sealed_tmpfs, MNT_DETACH);
    ::rmdir(enforce::sealed_tmpfs);
}

Place::Place(Place&& other) noexcept : mounted_(std::exchange(other.mounted_, 0)) {}

Place::~Place() {
    if (mounted_ == 2) ::umount2(enforce::sealed_bpffs, MNT_DETACH);
    if (mounted_ >= 1) ::umount2(enforce::sealed_tmpfs, MNT_DETACH);
}

}  // namespace bpfwarden::guard
