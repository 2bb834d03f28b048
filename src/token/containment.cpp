// SPDX-License-Identifier: Apache-2.0
#include "token/containment.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <cstring>

#include "base/text.hpp"
#include "kernel/file.hpp"
#include "kernel/mount.hpp"

namespace bpfwarden::token {

using kernel::Channel;
using kernel::Child;

namespace {

constexpr std::string_view cgroup_prefix = "bpfwarden-run-";

// The directory of the caller's cgroup in the v2 hierarchy, as mounted somewhere in its mount namespace.
Result<std::string> own_cgroup_directory() {
    std::string in_hierarchy;
    const std::string text = BW_TRY(kernel::read_file("/proc/self/cgroup"));
    for (const auto line : split(text, '\n'))
        if (line.starts_with("0::")) in_hierarchy = line.substr(3);
    for (const auto& mount : BW_TRY(kernel::mount_table())) {
        if (mount.file_system != "cgroup2") continue;
        const std::string root = mount.root == "/" ? "" : mount.root;
        if (!in_hierarchy.starts_with(root + "/")) continue;
        const std::string directory = mount.path + in_hierarchy.substr(root.size());
        struct statfs info{};
        if (::statfs(directory.c_str(), &info) == 0 && static_cast<std::uint32_t>(info.f_type) == kernel::cgroup2_magic)
            return directory;
    }
    return fail(
        Error(Code::unsupported, "the cgroup of this process was not found")
            .because(
                "cgroup programs are held to a cgroup of the command's own, and no cgroup2 mount shows the present one")
            .advise("mount cgroup2, for example at /sys/fs/cgroup"));
}

void remove_left_behind(FdRef parent) {
    const int copy = ::openat(parent.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* list = copy < 0 ? nullptr : ::fdopendir(copy);
    if (list == nullptr) return;
    while (const dirent* entry = ::readdir(list))
        // Refused with EBUSY while anything is in it, so only what has no user goes.
        if (std::string_view(entry->d_name).starts_with(cgroup_prefix))
            ::unlinkat(parent.get(), entry->d_name, AT_REMOVEDIR);
    ::closedir(list);
}

bool is_populated(FdRef events) {
    char text[256] = {};
    const ssize_t n = ::pread(events.get(), text, sizeof text - 1, 0);
    if (n < 0) return errno != ENODEV;  // somebody else removed it
    return std::string_view(text, static_cast<std::size_t>(n)).contains("populated 1");
}

// One that nobody had before: what an earlier command with the same pid left running may still be in another.
Result<std::string> make_cgroup(FdRef parent, const std::string& parent_directory, pid_t command) {
    std::string name = fmt::format("{}{}", cgroup_prefix, command);
    for (int number = 2; ::mkdirat(parent.get(), name.c_str(), 0755) != 0; ++number) {
        if (errno != EEXIST || number > 1000) return fail_errno("making the cgroup " + parent_directory + "/" + name);
        name = fmt::format("{}{}-{}", cgroup_prefix, command, number);
    }
    return name;
}

// The watcher: makes the cgroup, moves `command` into it, says so, and stays until the cgroup is empty.
Result<> watch_cgroup(const std::string& parent_directory, pid_t command, Channel& channel) {
    const UniqueFd parent(::open(parent_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent) return fail_errno("opening " + parent_directory);
    remove_left_behind(parent);
    std::string name;
    UniqueFd events;
    // Another run's clean-up can take the new directory before the command is in it: then make another.
    for (int attempt = 1;; ++attempt) {
        name = BW_TRY(make_cgroup(parent, parent_directory, command));
        events = UniqueFd(::openat(parent.get(), (name + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
        Result<> moved;
        if (!events)
            moved = fail_errno("opening cgroup.events");
        else
            moved = kernel::write_file_at(parent, (name + "/cgroup.procs").c_str(), std::to_string(command));
        if (moved) break;
        ::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR);
        if (moved.error().number() != ENOENT || attempt == 5) return moved;
    }
    (void)channel.send("moved");  // if the command died meanwhile its cgroup is empty, and removed below
    channel.close();
    // The kernel reports a second change within 10 ms by a timer, which goes unheard if another run's clean-up removes
    // the cgroup first: so look without being told too, often at the beginning.
    for (int patience = 10; is_populated(events); patience = std::min(2 * patience, 60'000)) {
        pollfd change{events.get(), POLLPRI, 0};
        ::poll(&change, 1, patience);
    }
    // The kernel may report the cgroup empty a moment before it lets it go.
    for (int i = 0; i < 100 && ::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT; ++i)
        ::usleep(1000);
    return {};
}

// Off the terminal, out of the caller's pipes: a watcher must not keep `bpfwarden run … | reader` from ending.
void detach_watcher(int keep) {
    ::setsid();
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
    if (keep > 3) ::close_range(3, static_cast<unsigned>(keep) - 1, 0);
    ::close_range(static_cast<unsigned>(keep) + 1, ~0U, 0);
    if (::chdir("/") != 0) {
        // Then a mount stays busy while the command runs; nothing else depends on it.
    }
}

// For a watcher that ended before it could clean up: this process still has the power to.
void leave_own_cgroup(const std::string& parent_directory) {
    const UniqueFd parent(::open(parent_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent) return;
    if (!kernel::write_file_at(parent, "cgroup.procs", std::to_string(::getpid()))) return;
    remove_left_behind(parent);
}

}  // namespace

Result<> enter_own_cgroup() {
    const std::string parent = BW_TRY(own_cgroup_directory());
    const pid_t command = ::getpid();
    auto [here, there] = BW_TRY(Channel::pair());
    // Forked twice, so that the watcher is nobody's child when the command runs.
    auto middle = BW_TRY(Child::fork([&]() -> int {
        here.close();
        const pid_t watcher = ::fork();
        if (watcher < 0) {
            (void)there.send_error(Error::from_errno(errno, "fork"));
            return 1;
        }
        if (watcher > 0) return 0;
        detach_watcher(there.fd().get());
        if (const auto done = watch_cgroup(parent, command, there); !done) (void)there.send_error(done.error());
        return 0;
    }));
    there.close();
    BW_TRY(middle.wait());
    auto moved = here.receive();
    if (moved) return {};
    leave_own_cgroup(parent);
    return fail(std::move(moved).error().within("a cgroup for the command"));
}

namespace {

Result<> cover_directory(const std::string& path) {
    // Nobody may look into it; its capability to hold a mount on top is all it is for.
    if (::mount("bpfwarden-cover", path.c_str(), "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                "size=0,mode=0") != 0)
        return fail_errno("covering " + path);
    return {};
}

Result<> cover_file(const std::string& path) {
    if (::mount("/dev/null", path.c_str(), nullptr, MS_BIND, nullptr) != 0) return fail_errno("covering " + path);
    return {};
}

// Whether `path` still leads to the file system `magic`: a mount listed in the table can itself be covered already.
bool leads_to(const std::string& path, std::uint32_t magic) {
    struct statfs info{};
    return ::statfs(path.c_str(), &info) == 0 && static_cast<std::uint32_t>(info.f_type) == magic;
}

struct Reachable {
    std::vector<std::string> cgroup_mounts;
    std::vector<std::string> network_namespaces;
};

Result<Reachable> reachable_targets(const Containment& containment) {
    Reachable found;
    for (const auto& mount : BW_TRY(kernel::mount_table())) {
        if (containment.cgroups && mount.file_system == "cgroup2" && leads_to(mount.path, kernel::cgroup2_magic))
            found.cgroup_mounts.push_back(mount.path);
        if (containment.network_namespaces && mount.file_system == "nsfs" && mount.root.starts_with("net:") &&
            leads_to(mount.path, kernel::nsfs_magic))
            found.network_namespaces.push_back(mount.path);
    }
    return found;
}

}  // namespace

Result<std::string> cover_targets(const Containment& containment) {
    const auto found = BW_TRY(reachable_targets(containment));
    for (const auto& path : found.cgroup_mounts)
        if (leads_to(path, kernel::cgroup2_magic)) BW_TRY(cover_directory(path));
    for (const auto& path : found.network_namespaces)
        if (leads_to(path, kernel::nsfs_magic)) BW_TRY(cover_file(path));
    const auto left = BW_TRY(reachable_targets(containment));
    if (!left.cgroup_mounts.empty() || !left.network_namespaces.empty())
        return fail(Error(Code::failed, "a target outside the grant stays within reach of the command")
                        .because((left.cgroup_mounts.empty() ? left.network_namespaces : left.cgroup_mounts).front() +
                                 " could not be covered"));
    return found.cgroup_mounts.empty() ? std::string() : found.cgroup_mounts.front();
}

Result<> mount_own_cgroup(const std::string& path) {
    const auto context = BW_TRY(kernel::fs_open("cgroup2"));
    BW_TRY(kernel::fs_create(context));
    const auto mount = BW_TRY(kernel::fs_mount(context, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    const UniqueFd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) return fail_errno("opening /");
    return kernel::attach_mount(mount, BW_TRY(kernel::open_mount_target(root, path)));
}

Result<> check_inherited_fds(std::span<const int> fds, const Containment& containment) {
    if (!containment) return {};
    for (const int fd : fds) {
        struct stat info{};
        struct statfs fs{};
        if (::fstat(fd, &info) != 0 || ::fstatfs(fd, &fs) != 0) continue;  // closed: nothing is inherited
        const auto magic = static_cast<std::uint32_t>(fs.f_type);
        const char* what = S_ISDIR(info.st_mode)            ? "a directory"
                           : magic == kernel::nsfs_magic    ? "a namespace"
                           : magic == kernel::cgroup2_magic ? "a file of cgroupfs"
                                                            : nullptr;
        if (what == nullptr) continue;
        return fail(
            Error(Code::denied, fmt::format("file descriptor {} is {}", fd, what))
                .because("the grant has programs that attach by descriptor, and from this one the command could reach "
                         "targets outside its own namespaces")
                .advise(fd < 3 ? "redirect it, for example from or to /dev/null" : "do not pass it with --keep-fd"));
    }
    return {};
}

}  // namespace bpfwarden::token
