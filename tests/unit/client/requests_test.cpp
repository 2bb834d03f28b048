// SPDX-License-Identifier: Apache-2.0
// The requests besides bpf(2): what is sent, and what is made of the answer.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/perf_event.h>

#include "bpfwarden/bpfwarden.h"
#include "unit/client/peer.hpp"
#include "unit/wire/samples.hpp"

using namespace bpfwarden;
using namespace bpfwarden::wire;

namespace {

struct Over {
    explicit Over(Behaviour behaviour) : peer(std::move(behaviour)), session(bpfw_adopt(peer.session().release())) {}
    ~Over() { bpfw_close(session); }
    Peer peer;
    bpfw_session* session;
};

Writer done() {
    Writer body;
    body.number(static_cast<std::uint8_t>(Answer::done));
    return body;
}

}  // namespace

TEST(Requests, PerfEventOpenSendsWhatItWasGiven) {
    const auto before = open_fds();
    {
        const auto group = some_file();
        Over over([&](FdRef channel, Message& request) {
            EXPECT_EQ(request.type, Type::perf_event_open);
            Reader from(request.body);
            perf_event_attr attr{};
            const auto bytes = from.block();
            EXPECT_EQ(bytes.size(), sizeof attr);
            std::memcpy(&attr, bytes.data(), std::min(bytes.size(), sizeof attr));
            EXPECT_EQ(attr.type, static_cast<std::uint32_t>(PERF_TYPE_TRACEPOINT));
            EXPECT_EQ(attr.config, 305U);
            EXPECT_EQ(attr.config1, 7U);  // no pointer in this type
            EXPECT_EQ(from.text(), "");
            EXPECT_EQ(from.number<std::int32_t>(), -1);
            EXPECT_EQ(from.number<std::int32_t>(), 2);
            EXPECT_EQ(from.number<std::uint64_t>(), std::uint64_t{PERF_FLAG_FD_CLOEXEC});
            EXPECT_EQ(from.number<std::uint8_t>(), 1);
            EXPECT_TRUE(from.done());
            EXPECT_EQ(request.fds.size(), 1U);
            EXPECT_TRUE(same_file(request.fds.front().get(), group.get()));
            auto body = done();
            body.number(std::int32_t{0});
            return answer(channel, request, body, {group.get()});
        });
        perf_event_attr attr{};
        attr.size = sizeof attr;
        attr.type = PERF_TYPE_TRACEPOINT;
        attr.config = 305;
        attr.config1 = 7;
        const UniqueFd fd(bpfw_perf_event_open(over.session, &attr, -1, 2, group.get(), PERF_FLAG_FD_CLOEXEC));
        ASSERT_TRUE(fd) << bpfw_error();
        EXPECT_TRUE(same_file(fd.get(), group.get()));
        EXPECT_EQ(bpfw_perf_event_open(over.session, &attr, 0, 2, -1, PERF_FLAG_PID_CGROUP), -1);
        EXPECT_EQ(errno, EOPNOTSUPP);
        attr.size = 8;
        EXPECT_EQ(bpfw_perf_event_open(over.session, &attr, 0, 2, -1, 0), -1);
        EXPECT_EQ(errno, E2BIG);
    }
    EXPECT_EQ(open_fds(), before);
}

TEST(Requests, AUprobesPathIsOpenedHere) {
    const UniqueFd type(::open("/sys/bus/event_source/devices/uprobe/type", O_RDONLY | O_CLOEXEC));
    char text[16] = {};
    if (!type || ::read(type.get(), text, sizeof text - 1) <= 0) GTEST_SKIP() << "no uprobes on this kernel";
    Over over([](FdRef channel, Message& request) {
        Reader from(request.body);
        perf_event_attr attr{};
        const auto bytes = from.block();
        std::memcpy(&attr, bytes.data(), std::min(bytes.size(), sizeof attr));
        EXPECT_EQ(attr.config1, 0U);  // no address of this process leaves it
        EXPECT_EQ(attr.config2, 0x1234U);
        EXPECT_EQ(from.text(), "/proc/self/exe");
        EXPECT_EQ(request.fds.size(), 1U);
        EXPECT_NE(::fcntl(request.fds.front().get(), F_GETFL) & O_PATH, 0);
        auto body = done();
        body.number(std::int32_t{-EACCES});
        return answer(channel, request, body);
    });
    perf_event_attr attr{};
    attr.size = sizeof attr;
    attr.type = static_cast<std::uint32_t>(std::atoi(text));
    attr.config1 = reinterpret_cast<std::uint64_t>("/proc/self/exe");
    attr.config2 = 0x1234;
    EXPECT_EQ(bpfw_perf_event_open(over.session, &attr, 0, -1, -1, 0), -1);
    EXPECT_EQ(errno, EACCES);
    attr.config1 = reinterpret_cast<std::uint64_t>("/no/such/program");
    EXPECT_EQ(bpfw_perf_event_open(over.session, &attr, 0, -1, -1, 0), -1);
    EXPECT_EQ(errno, ENOENT);
}

