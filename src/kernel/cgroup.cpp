// SPDX-License-Identifier: Apache-2.0
#include "kernel/cgroup.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <cstring>
#include <filesystem>

#include "base/text.hpp"
#include "kernel/mount.hpp"

namespace bpfwarden::kernel {

std::string cgroup_in(std::string_view text) {
    for (const auto line : split(text, '\n'))
        if (line.starts_with("0::")) return std::string(line.substr(3));
    return {};
}

std::string container_in(std::string_view cgroup) {
    constexpr std::size_t length = 64;
    std::size_t run = 0;
    for (std::size_t i = 0; i <= cgroup.size(); ++i) {
        const char c = i < cgroup.size() ? cgroup[i] : '/';
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')) {
            ++run;
            continue;
        }
        if (run == length) return std::string(cgroup.substr(i - length, length));
        run = 0;
    }
    return {};
}

bool CgroupPaths::find_mount() {
    if (mount_) return true;
    const auto mounts = mount_table();
    if (!mounts) return false;
    for (const auto& mount : *mounts) {
        if (mount.file_system != "cgroup2") continue;
        UniqueFd fd(::open(mount.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!fd) continue;
        mount_ = std::move(fd);
        mounted_on_ = mount.path;
        return true;
    }
    return false;
}

// The number is the file handle: FILEID_KERNFS, 64 bits.
std::string CgroupPaths::of(std::uint64_t id) {
    if (const auto at = known_.find(id); at != known_.end()) return at->second;
    if (!find_mount()) return {};
    alignas(file_handle) char bytes[sizeof(file_handle) + sizeof id]{};
    auto* handle = reinterpret_cast<file_handle*>(bytes);
    handle->handle_bytes = sizeof id;
    handle->handle_type = 0xfe;
    std::memcpy(bytes + offsetof(file_handle, f_handle), &id, sizeof id);
    const UniqueFd group(::open_by_handle_at(mount_.get(), handle, O_PATH | O_CLOEXEC));
    if (!group) return {};
    std::error_code error;
    auto path = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", group.get()), error).string();
    if (error || !path.starts_with(mounted_on_)) return {};
    if (mounted_on_ != "/") path.erase(0, mounted_on_.size());
    if (path.empty()) path = "/";
    constexpr std::size_t most_known = 4096;
    if (known_.size() >= most_known) known_.clear();
    known_.emplace(id, path);
    return path;
}

}  // namespace bpfwarden::kernel
