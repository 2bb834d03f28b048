// SPDX-License-Identifier: Apache-2.0
// bpf(2) over a session: refusals in words, and which commands go where.
#include <gmock/gmock.h>
#include <linux/bpf.h>
#include <sys/syscall.h>

#include "bpfwarden/bpfwarden.h"
#include "unit/client/peer.hpp"
#include "unit/wire/samples.hpp"

using namespace bpfwarden;
using namespace bpfwarden::wire;
using testing::HasSubstr;

namespace {

struct Over {
    explicit Over(Behaviour behaviour) : peer(std::move(behaviour)), session(bpfw_adopt(peer.session().release())) {}
    ~Over() { bpfw_close(session); }
    int bpf(int command, bpf_attr& attr, unsigned size = sizeof(bpf_attr)) {
        return bpfw_bpf(session, command, &attr, size);
    }
    Peer peer;
    bpfw_session* session;
};

}  // namespace

TEST(Bpf, ARefusalHasErrnoKeyLineAndReason) {
    Over over([](FdRef channel, Message& request) {
        return answer_refused(channel, request, {EPERM, "allow.map_types", "x.toml:7:1", "hash is not in the list"});
    });
    bpf_attr attr{};
    EXPECT_EQ(over.bpf(BPF_MAP_CREATE, attr), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_STREQ(bpfw_error_key(), "allow.map_types");
    EXPECT_STREQ(bpfw_error_line(), "x.toml:7:1");
    EXPECT_STREQ(bpfw_error(),
                 "map_create: refused by the session's grant\n  hash is not in the list\n  allow.map_types at "
                 "x.toml:7:1 decides "
                 "that");
    // The next failure is of another kind.
    EXPECT_EQ(over.bpf(BPF_ENABLE_STATS, attr), -1);
    EXPECT_STREQ(bpfw_error_key(), "");
    EXPECT_STREQ(bpfw_error_line(), "");
}

TEST(Bpf, TheBrokersOwnTroubleIsEio) {
    Over over([](FdRef channel, Message& request) {
        return answer_failed(channel, request, Error(Code::failed, "the worker is gone").advise("try again"));
    });
    bpf_attr attr{};
    EXPECT_EQ(over.bpf(BPF_MAP_CREATE, attr), -1);
    EXPECT_EQ(errno, EIO);
    EXPECT_STREQ(bpfw_error(), "map_create: the worker is gone\n  try again");
}

TEST(Bpf, TheKernelsWordIsPassedOn) {
    Over over([](FdRef channel, Message& request) { return answer_bpf(channel, request, -ENOSPC); });
    bpf_attr attr{};
    EXPECT_EQ(over.bpf(BPF_MAP_CREATE, attr), -1);
    EXPECT_EQ(errno, ENOSPC);
    EXPECT_THAT(bpfw_error(), HasSubstr("map_create: the kernel refused it"));
    EXPECT_THAT(bpfw_error(), HasSubstr("ENOSPC"));
}

// With a broker that would say yes to everything, so that a refusal is the library's own.
TEST(Bpf, OtherCommandsAreRefusedHere) {
    Over over([](FdRef channel, Message& request) { return answer_bpf(channel, request, 0); });
    bpf_attr attr{};
    for (const int command :
         {static_cast<int>(BPF_ENABLE_STATS), static_cast<int>(BPF_TASK_FD_QUERY), static_cast<int>(BPF_TOKEN_CREATE),
          static_cast<int>(BPF_BTF_GET_NEXT_ID), 39, 0x10000, -1}) {
        EXPECT_EQ(over.bpf(command, attr), -1);
        EXPECT_EQ(errno, EPERM) << command;
        EXPECT_THAT(bpfw_error(), HasSubstr("not possible over a session"));
    }
    EXPECT_EQ(over.peer.channels, 0);
}

// Map elements and the like are the kernel's business, and never the broker's.
TEST(Bpf, WhatNeedsNoPrivilegeDoesNotPassTheBroker) {
    Over over([](FdRef, Message&) { return false; });
    bpf_attr attr{};
    const auto file = some_file();
    attr.map_fd = static_cast<std::uint32_t>(file.get());
    for (const int command : {BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM, BPF_MAP_GET_NEXT_KEY,
                              BPF_MAP_LOOKUP_AND_DELETE_ELEM, BPF_MAP_LOOKUP_BATCH, BPF_MAP_UPDATE_BATCH,
                              BPF_MAP_DELETE_BATCH, BPF_MAP_LOOKUP_AND_DELETE_BATCH, BPF_OBJ_PIN, BPF_OBJ_GET}) {
        errno = 0;
        const long direct = ::syscall(SYS_bpf, command, &attr, sizeof attr);
        const int number = errno;
        errno = 0;
        EXPECT_EQ(over.bpf(command, attr), direct);
        EXPECT_EQ(errno, number) << command;
        EXPECT_NE(number, ECONNRESET);
    }
    EXPECT_EQ(over.peer.channels, 0);
}

TEST(Bpf, InfoOfAStandInGoesToTheBroker) {
    std::atomic<int> asked{0};
    Over over([&](FdRef channel, Message& request) {
        ++asked;
        return answer_bpf(channel, request, 0);
    });
    const Pair stand_in;
    char info[64] = {};
    bpf_attr attr{};
    attr.info.bpf_fd = static_cast<std::uint32_t>(stand_in.near.get());
    attr.info.info = reinterpret_cast<std::uint64_t>(info);
    attr.info.info_len = sizeof info;
    EXPECT_EQ(over.bpf(BPF_OBJ_GET_INFO_BY_FD, attr), 0) << bpfw_error();
    EXPECT_EQ(asked, 1);
    // What is no socket is between the caller and the kernel.
    for (const int fd : {some_file().release(), -1}) {
        attr.info.bpf_fd = static_cast<std::uint32_t>(fd);
        EXPECT_EQ(over.bpf(BPF_OBJ_GET_INFO_BY_FD, attr), -1);
        EXPECT_TRUE(errno == EINVAL || errno == EBADF || errno == EBADFD) << errno;
        if (fd >= 0) ::close(fd);
    }
    EXPECT_EQ(asked, 1);
}

TEST(Bpf, AnFdThatIsNotOpenIsEbadf) {
    Over over([](FdRef channel, Message& request) { return answer_bpf(channel, request, 0); });
    bpf_attr attr{};
    attr.link_detach.link_fd = 12345;
    EXPECT_EQ(over.bpf(BPF_LINK_DETACH, attr), -1);
    EXPECT_EQ(errno, EBADF);
    const auto file = some_file();
    attr.link_detach.link_fd = static_cast<std::uint32_t>(file.get());
    EXPECT_EQ(over.bpf(BPF_LINK_DETACH, attr), 0) << bpfw_error();
    EXPECT_EQ(over.peer.channels, 1);  // the same one: nothing was wrong with it
}

TEST(Bpf, AttributesMayHaveAnySize) {
    Over over([](FdRef channel, Message& request) { return answer_bpf(channel, request, -EEXIST); });
    bpf_attr attr{};
    for (const unsigned size : {0U, 4U, 100U}) {
        EXPECT_EQ(over.bpf(BPF_MAP_CREATE, attr, size), -1);
        EXPECT_EQ(errno, EEXIST) << size;
    }
    std::vector<char> large(8192);
    EXPECT_EQ(bpfw_bpf(over.session, BPF_MAP_CREATE, reinterpret_cast<bpf_attr*>(large.data()), 8192), -1);
    EXPECT_EQ(errno, E2BIG);
}

TEST(Bpf, SysBpfGoesOverTheSessionInUse) {
    bpf_attr attr{};
    EXPECT_EQ(bpfw_sys_bpf(BPF_MAP_CREATE, &attr, sizeof attr), -1);
    EXPECT_EQ(errno, ENOTCONN);
    EXPECT_THAT(bpfw_error(), HasSubstr("bpfw_use()"));
    {
        Over over([](FdRef channel, Message& request) { return answer_bpf(channel, request, -EEXIST); });
        EXPECT_EQ(bpfw_use(over.session), nullptr);
        EXPECT_EQ(bpfw_used(), over.session);
        EXPECT_EQ(bpfw_sys_bpf(BPF_MAP_CREATE, &attr, sizeof attr), -1);
        EXPECT_EQ(errno, EEXIST);
    }
    EXPECT_EQ(bpfw_used(), nullptr);  // it was closed
    EXPECT_EQ(bpfw_sys_bpf(BPF_MAP_CREATE, &attr, sizeof attr), -1);
    EXPECT_EQ(errno, ENOTCONN);
}
