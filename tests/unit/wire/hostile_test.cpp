// SPDX-License-Identifier: Apache-2.0
// Bodies that no client of ours sends: each is refused, or is a call whose every pointer and number lies where it may.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "fuzz/wire_fuzz.hpp"
#include "unit/wire/samples.hpp"

namespace bpfwarden::wire {

namespace {

struct Body {
    std::string name;
    std::vector<std::byte> bytes;
    std::size_t fds = 0;
};
const std::vector<Body>& bodies() {
    static const std::vector<Body> all = [] {
        std::vector<Body> made;
        for (auto& sample : every_call()) {
            const auto request = BpfRequest::of(sample.command, &sample.attr, sizeof sample.attr);
            EXPECT_TRUE(request) << sample.name;
            const auto bytes = request->body();
            made.push_back({sample.name, {bytes.begin(), bytes.end()}, request->fds().size()});
        }
        return made;
    }();
    return all;
}
Message message_of(std::span<const std::byte> body, std::size_t fds) {
    Message message;
    message.body = body;
    for (std::size_t i = 0; i < fds; ++i) message.fds.push_back(some_file());
    return message;
}
int error_of(std::span<const std::byte> body, std::size_t fds) {
    const auto message = message_of(body, fds);
    const auto call = BpfCall::of(message);
    return call ? 0 : call.error().number();
}

}  // namespace

TEST(Hostile, EveryTruncationIsRefused) {
    const auto before = open_fds();
    for (const auto& body : bodies()) {
        // A copy of exactly that length, so that a sanitizer sees a read past it.
        for (std::size_t length = 0; length < body.bytes.size(); ++length) {
            const std::vector<std::byte> cut(body.bytes.begin(),
                                             body.bytes.begin() + static_cast<std::ptrdiff_t>(length));
            EXPECT_NE(error_of(cut, body.fds), 0) << body.name << " cut to " << length;
        }
        EXPECT_EQ(error_of(body.bytes, body.fds), 0) << body.name;
        auto longer = body.bytes;
        longer.push_back(std::byte{0});
        EXPECT_EQ(error_of(longer, body.fds), EPROTO) << body.name << " and one more";
    }
    EXPECT_EQ(open_fds(), before);
}

TEST(Hostile, AnFdThatDidNotComeIsRefused) {
    for (const auto& body : bodies()) {
        EXPECT_EQ(error_of(body.bytes, body.fds), 0) << body.name;
        if (body.fds == 0) continue;
        EXPECT_EQ(error_of(body.bytes, 0), EPROTO) << body.name;
        // What the instructions name is looked at when they are.
        if (body.name != "prog_load") {
            EXPECT_EQ(error_of(body.bytes, body.fds - 1), EPROTO) << body.name;
        }
    }
}

TEST(Hostile, MutationsKeepTheInvariants) {
    std::mt19937 random(20240601);
    const int rounds = std::getenv("BPFWARDEN_SOAK") != nullptr ? 1'000'000 : 20'000;
    const auto before = open_fds();
    for (int i = 0; i < rounds; ++i) {
        auto bytes = bodies()[random() % bodies().size()].bytes;
        for (auto changes = 1 + random() % 4; changes > 0; --changes) {
            const auto at = random() % bytes.size();
            switch (random() % 4) {
                case 0:
                    bytes[at] = static_cast<std::byte>(random());
                    break;
                case 1:
                    bytes[at] ^= static_cast<std::byte>(1U << (random() % 8));
                    break;
                case 2:
                    if (at + 4 <= bytes.size()) std::memset(&bytes[at], random() % 2 == 0 ? 0xFF : 0, 4);
                    break;
                default:
                    bytes.resize(at + 1);
            }
        }
        const auto broken = broken_call(bytes);
        ASSERT_EQ(broken, "") << "round " << i;
    }
    EXPECT_EQ(open_fds(), before);
}

// Attributes that a command does not have are the kernel's to give a meaning to one day.
TEST(Hostile, UnknownAttributesMustBeZero) {
    for (const auto& body : bodies()) {
        const auto samples = every_call();
        const auto& sample = *std::ranges::find(samples, body.name, &Sample::name);
        if (sample.layout.size == sizeof(bpf_attr)) continue;
        for (const std::size_t offset : {std::size_t{sample.layout.size}, sizeof(bpf_attr) - 1}) {
            auto bytes = body.bytes;
            bytes[8 + offset] = std::byte{1};
            EXPECT_EQ(error_of(bytes, body.fds), EINVAL) << body.name << " at " << offset;
        }
    }
    // Those past the end of what this release knows.
    Writer writer;
    const bpf_attr attr{};
    writer.number(std::uint32_t{BPF_LINK_DETACH});
    writer.number(static_cast<std::uint32_t>(sizeof attr + 8));
    writer.raw(std::as_bytes(std::span(&attr, 1)));
    writer.number(std::uint64_t{1});
    EXPECT_EQ(error_of(writer.bytes(), 1), E2BIG);
}

TEST(Hostile, ATextWithANulIsRefused) {
    // The grant would be asked about one name, and the kernel would see another.
    for (const auto& body : bodies()) {
        auto bytes = body.bytes;
        const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        const auto at = all.find(body.name.contains("kprobe_multi") ? "function_2" : "GPL");
        if (at == all.npos) continue;
        bytes[at + 1] = std::byte{0};
        EXPECT_EQ(error_of(bytes, body.fds), EINVAL) << body.name;
    }
}

TEST(Hostile, ManyNamesThatDidNotComeCostNothing) {
    Writer writer;
    bpf_attr attr{};
    attr.link_create.attach_type = BPF_TRACE_KPROBE_MULTI;
    attr.link_create.prog_fd = no_fd;
    for (const std::uint32_t count : {1U << 20, (1U << 20) + 1, ~0U}) {
        attr.link_create.kprobe_multi.cnt = count;
        writer.clear();
        writer.number(std::uint32_t{BPF_LINK_CREATE});
        writer.number(static_cast<std::uint32_t>(sizeof attr));
        writer.raw(std::as_bytes(std::span(&attr, 1)));
        writer.number(std::uint8_t{1});
        writer.number(std::uint32_t{0});
        EXPECT_EQ(error_of(writer.bytes(), 0), count > 1U << 20 ? E2BIG : EPROTO);
    }
}

// An answer that is broken, or longer than what was asked for, never reaches the caller's memory past its buffers.
TEST(Hostile, AnswersAreCheckedToo) {
    std::mt19937 random(7);
    for (auto& sample : every_call()) {
        const auto request = BpfRequest::of(sample.command, &sample.attr, sizeof sample.attr);
        ASSERT_TRUE(request);
        Receiver receiver;
        const auto message = sent(*request, receiver);
        const auto call = BpfCall::of(message);
        ASSERT_TRUE(call);
        Writer writer;
        call->write_answer(writer, 0);
        const std::vector<std::byte> good(writer.bytes().begin(), writer.bytes().end());
        for (std::size_t length = 0; length < good.size(); ++length) {
            Message answer;
            answer.body = Bytes(good).first(length);
            EXPECT_FALSE(
                request->take_answer(answer, reinterpret_cast<std::uint64_t>(&sample.attr), sizeof sample.attr))
                << sample.name << " " << length;
        }
        for (int i = 0; i < 300; ++i) {
            auto bytes = good;
            bytes[random() % bytes.size()] = static_cast<std::byte>(random());
            bytes[random() % bytes.size()] = static_cast<std::byte>(random());
            Message answer;
            answer.body = bytes;
            (void)request->take_answer(answer, reinterpret_cast<std::uint64_t>(&sample.attr), sizeof sample.attr);
        }
    }
}

}  // namespace bpfwarden::wire
