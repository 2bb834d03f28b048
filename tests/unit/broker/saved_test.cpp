// SPDX-License-Identifier: Apache-2.0
// What one daemon leaves to the next: nothing is lost on the way, and nothing but that is taken.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <random>

#include "broker/fd_store.hpp"
#include "broker/saved_session.hpp"
#include "broker/session_notes.hpp"

namespace bpfwarden::broker {

namespace {

SavedSession full() {
    GrantTexts texts{.file = "/etc/a.toml",
                     .texts = {{"/etc/a.toml", "format = 1\n"}, {"/etc/b.toml", "[allow]\n"}},
                     .included = {{{"/etc/a.toml", "b"}, "/etc/b.toml"}}};
    return {.id = "0123abcd",
            .ancestors = {"00000001", "ffffffff"},
            .chain = {{"name", "rev", texts}, {"name", "rev2", texts}, {"name", "", {}}},
            .signers = {{"release", "-----BEGIN CERTIFICATE-----"}, {"site", ""}},
            .own_counters = 1,
            .opened_ns = 77,
            .ends_at_ms = ~std::uint64_t{0},
            .path = "/run/x",
            .opener = {.uid = 1000, .gid = 1, .pid = 4242, .exe = "/bin/a b", .cgroup = "/c", .container = "d"}};
}

std::vector<std::byte> bytes_of(const SavedSession& session) {
    wire::Writer to;
    write(to, session);
    return {to.bytes().begin(), to.bytes().end()};
}

UniqueFd memory_with(wire::Bytes bytes) {
    UniqueFd memory(::memfd_create("test", MFD_CLOEXEC));
    EXPECT_EQ(::write(memory.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    return memory;
}
UniqueFd copy(FdRef fd) { return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3)); }

std::map<std::uint64_t, std::uint64_t> maps_of(const SessionNotes& notes) {
    std::map<std::uint64_t, std::uint64_t> all;
    for (const auto& map : notes.maps()) all[map.id] = map.memory;
    return all;
}

}  // namespace

TEST(SavedSession, ComesBackAsItWas) {
    const auto session = full();
    const auto bytes = bytes_of(session);
    const auto read = read_saved(bytes);
    ASSERT_TRUE(read) << read.error().what();
    EXPECT_EQ(read->id, session.id);
    EXPECT_EQ(read->ancestors, session.ancestors);
    ASSERT_EQ(read->chain.size(), 3U);
    EXPECT_EQ(read->chain[0].texts.texts, session.chain[0].texts.texts);
    EXPECT_EQ(read->chain[1].texts.included, session.chain[1].texts.included);
    EXPECT_EQ(read->ends_at_ms, session.ends_at_ms);
    EXPECT_EQ(read->opener.exe, session.opener.exe);
    // All that is written is read: written again, it is the same.
    EXPECT_EQ(bytes_of(*read), bytes);
}

TEST(SavedSession, WhatIsCutOffOrLongerIsRefused) {
    const auto bytes = bytes_of(full());
    for (std::size_t size = 0; size < bytes.size(); ++size)
        EXPECT_FALSE(read_saved(std::span(bytes).first(size))) << size;
    auto longer = bytes;
    longer.push_back({});
    EXPECT_FALSE(read_saved(longer));
}

// Broken bytes are refused, or are another session of the same form; nothing else happens.
TEST(SavedSession, BrokenBytes) {
    const auto bytes = bytes_of(full());
    std::mt19937 random(3);
    for (int i = 0; i < 20'000; ++i) {
        auto broken = bytes;
        for (auto n = 1 + random() % 4; n > 0; --n)
            broken[random() % broken.size()] = static_cast<std::byte>(random() % 3 == 0 ? 0xff : random());
        if (const auto read = read_saved(broken)) {
            EXPECT_TRUE(is_session_id(read->id));
            EXPECT_FALSE(read->chain.empty());
            EXPECT_LE(read->own_counters, most_own_counters);
        }
    }
    EXPECT_FALSE(read_saved({}));
}

TEST(SavedSession, AnotherVersionIsRefused) {
    auto bytes = bytes_of(full());
    bytes[8] ^= std::byte{3};
    const auto read = read_saved(bytes);
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().what().find("another release"), std::string::npos);
}

TEST(SavedSession, NumbersThatDoNotFitAreRefused) {
    for (const auto& change : std::vector<std::function<void(SavedSession&)>>{
             [](auto& one) { one.chain.clear(); },
             [](auto& one) { one.own_counters = 0; },
             [](auto& one) { one.own_counters = 2; },
             [](auto& one) { one.ancestors.emplace_back("00000002"); },
             [](auto& one) { one.ancestors.clear(); },
             [](auto& one) { one.id = "0123abc"; },
             [](auto& one) { one.id = "0123ABCD"; },
             [](auto& one) { one.ancestors[0] = "../../.."; },
         }) {
        auto session = full();
        change(session);
        EXPECT_FALSE(read_saved(bytes_of(session)));
    }
}

