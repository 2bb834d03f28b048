// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "base/text.hpp"
#include "kernel/file.hpp"
#include "kernel/host_view.hpp"
#include "kernel/probe.hpp"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

namespace bpfwarden::kernel {

// An fd, or why not: `absent_errno` is what a kernel answers that does not know the call or flag.
static Finding finding_of_fd(std::string how, long fd, int absent_errno) {
    if (fd >= 0) {
        ::close(static_cast<int>(fd));
        return is_present(std::move(how), "it gave an fd");
    }
    const int err = errno;
    if (err == absent_errno || err == ENOSYS) return is_absent(std::move(how), errno_name(err) + ": not known here");
    return is_unknown(std::move(how), errno_name(err));
}

Finding probe_openat2() {
    open_how how{};
    how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    return finding_of_fd("tried: openat2(\"/\", RESOLVE_IN_ROOT)",
                         ::syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how), ENOSYS);
}

Finding probe_peer_pidfd() {
    std::string how = "tried: getsockopt(SO_PEERPIDFD) on a socket pair";
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return is_unknown(how, errno_name(errno));
    const UniqueFd one(fds[0]), other(fds[1]);
    int fd = -1;
    socklen_t size = sizeof fd;
    const int got = ::getsockopt(one.get(), SOL_SOCKET, SO_PEERPIDFD, &fd, &size);
    return finding_of_fd(std::move(how), got == 0 ? fd : -1, ENOPROTOOPT);
}

Finding probe_pidfd_thread() {
    return finding_of_fd("tried: pidfd_open(own thread, PIDFD_THREAD)",
                         ::syscall(SYS_pidfd_open, ::gettid(), PIDFD_THREAD), EINVAL);
}

Finding probe_pidfd_getfd() {
    const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
    const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    return finding_of_fd("tried: pidfd_getfd() on this process", ::syscall(SYS_pidfd_getfd, self.get(), null.get(), 0),
                         ENOSYS);
}

// clone3() into `cgroup`: the child's pid (it exits at once), or -errno.
static long clone_into(std::uint64_t cgroup) {
    clone_args args{};
    args.flags = CLONE_INTO_CGROUP;
    args.exit_signal = SIGCHLD;
    args.cgroup = cgroup;
    const long pid = ::syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) ::_exit(0);
    return pid < 0 ? -errno : pid;
}

// The cgroup v2 directory of this process, as far as a mount of cgroup2 shows it.
static std::string own_cgroup(HostView& host) {
    const auto text = read_file("/proc/self/cgroup");
    if (!text || !host.mounts()) return {};
    for (const auto line : split(*text, '\n'))
        for (const auto& mount : *host.mounts())
            if (line.starts_with("0::/") && mount.file_system == "cgroup2" && mount.root == "/")
                return mount.path + std::string(line.substr(3));
    return {};
}

Finding probe_clone_into_cgroup(HostView& host) {
    std::string how = "tried: clone3(CLONE_INTO_CGROUP) with a bad fd";
    const long err = -clone_into(INT32_MAX);
    if (err == EINVAL || err == ENOSYS)
        return is_absent(std::move(how), errno_name(static_cast<int>(err)) + ": not known here");
    // Container runtimes answer ENOSYS or EPERM for clone3 by seccomp, which looks the same from here.
    if (err != EBADF) return is_unknown(std::move(how), errno_name(static_cast<int>(err)));
    const std::string path = own_cgroup(host);
    const UniqueFd cgroup(path.empty() ? -1 : ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!cgroup)
        return is_present(std::move(how), "EBADF: the flag is known; no cgroup v2 directory of ours to try it");
    how = "tried: clone3(CLONE_INTO_CGROUP) into our own cgroup";
    const long pid = clone_into(static_cast<std::uint64_t>(cgroup.get()));
    if (pid > 0) {
        while (::waitpid(static_cast<pid_t>(pid), nullptr, 0) < 0 && errno == EINTR) {
        }
        return is_present(std::move(how), "a child started in " + quoted(path));
    }
    return is_present(std::move(how), fmt::format("the flag is known, and {} was the answer for {}",
                                                  errno_name(static_cast<int>(-pid)), quoted(path)));
}

}  // namespace bpfwarden::kernel