TEST(Requests, TracepointsHaveANumberAndAFormat) {
    Over over([](FdRef channel, Message& request) {
        Reader from(request.body);
        const auto name = from.text();
        const bool format = from.number<std::uint8_t>() == 1;
        EXPECT_TRUE(from.done());
        if (name == "no/such") return answer_failed(channel, request, Error::from_errno(ENOENT, "no such tracepoint"));
        if (name != "sched/sched_switch")
            return answer_refused(channel, request, {EPERM, "targets.tracepoints", "x.toml:9:1", "not in the list"});
        auto body = done();
        body.text(format ? "name: sched_switch\nID: 305\n" : "305\n");
        return answer(channel, request, body);
    });
    EXPECT_EQ(bpfw_tracepoint_id(over.session, "sched/sched_switch"), 305) << bpfw_error();
    EXPECT_EQ(bpfw_tracepoint_id(over.session, "no/such"), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(bpfw_tracepoint_id(over.session, "sched/sched_wakeup"), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_STREQ(bpfw_error_key(), "targets.tracepoints");
    char small[5];
    EXPECT_EQ(bpfw_tracepoint_format(over.session, "sched/sched_switch", small, sizeof small), 27);
    EXPECT_STREQ(small, "name");
    EXPECT_EQ(bpfw_tracepoint_format(over.session, "sched/sched_switch", nullptr, 0), 27);
}

TEST(Requests, ADerivedSessionIsAnother) {
    const auto before = open_fds();
    {
        Peer inner([](FdRef channel, Message& request) { return answer_bpf(channel, request, -EEXIST); });
        Over over([&](FdRef channel, Message& request) {
            Reader from(request.body);
            if (from.text() != "format = 1\n")
                return answer_failed(channel, request, Error::from_errno(EPERM, "asks for more"));
            const auto derived = inner.session();
            auto body = done();
            body.text("s-2");
            return answer(channel, request, body, {derived.get()});
        });
        bpfw_session* derived = bpfw_derive(over.session, "format = 1\n");
        ASSERT_NE(derived, nullptr) << bpfw_error();
        bpf_attr attr{};
        EXPECT_EQ(bpfw_bpf(derived, BPF_MAP_CREATE, &attr, sizeof attr), -1);
        EXPECT_EQ(errno, EEXIST);
        EXPECT_EQ(::fcntl(bpfw_fd(derived), F_GETFD), FD_CLOEXEC);
        bpfw_close(derived);
        EXPECT_EQ(bpfw_derive(over.session, "wider"), nullptr);
        EXPECT_EQ(errno, EPERM);
    }
    EXPECT_EQ(open_fds(), before);
}

TEST(Requests, DeriveTakesNoOtherFd) {
    const auto before = open_fds();
    {
        for (const int count : {0, 1, 2}) {
            const auto file = some_file();
            Over over([&](FdRef channel, Message& request) {
                auto body = done();
                body.text("s-2");
                return answer(channel, request, body, std::vector<int>(static_cast<std::size_t>(count), file.get()));
            });
            EXPECT_EQ(bpfw_derive(over.session, "x"), nullptr);
            EXPECT_EQ(errno, count == 1 ? ENOTSOCK : EPROTO);
        }
    }
    EXPECT_EQ(open_fds(), before);
}

TEST(Requests, SignaturesAreSentWhole) {
    const std::string signature("30 82 is how it begins\0and goes on", 34);
    bool more = false;
    Over over([&](FdRef channel, Message& request) {
        EXPECT_EQ(request.type, Type::add_signature);
        EXPECT_TRUE(request.fds.empty());
        Reader from(request.body);
        EXPECT_EQ(from.text(), signature);
        EXPECT_TRUE(from.done());
        auto body = done();
        if (more) body.number(1);
        return answer(channel, request, body);
    });
    EXPECT_EQ(bpfw_add_signature(over.session, signature.data(), signature.size()), 0) << bpfw_error();
    more = true;
    EXPECT_EQ(bpfw_add_signature(over.session, signature.data(), signature.size()), -1);
    EXPECT_EQ(errno, EPROTO);
}

TEST(Requests, ASessionSaysWhatItIs) {
    std::uint32_t count = 2;
    Over over([&](FdRef channel, Message& request) {
        EXPECT_TRUE(request.body.empty());
        auto body = done();
        for (const auto* text : {"s-1", "test", "r7"}) body.text(text);
        body.number(std::uint64_t{5000});
        body.number(count);
        body.text("maps");
        body.number(std::uint64_t{3});
        body.number(std::uint64_t{8});
        body.text("programs");
        body.number(std::uint64_t{1});
        body.number(std::uint64_t{0});
        return answer(channel, request, body);
    });
    bpfw_description* description = bpfw_describe(over.session);
    ASSERT_NE(description, nullptr) << bpfw_error();
    EXPECT_STREQ(description->session, "s-1");
    EXPECT_STREQ(description->grant, "test");
    EXPECT_STREQ(description->revision, "r7");
    EXPECT_EQ(description->lifetime_ms, 5000U);
    ASSERT_EQ(description->usage_count, 2U);
    EXPECT_STREQ(description->usage[1].what, "programs");
    EXPECT_EQ(description->usage[0].limit, 8U);
    bpfw_free_description(description);
    bpfw_free_description(nullptr);
    // A count that is not so, and one that would cost all memory.
    for (const std::uint32_t other : {1U, 3U, ~0U}) {
        count = other;
        EXPECT_EQ(bpfw_describe(over.session), nullptr);
        EXPECT_EQ(errno, EPROTO);
    }
}

TEST(Requests, ASessionIsPassedOverAnySocket) {
    const auto before = open_fds();
    {
        Over over([](FdRef channel, Message& request) { return answer_bpf(channel, request, -EEXIST); });
        for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
            int ends[2];
            ASSERT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
            const UniqueFd a(ends[0]);
            const UniqueFd b(ends[1]);
            ASSERT_EQ(bpfw_pass(over.session, a.get()), 0) << bpfw_error();
            bpfw_session* received = bpfw_receive(b.get());
            ASSERT_NE(received, nullptr) << bpfw_error();
            EXPECT_EQ(::fcntl(bpfw_fd(received), F_GETFD), FD_CLOEXEC);
            bpf_attr attr{};
            EXPECT_EQ(bpfw_bpf(received, BPF_MAP_CREATE, &attr, sizeof attr), -1);
            EXPECT_EQ(errno, EEXIST);
            bpfw_close(received);
        }
    }
    EXPECT_EQ(open_fds(), before);
}

TEST(Requests, WhatIsReceivedMustBeASession) {
    const auto before = open_fds();
    {
        const auto file = some_file();
        // Messages that are none: one byte with a file, two sessions, a byte with nothing, the end.
        const auto try_one = [](int number, auto send_it) {
            int ends[2];
            ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
            UniqueFd a(ends[0]);
            const UniqueFd b(ends[1]);
            send_it(a);
            EXPECT_EQ(bpfw_receive(b.get()), nullptr);
            EXPECT_EQ(errno, number) << bpfw_error();
        };
        try_one(EPROTO, [&](UniqueFd& to) {
            const int fds[] = {file.get()};
            EXPECT_TRUE(send(to, Type::hello, 0, {}, fds));
        });
        try_one(EPROTO, [&](UniqueFd& to) { EXPECT_EQ(::write(to.get(), "S", 1), 1); });
        try_one(ECONNRESET, [&](UniqueFd& to) { to.reset(); });
        try_one(EPROTO, [&](UniqueFd& to) {
            const std::vector<int> many(200, file.get());
            EXPECT_TRUE(send(to, Type::hello, 0, {}, many));
        });
        EXPECT_EQ(bpfw_receive(file.get()), nullptr);
        EXPECT_EQ(errno, ENOTSOCK);
        EXPECT_EQ(bpfw_receive(-1), nullptr);
        EXPECT_EQ(errno, EBADF);
        Over over([](FdRef, Message&) { return false; });
        Pair closed;
        closed.far.reset();
        EXPECT_EQ(bpfw_pass(over.session, closed.near.get()), -1);
        EXPECT_EQ(errno, EPIPE);  // and no SIGPIPE
    }
    EXPECT_EQ(open_fds(), before);
}