TEST(SavedSession, OnlySealedMemoryIsRead) {
    const auto bytes = bytes_of(full());
    EXPECT_FALSE(load_saved(memory_with(bytes))) << "somebody could still write to it";
    const auto sealed = wire::sealed_memory("test", bytes);
    EXPECT_TRUE(load_saved(*sealed));
    EXPECT_FALSE(load_saved(UniqueFd(::eventfd(0, EFD_CLOEXEC))));
}

TEST(SessionNotes, AreTakenOver) {
    auto notes = SessionNotes::create();
    ASSERT_TRUE(notes);
    for (const std::uint32_t id : {5U, 6U, 7U, 0xffff'ffffU}) notes->add_map(id, id * std::uint64_t{10});
    notes->add_map(6, 999);
    notes->remove_map(5);
    notes->remove_map(5);
    notes->remove_map(7);
    notes->counted = {.operations = 12, .refusals = 3};
    notes->save_counted();
    notes->set_worker(99);
    notes->set_greeted();
    auto next = SessionNotes::adopt(copy(notes->memory()));
    ASSERT_TRUE(next) << next.error().what();
    EXPECT_EQ(maps_of(*next), (std::map<std::uint64_t, std::uint64_t>{{6, 60}, {0xffff'ffff, 42'949'672'950}}));
    EXPECT_EQ(next->counted, (SessionNotes::Counted{12, 3}));
    EXPECT_EQ(next->worker(), 99);
    EXPECT_TRUE(next->was_greeted());
    EXPECT_FALSE(next->has_ended());
    // And written on by the next.
    next->remove_map(6);
    next->add_map(8, 80);
    next->set_ended();
    const auto third = SessionNotes::adopt(copy(next->memory()));
    ASSERT_TRUE(third);
    EXPECT_EQ(maps_of(*third), (std::map<std::uint64_t, std::uint64_t>{{8, 80}, {0xffff'ffff, 42'949'672'950}}));
    EXPECT_TRUE(third->has_ended());
}

// Killed after any write of a removal: as before, or as after.
TEST(SessionNotes, AreWholeAtEveryMoment) {
    auto notes = SessionNotes::create();
    notes->counted.operations = 4;
    notes->save_counted();
    for (std::uint32_t id = 1; id <= 4; ++id) notes->add_map(id, id);
    constexpr off_t entry = 16;
    const auto end = ::lseek(notes->memory().get(), 0, SEEK_END);
    // The last one is in the place of the second, and counts there too.
    std::uint64_t last[2];
    ASSERT_EQ(::pread(notes->memory().get(), last, sizeof last, end - entry), entry);
    ASSERT_EQ(::pwrite(notes->memory().get(), last, sizeof last, end - 3 * entry), entry);
    const auto next = SessionNotes::adopt(copy(notes->memory()));
    ASSERT_TRUE(next) << next.error().what();
    EXPECT_EQ(maps_of(*next), (std::map<std::uint64_t, std::uint64_t>{{1, 1}, {3, 3}, {4, 4}}));
    const auto again = SessionNotes::adopt(copy(notes->memory()));
    ASSERT_TRUE(again);
    EXPECT_EQ(maps_of(*again), maps_of(*next));
    EXPECT_EQ(again->counted.operations, 4U);
}

TEST(SessionNotes, WhatIsNoneIsRefused) {
    const auto zeros = std::vector<std::byte>(4096);
    EXPECT_FALSE(SessionNotes::adopt(memory_with(zeros)));
    EXPECT_FALSE(SessionNotes::adopt(memory_with({})));
    EXPECT_FALSE(SessionNotes::adopt(UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))));
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd write_end(ends[1]);
    EXPECT_FALSE(SessionNotes::adopt(UniqueFd(ends[0]))) << "and it does not wait for a writer";
    // More maps than there is memory for.
    auto notes = SessionNotes::create();
    notes->add_map(1, 1);
    for (const std::uint64_t claimed : {std::uint64_t{2}, ~std::uint64_t{0}, ~std::uint64_t{0} / 16}) {
        ASSERT_EQ(::pwrite(notes->memory().get(), &claimed, sizeof claimed, 8), 8);
        EXPECT_FALSE(SessionNotes::adopt(copy(notes->memory()))) << claimed;
    }
}

// Everything goes through one environment variable.
TEST(FdStore, WhatFitsIntoTheNames) {
    EXPECT_LE(FdStore::most_fds * (piece_name(Piece::state, "0123abcd").size() + 1), FdStore::most_name_bytes);
    EXPECT_LE(FdStore::most_name_bytes + sizeof "LISTEN_FDNAMES=control:", 32U * 4096) << "MAX_ARG_STRLEN";
    ::unsetenv("NOTIFY_SOCKET");
    auto nobody = FdStore::of_service_manager();
    EXPECT_FALSE(nobody.keeps());
    EXPECT_FALSE(nobody.keep(Piece::notes, "0123abcd", UniqueFd(::eventfd(0, EFD_CLOEXEC))));
}

}  // namespace bpfwarden::broker
