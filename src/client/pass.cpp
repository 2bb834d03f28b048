// SPDX-License-Identifier: Apache-2.0
// A session from one process to another: one byte and an fd, over any AF_UNIX socket.
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "client/requests.hpp"

namespace bpfwarden::client {

static constexpr char mark = 'S';

Result<> pass(const Session& session, FdRef socket) {
    char byte = mark;
    iovec part{&byte, 1};
    const int fd = session.fd();
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    while (::sendmsg(socket.get(), &message, MSG_NOSIGNAL) < 0)
        if (errno != EINTR) return fail_errno("passing a session");
    return {};
}

Result<std::unique_ptr<Session>> receive_session(FdRef socket) {
    char byte = 0;
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))];  // SCM_MAX_FD: all are taken, so that none stays
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n = 0;
    while ((n = ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
    }
    if (n < 0) return fail_errno("receiving a session");
    std::vector<UniqueFd> fds;
    for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
        if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS) continue;
        for (std::size_t i = 0; i < (one->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(one) + i * sizeof number, sizeof number);
            fds.emplace_back(number);
        }
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0 && fds.empty())
        return fail(Error::from_errno(EMFILE, "receiving a session"));
    if (n == 0 && fds.empty())
        return fail(Error::from_errno(ECONNRESET, "receiving a session").because("the other end closed"));
    if (n != 1 || byte != mark || fds.size() != 1)
        return fail(Error::from_errno(EPROTO, "receiving a session").because("what came is no session"));
    auto session = Session::adopt(fds.front().get());
    if (!session) return fail(Error::from_errno(EPROTO, "receiving a session").because("what came is no session"));
    (void)fds.front().release();
    return session;
}

}  // namespace bpfwarden::client
