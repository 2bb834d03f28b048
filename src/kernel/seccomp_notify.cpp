// SPDX-License-Identifier: Apache-2.0
#include "kernel/seccomp_notify.hpp"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/file.hpp"

namespace bpfwarden::kernel {

namespace {

// The kernel copies its own idea of these structures, which grows, and wants the rest of a notification to be zero.
template <class T>
union WithRoom {
    T known;
    std::array<std::byte, 512> room{};
};

Result<> call(FdRef listener, unsigned long request, void* argument, const char* what) {
    int done = -1;
    do done = ::ioctl(listener.get(), request, argument);
    while (done < 0 && errno == EINTR);
    if (done < 0) return fail_errno(what);
    return {};
}

Result<> send(FdRef listener, std::uint64_t id, std::int64_t value, std::uint32_t flags) {
    WithRoom<seccomp_notif_resp> response;
    response.known.id = id;
    response.known.val = value < 0 ? 0 : value;
    response.known.error = value < 0 ? static_cast<std::int32_t>(value) : 0;
    response.known.flags = flags;
    return call(listener, SECCOMP_IOCTL_NOTIF_SEND, &response, "answering a system call");
}

Result<> add(FdRef listener, seccomp_notif_addfd added) {
    return call(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &added, "giving a file descriptor");
}

}  // namespace

bool is_listener(FdRef fd) { return kernel_calls_it(fd, "anon_inode:seccomp notify"); }

Result<std::optional<WaitingCall>> receive_call(FdRef listener) {
    WithRoom<seccomp_notif> notification;
    if (auto got = call(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification, "receiving a system call"); !got) {
        if (got.error().number() == ENOENT) return std::nullopt;
        return fail(std::move(got).error());
    }
    const auto& from = notification.known;
    WaitingCall waiting{
        .id = from.id, .thread = static_cast<pid_t>(from.pid), .number = from.data.nr, .architecture = from.data.arch};
    std::ranges::copy(from.data.args, waiting.arguments.begin());
    return waiting;
}

bool still_waits(FdRef listener, std::uint64_t id) {
    return ::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

Result<> answer(FdRef listener, std::uint64_t id, std::int64_t value) { return send(listener, id, value, 0); }

Result<> go_on(FdRef listener, std::uint64_t id) { return send(listener, id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE); }

Result<> answer_with(FdRef listener, std::uint64_t id, FdRef fd, bool close_on_exec) {
    return add(listener, {.id = id,
                          .flags = SECCOMP_ADDFD_FLAG_SEND,
                          .srcfd = static_cast<__u32>(fd.get()),
                          .newfd = 0,
                          .newfd_flags = close_on_exec ? static_cast<__u32>(O_CLOEXEC) : 0});
}

Result<> replace_fd(FdRef listener, std::uint64_t id, FdRef fd, int number, bool close_on_exec) {
    return add(listener, {.id = id,
                          .flags = SECCOMP_ADDFD_FLAG_SETFD,
                          .srcfd = static_cast<__u32>(fd.get()),
                          .newfd = static_cast<__u32>(number),
                          .newfd_flags = close_on_exec ? static_cast<__u32>(O_CLOEXEC) : 0});
}

}  // namespace bpfwarden::kernel
