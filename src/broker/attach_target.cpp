// SPDX-License-Identifier: Apache-2.0
#include "broker/attach_target.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "kernel/file.hpp"
#include "kernel/mount.hpp"

namespace bpfwarden::broker {

Result<CgroupRoot> CgroupRoot::find() {
    for (const auto& mount : BW_TRY(kernel::mount_table()))
        if (mount.file_system == "cgroup2" && mount.root == "/") {
            struct stat info{};
            if (::stat(mount.path.c_str(), &info) == 0) return CgroupRoot{mount.path, info.st_dev};
        }
    return fail(Error(Code::unsupported, "the cgroup2 hierarchy is not mounted"));
}

static Failure not_it(const char* what) { return fail(Error::from_errno(EBADF, what)); }

// A fd of a mount that is not this process's: its path counts from that mount's root, and only the inode tells.
static Result<std::string> search(const CgroupRoot& root, ino_t inode) {
    std::error_code problem;
    using Walk = std::filesystem::recursive_directory_iterator;
    for (Walk at(root.mount, std::filesystem::directory_options::skip_permission_denied, problem), end; at != end;
         at.increment(problem)) {
        if (problem || !at->is_directory(problem)) continue;
        struct stat info{};
        if (::stat(at->path().c_str(), &info) == 0 && info.st_ino == inode && info.st_dev == root.device)
            return at->path().string().substr(root.mount.size());
    }
    return fail(Error::from_errno(ENOENT, "the path of a control group cannot be told"));
}

static Result<std::string> path_of(FdRef fd, const struct stat& info, const CgroupRoot& root) {
    struct stat again{};
    char path[4096];
    const auto n = ::readlink(fmt::format("/proc/self/fd/{}", fd.get()).c_str(), path, sizeof path);
    if (n < 0) return fail_errno("readlink of a control group");
    std::string_view name(path, static_cast<std::size_t>(n));
    if (name.starts_with(root.mount) && ::stat(std::string(name).c_str(), &again) == 0 && again.st_ino == info.st_ino &&
        again.st_dev == info.st_dev) {
        name.remove_prefix(root.mount.size());
        return name.empty() ? "/" : std::string(name);
    }
    struct stat top{};
    if (::stat(root.mount.c_str(), &top) == 0 && top.st_ino == info.st_ino && top.st_dev == info.st_dev)
        return std::string("/");
    return search(root, info.st_ino);
}

Result<Cgroup> Cgroups::of(FdRef fd, const CgroupRoot& root) {
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0) return fail_errno("fstat");
    // There is one cgroup2 hierarchy in a machine, and so one device.
    if (info.st_dev != root.device || !S_ISDIR(info.st_mode)) return not_it("the fd is no control group");
    auto known = known_.find(info.st_ino);
    if (known == known_.end()) {
        auto path = BW_TRY(path_of(fd, info, root));
        constexpr std::size_t most_known = 1024;
        if (known_.size() >= most_known) known_.clear();
        known = known_.emplace(info.st_ino, std::move(path)).first;
    }
    return Cgroup{known->second, info.st_ino};
}

Result<std::string> interface_name(std::uint32_t index) {
    ifreq request{};
    request.ifr_ifindex = static_cast<int>(index);
    // Its own socket each time: this is the network namespace that counts, and nothing is kept open in it.
    const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno("socket");
    if (::ioctl(socket.get(), SIOCGIFNAME, &request) != 0) return fail_errno(fmt::format("interface number {}", index));
    return std::string(request.ifr_name);
}

Result<std::uint64_t> perf_event_id(FdRef fd) {
    std::uint64_t id = 0;
    // Other drivers' fds could know the number of this ioctl.
    if (!kernel::kernel_calls_it(fd, "anon_inode:[perf_event]")) return not_it("the fd is no perf event");
    if (::ioctl(fd.get(), PERF_EVENT_IOC_ID, &id) != 0) return fail_errno("ioctl(PERF_EVENT_IOC_ID)");
    return id;
}

}  // namespace bpfwarden::broker
