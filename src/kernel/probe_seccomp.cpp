// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <optional>

#include "kernel/host_view.hpp"
#include "kernel/probe.hpp"
#include "kernel/process.hpp"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace bpfwarden::kernel {

// The call that the child makes and the parent answers. With real arguments it fails: the first is no fd.
static constexpr unsigned noticed_call = SYS_fchdir;

static int install_filter(unsigned flags) {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, noticed_call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{sizeof code / sizeof code[0], code};
    return static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

// In the child: first a filter that anybody may install, then one with a listener; then two calls, of which it says
// what they returned. Sends "filter-errno listener-errno killable", with the listener.
static void be_supervised(const Channel& parent) {
    sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{1, allow};
    int filter_error = 0;
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        filter_error = errno;
    bool killable = true;
    int listener = install_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    if (listener < 0 && errno == EINVAL) {
        killable = false;
        listener = install_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER);
    }
    const int listener_error = listener < 0 ? errno : 0;
    const UniqueFd fd(listener);
    std::optional<FdRef> attached;
    if (fd) attached.emplace(fd);
    if (!parent.send(fmt::format("{} {} {}", filter_error, listener_error, killable ? 1 : 0), attached) || !fd) return;
    for (int turn = 0; turn < 2; ++turn) {
        const long got = ::syscall(noticed_call, -1);
        // What came back is an fd of ours only if it is open; the listener and the channel are other numbers.
        const bool open =
            got > 2 && got != fd.get() && got != parent.fd().get() && ::fcntl(static_cast<int>(got), F_GETFD) >= 0;
        if (!parent.send(open ? "1" : "0")) return;
    }
}

enum class Answer { addfd_then_response, addfd_with_send };

// Takes one notification and answers it; the errno of the ADDFD.
static Result<int> answer(FdRef listener, Answer with, FdRef source) {
    pollfd ready{listener.get(), POLLIN, 0};
    if (::poll(&ready, 1, 1000) != 1) return fail(Code::failed, "no notification came within 1 s");
    seccomp_notif request{};
    if (::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &request) != 0) return fail_errno("SECCOMP_IOCTL_NOTIF_RECV");
    seccomp_notif_addfd add{};
    add.id = request.id;
    add.srcfd = static_cast<__u32>(source.get());
    add.newfd_flags = O_CLOEXEC;
    if (with == Answer::addfd_with_send) add.flags = SECCOMP_ADDFD_FLAG_SEND;
    const int fd = ::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    const int err = fd < 0 ? errno : 0;
    if (err != 0 || with == Answer::addfd_then_response) {
        seccomp_notif_resp response{};
        response.id = request.id;
        response.val = fd < 0 ? 0 : fd;
        if (::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_SEND, &response) != 0)
            return fail_errno("SECCOMP_IOCTL_NOTIF_SEND");
    }
    return err;
}

static Finding addfd_finding(std::string how, const Result<int>& err, const Result<Channel::Message>& seen) {
    if (!err) return from_error(std::move(how), err.error());
    if (*err != 0) return is_absent(std::move(how), errno_name(*err));
    if (!seen) return from_error(std::move(how), seen.error());
    return seen->text == "1" ? is_present(std::move(how), "the child's call returned an fd that it has")
                             : is_absent(std::move(how), "the child did not get the fd");
}

NotifierTrial try_notifier() {
    NotifierTrial trial;
    const auto all_unknown = [&](const Error& error) {
        const Finding unknown = from_error("tried in a child", error);
        return NotifierTrial{unknown, unknown, unknown, unknown, unknown};
    };
    auto channels = Channel::pair();
    if (!channels) return all_unknown(channels.error());
    auto& [ours, theirs] = *channels;
    const auto child = Child::fork([&mine = ours, &other = theirs] {
        mine.close();
        be_supervised(other);
        return 0;
    });
    if (!child) return all_unknown(child.error());
    theirs.close();
    const auto start = ours.receive();
    if (!start) return all_unknown(start.error());
    int filter_error = -1, listener_error = -1, killable = 0;
    (void)std::sscanf(start->text.c_str(), "%d %d %d", &filter_error, &listener_error, &killable);

    const auto by_errno = [](std::string how, int err, std::string fine) {
        if (err == 0) return is_present(std::move(how), std::move(fine));
        if (err == EBUSY)
            return is_unknown(std::move(how), "EBUSY: this process is itself under a notifier, and there can be one");
        if (err == EPERM) return is_unknown(std::move(how), "EPERM: something (an outer filter?) refused the call");
        return is_absent(std::move(how), errno_name(err));
    };
    trial.filter = by_errno("tried: seccomp(SET_MODE_FILTER) under no_new_privs in a child", filter_error, "installed");
    const std::string how = "tried: a listener for one call of a child";
    trial.notifier = by_errno(how, listener_error, "installed, and its notifications were received");
    if (listener_error != 0) {
        trial.addfd = trial.addfd_send = trial.wait_killable =
            is_unknown("not tried", "there is no listener to try it on");
        return trial;
    }
    trial.wait_killable = killable != 0
                              ? is_present("tried: the flag with NEW_LISTENER in a child", "taken")
                              : is_absent("tried: the flag with NEW_LISTENER in a child", "EINVAL; taken without it");
    const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const auto first = answer(start->fd, Answer::addfd_then_response, null);
    if (!first) {
        trial.notifier = from_error(how, first.error());
        trial.addfd = trial.addfd_send = is_unknown("not tried", "no notification came");
        return trial;
    }
    trial.addfd = addfd_finding("tried: SECCOMP_IOCTL_NOTIF_ADDFD into a child", first, ours.receive());
    const auto second = answer(start->fd, Answer::addfd_with_send, null);
    trial.addfd_send =
        addfd_finding("tried: ADDFD with the SEND flag, as the answer of a child's call", second,
                      second ? ours.receive() : Result<Channel::Message>(fail(Code::failed, "no answer")));
    return trial;
}

}  // namespace bpfwarden::kernel
