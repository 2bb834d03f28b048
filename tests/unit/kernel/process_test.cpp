// SPDX-License-Identifier: Apache-2.0
#include "kernel/process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

namespace bpfwarden::kernel {

TEST(Channel, CarriesMessagesAndFds) {
    auto pair = Channel::pair();
    ASSERT_TRUE(pair);
    auto& [a, b] = *pair;
    const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(a.send(""));
    ASSERT_TRUE(a.send("with an fd", null));
    auto first = b.receive();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->text, "");
    EXPECT_FALSE(first->fd);
    auto second = b.receive();
    ASSERT_TRUE(second && second->fd);
    EXPECT_EQ(::fcntl(second->fd.get(), F_GETFD), FD_CLOEXEC);
    a.close();
    EXPECT_FALSE(b.receive()) << "the other end has gone";
}

TEST(Channel, CarriesErrorsWhole) {
    auto pair = Channel::pair();
    ASSERT_TRUE(pair);
    auto& [a, b] = *pair;
    ASSERT_TRUE(
        a.send_error(Error::from_errno(ELOOP, "opening /x").because("a link").advise("name it by its real path")));
    const auto got = b.receive();
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().number(), ELOOP);
    EXPECT_EQ(got.error().text("t"), "t: opening /x\n  a link\n  name it by its real path");
}

// Whoever is on the other side cannot make us keep fds that we did not expect.
TEST(Channel, RefusesTooManyFdsAndKeepsNone) {
    auto pair = Channel::pair();
    ASSERT_TRUE(pair);
    auto& [a, b] = *pair;
    int fds[2] = {0, 1};
    char byte = '+';
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fds);
    std::copy_n(reinterpret_cast<const char*>(fds), sizeof fds, reinterpret_cast<char*>(CMSG_DATA(header)));
    ASSERT_EQ(::sendmsg(a.fd().get(), &message, 0), 1);
    const int before = ::dup(0);
    ::close(before);
    EXPECT_FALSE(b.receive());
    const int after = ::dup(0);
    ::close(after);
    EXPECT_EQ(before, after) << "both fds were closed again";
}

TEST(Channel, RefusesWhatIsTooLong) {
    auto pair = Channel::pair();
    ASSERT_TRUE(pair);
    ASSERT_TRUE(pair->first.send(std::string(5000, 'x')));
    EXPECT_FALSE(pair->second.receive());
}

TEST(Child, StatusIsAShells) {
    for (const auto& [body, status] :
         {std::pair<std::function<int()>, int>{[] { return 7; }, 7}, {[] { return ::raise(SIGTERM); }, 143}}) {
        auto child = Child::fork(body);
        ASSERT_TRUE(child);
        EXPECT_EQ(child->wait(), status);
    }
}

TEST(Child, IsKilledAndReapedWhenDropped) {
    pid_t pid = 0;
    {
        auto child = Child::fork([] { return ::pause(); });
        ASSERT_TRUE(child);
        pid = child->pid();
        EXPECT_TRUE(is_alive(child->fd()));
    }
    EXPECT_EQ(::waitpid(pid, nullptr, 0), -1);
    EXPECT_EQ(errno, ECHILD);
}

}  // namespace bpfwarden::kernel
