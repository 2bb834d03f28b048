// SPDX-License-Identifier: Apache-2.0
#include "kernel/process.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>

#include "base/text.hpp"

namespace bpfwarden::kernel {

Result<PidFd> open_process(pid_t pid) {
    const long fd = ::syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) return fail_errno("pidfd_open(" + std::to_string(pid) + ")");
    return PidFd(static_cast<int>(fd));  // pidfds are always CLOEXEC
}

bool is_alive(PidRef process) {
    pollfd poll{process.get(), POLLIN, 0};
    return ::poll(&poll, 1, 0) == 0;
}

Result<> die_with_parent(pid_t parent) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return fail_errno("prctl(PR_SET_PDEATHSIG)");
    if (::getppid() != parent) return fail(Code::failed, "the parent process has ended");
    return {};
}

Result<Child> Child::fork(const std::function<int()>& body) {
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return fail_errno("fork");
    if (pid == 0) {
        if (!die_with_parent(parent)) ::_exit(125);
        ::_exit(body());
    }
    auto fd = open_process(pid);  // not reaped yet, so the number is still this child's
    if (!fd) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return fail(std::move(fd).error());
    }
    return Child(pid, std::move(*fd));
}

Child::~Child() {
    if (pid_ == 0) return;
    ::syscall(SYS_pidfd_send_signal, fd_.get(), SIGKILL, nullptr, 0);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

Result<int> Child::wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0)
        if (errno != EINTR) return fail_errno("waitpid");
    pid_ = 0;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

Result<std::pair<Channel, Channel>> Channel::pair() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) return fail_errno("socketpair");
    return std::pair{Channel(UniqueFd(fds[0])), Channel(UniqueFd(fds[1]))};
}

// The first byte tells a message from an error, and keeps an empty message from looking like the end of the stream.
static constexpr char message_tag = '+';
static constexpr char error_tag = '-';
// Between the parts of an error; no text of ours has it.
static constexpr char separator = '\x1f';

Result<> Channel::send(std::string_view text, std::optional<FdRef> fd) const {
    return send_bytes(message_tag + std::string(text), fd);
}

Result<> Channel::send_error(const Error& error) const {
    std::string bytes =
        error_tag + std::to_string(static_cast<int>(error.code())) + separator + std::to_string(error.number());
    for (const auto& part : {error.what(), error.why(), error.hint()}) bytes += separator + part;
    return send_bytes(bytes.substr(0, 4096), {});
}

static Error decode_error(std::string_view bytes) {
    auto parts = split(bytes, separator);
    parts.resize(5);
    Error error = Error::from_errno(std::atoi(std::string(parts[1]).c_str()), std::string(parts[2]));
    return std::move(error)
        .with_code(static_cast<Code>(std::atoi(std::string(parts[0]).c_str())))
        .because(std::string(parts[3]))
        .advise(std::string(parts[4]));
}

Result<> Channel::send_bytes(std::string bytes, std::optional<FdRef> fd) const {
    iovec part{bytes.data(), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (fd) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        const int number = fd->get();
        std::memcpy(CMSG_DATA(header), &number, sizeof number);
    }
    ssize_t n = 0;
    while ((n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL)) < 0 && errno == EINTR) {
    }
    if (n < 0) return fail_errno("sendmsg");
    return {};
}

Result<Channel::Message> Channel::receive() const {
    char bytes[4097];
    iovec part{bytes, sizeof bytes};
    alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n = 0;
    while ((n = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
    }
    if (n < 0) return fail_errno("recvmsg");
    // First take ownership of every fd that came, so that a refusal below closes them all.
    Message got;
    unsigned fds = 0;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        for (std::size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i, ++fds) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof number);
            got.fd = UniqueFd(number);
        }
    }
    if (n == 0) return fail(Code::failed, "the other process has ended");
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || fds > 1)
        return fail(Code::failed, "a message from the other process is too long or carries too many fds");
    got.text.assign(bytes + 1, static_cast<std::size_t>(n) - 1);
    if (bytes[0] == error_tag) return fail(decode_error(got.text));
    return got;
}

}  // namespace bpfwarden::kernel
