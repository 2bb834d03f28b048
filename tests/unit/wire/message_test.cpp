// SPDX-License-Identifier: Apache-2.0
// Messages on a socket: what is sent arrives, what is no message is refused, and no refusal leaves an fd behind.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "unit/wire/samples.hpp"

namespace bpfwarden::wire {

namespace {

// A message as nobody's library sends it.
void send_raw(FdRef socket, const std::vector<std::byte>& content, std::span<const int> fds) {
    iovec part{const_cast<std::byte*>(content.data()), content.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
    }
    ASSERT_GE(::sendmsg(socket.get(), &message, 0), 0);
}
std::vector<std::byte> with(const Header& header, std::size_t body = 0) {
    const auto bytes = std::as_bytes(std::span(&header, 1));
    std::vector<std::byte> content(bytes.begin(), bytes.end());
    content.resize(content.size() + body);
    return content;
}
int error_of(const std::vector<std::byte>& content, std::vector<int> fds = {}) {
    Pair pair;
    send_raw(pair.near, content, fds);
    Receiver receiver;
    const auto message = receiver.receive(pair.far, MSG_DONTWAIT);
    return message ? 0 : message.error().number();
}
Header header_of(Type type, std::uint64_t length, std::uint16_t fds = 0, std::uint16_t body = 0) {
    Header header;
    header.type = static_cast<std::uint16_t>(type);
    header.length = length;
    header.fds = fds;
    header.body = body;
    return header;
}
UniqueFd memory_of(std::size_t size, int seals) {
    auto memory = some_file();
    EXPECT_EQ(::ftruncate(memory.get(), static_cast<off_t>(size)), 0);
    EXPECT_EQ(::fcntl(memory.get(), F_ADD_SEALS, seals), 0);
    return memory;
}
constexpr int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

}  // namespace

TEST(Message, ArrivesWithItsFds) {
    const auto before = open_fds();
    {
        const auto file = some_file();
        for (const std::size_t size :
             {std::size_t{0}, std::size_t{1}, largest_inline_body, largest_inline_body + 1, std::size_t{5'000'000}}) {
            Pair pair;
            std::vector<std::byte> body(size, std::byte{7});
            const int fds[] = {file.get(), file.get()};
            ASSERT_TRUE(send(pair.near, Type::derive, 42, body, fds));
            Receiver receiver;
            const auto message = receiver.receive(pair.far);
            ASSERT_TRUE(message && *message) << size;
            EXPECT_EQ((*message)->type, Type::derive);
            EXPECT_EQ((*message)->id, 42U);
            EXPECT_TRUE(std::ranges::equal((*message)->body, body));
            ASSERT_EQ((*message)->fds.size(), 2U);
            EXPECT_TRUE(same_file((*message)->fds[1].get(), file.get()));
            EXPECT_EQ(::fcntl((*message)->fds[0].get(), F_GETFD), FD_CLOEXEC);
        }
    }
    EXPECT_EQ(open_fds(), before);
}

TEST(Message, WhatIsTooLargeIsNotSent) {
    Pair pair;
    const auto file = some_file();
    const std::vector<int> many(most_fds + 1, file.get());
    EXPECT_EQ(send(pair.near, Type::bpf, 1, {}, many).error().number(), E2BIG);
    EXPECT_EQ(send(pair.near, Type::bpf, 1, std::vector<std::byte>(largest_body + 1)).error().number(), E2BIG);
    EXPECT_TRUE(send(pair.near, Type::bpf, 1, {}, std::span(many).first(most_fds)));
    Receiver receiver;
    const auto message = receiver.receive(pair.far);
    ASSERT_TRUE(message && *message);
    EXPECT_EQ((*message)->fds.size(), most_fds);
}

TEST(Message, AClosedEndIsNothing) {
    Pair pair;
    Receiver receiver;
    EXPECT_EQ(receiver.receive(pair.far, MSG_DONTWAIT).error().number(), EAGAIN);
    pair.near.reset();
    const auto message = receiver.receive(pair.far);
    ASSERT_TRUE(message);
    EXPECT_FALSE(*message);
    // And sending to it is an error, no signal.
    EXPECT_EQ(send(pair.far, Type::bpf, 1, {}).error().number(), EPIPE);
}

TEST(Message, WhatIsNoMessageIsRefused) {
    const auto before = open_fds();
    {
        const auto file = some_file();
        const int one[] = {file.get()};
        const auto header = header_of(Type::bpf, 0);
        EXPECT_EQ(error_of(with(header)), 0);
        EXPECT_EQ(error_of(std::vector<std::byte>(1), {file.get()}), EPROTO);
        auto cut = with(header);
        cut.pop_back();
        EXPECT_EQ(error_of(cut, {one, one + 1}), EPROTO);
        auto other = header;
        other.magic ^= 1;
        EXPECT_EQ(error_of(with(other), {file.get()}), EPROTO);
        for (const int other_version : {0, int{oldest_version} - 1, int{version} + 1, 0xFFFF}) {
            other = header;
            other.version = static_cast<std::uint16_t>(other_version);
            EXPECT_EQ(error_of(with(other), {file.get()}), EPROTO) << other_version;
        }
        // Lengths and counts that are not so.
        EXPECT_EQ(error_of(with(header_of(Type::bpf, 5), 4)), EPROTO);
        EXPECT_EQ(error_of(with(header_of(Type::bpf, 3), 4)), EPROTO);
        EXPECT_EQ(error_of(with(header_of(Type::bpf, ~0ULL), 4)), EPROTO);
        EXPECT_EQ(error_of(with(header_of(Type::bpf, 0, 1))), EPROTO);
        EXPECT_EQ(error_of(with(header), {file.get()}), EPROTO);
        EXPECT_EQ(error_of(with(header_of(Type::bpf, 0, 0xFFFF)), {file.get()}), EPROTO);
        EXPECT_EQ(error_of(with(header_of(Type::bpf, 0, 0, 2))), EPROTO);
        // More than fits.
        EXPECT_EQ(error_of(with(header_of(Type::bpf, largest_inline_body + 1), largest_inline_body + 1)), EPROTO);
        EXPECT_EQ(error_of(with(header_of(Type::bpf, 0, most_fds)), std::vector<int>(253, file.get())), EPROTO);
    }
    EXPECT_EQ(open_fds(), before);
}

TEST(Message, ABodyMustBeSealedAndLongEnough) {
    const auto before = open_fds();
    {
        constexpr std::size_t size = largest_inline_body + 100;
        const auto large = with(header_of(Type::bpf, size, 0, 1));
        EXPECT_EQ(error_of(large, {memory_of(size, all_seals).get()}), 0);
        EXPECT_EQ(error_of(large, {memory_of(size + 5000, all_seals).get()}), 0);
        EXPECT_EQ(error_of(large, {memory_of(size - 1, all_seals).get()}), EPROTO);
        EXPECT_EQ(error_of(large, {memory_of(0, all_seals).get()}), EPROTO);
        // Each seal is needed: the sender could change, cut or stretch what was checked.
        for (const int seal : {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE})
            EXPECT_EQ(error_of(large, {memory_of(size, all_seals & ~seal).get()}), EPROTO) << seal;
        EXPECT_EQ(error_of(large, {memory_of(size, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE).get()}), EPROTO);
        // What has no seals.
        const UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
        EXPECT_EQ(error_of(large, {file.get()}), EPROTO);
        const UniqueFd path(::open("/", O_PATH | O_CLOEXEC));
        EXPECT_EQ(error_of(large, {path.get()}), EPROTO);
        // No memfd at all, in two places, for nothing.
        EXPECT_EQ(error_of(large), EPROTO);
        EXPECT_EQ(error_of(with(header_of(Type::bpf, size, 0, 1), 8), {memory_of(size, all_seals).get()}), EPROTO);
        EXPECT_EQ(error_of(with(header_of(Type::bpf, 10, 0, 1)), {memory_of(size, all_seals).get()}), EPROTO);
        EXPECT_EQ(error_of(with(header_of(Type::bpf, largest_body + 1, 0, 1)), {memory_of(size, all_seals).get()}),
                  EPROTO);
        // A sealed memfd of huge pages, where the machine lets one be made.
        const UniqueFd huge(::memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB));
        if (huge && ::ftruncate(huge.get(), 2 << 20) == 0 && ::fcntl(huge.get(), F_ADD_SEALS, all_seals) == 0) {
            EXPECT_EQ(error_of(large, {huge.get()}), EPROTO);
        }
    }
    EXPECT_EQ(open_fds(), before);
}

// A body cannot be changed under the receiver, which is what the seals are for; the control shows that without them it
// could.
TEST(Message, ASealedBodyStaysAsItIs) {
    const std::vector<std::byte> content(largest_inline_body + 1, std::byte{1});
    const auto memory = sealed_memory("test", content);
    ASSERT_TRUE(memory);
    const char other = 2;
    EXPECT_EQ(::pwrite(memory->get(), &other, 1, 0), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(::ftruncate(memory->get(), 1), -1);
    EXPECT_EQ(::mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, memory->get(), 0), MAP_FAILED);
    const auto open = memory_of(content.size(), 0);
    EXPECT_EQ(::pwrite(open.get(), &other, 1, 0), 1);
}

TEST(Message, WithoutRoomForItsFdsItIsRefused) {
    Pair pair;
    Receiver receiver;
    const auto file = some_file();
    const std::vector<int> three(3, file.get());
    ASSERT_TRUE(send(pair.near, Type::bpf, 1, {}, three));
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    const auto before = open_fds();
    // The lowest free number, and one more.
    const UniqueFd lowest(::dup(file.get()));
    const rlimit low{static_cast<rlim_t>(lowest.get()) + 2, limit.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
    const auto message = receiver.receive(pair.far);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    ASSERT_FALSE(message);
    EXPECT_EQ(message.error().number(), EMFILE);
    EXPECT_EQ(open_fds(), before + 1);
}

TEST(Message, SaysWhoSentIt) {
    Pair pair;
    const int on = 1;
    ASSERT_EQ(::setsockopt(pair.far.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    ASSERT_TRUE(send(pair.near, Type::describe, 1, {}));
    Receiver receiver;
    const auto message = receiver.receive(pair.far);
    ASSERT_TRUE(message && *message);
    ASSERT_TRUE((*message)->sender);
    EXPECT_EQ((*message)->sender->pid, ::getpid());
    EXPECT_EQ((*message)->sender->uid, ::getuid());
}

}  // namespace bpfwarden::wire
