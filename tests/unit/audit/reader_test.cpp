// SPDX-License-Identifier: Apache-2.0
#include "audit/reader.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/audit/logs.hpp"

namespace bpfwarden::audit {

namespace fs = std::filesystem;

class AuditReader : public LogFolder {
  protected:
    std::string lines(std::uint64_t from, std::uint64_t to) const {
        std::string text;
        for (auto i = from; i <= to; ++i) text += line_of(i);
        return text;
    }
    std::string more(Reader& reader) const { return outline(read_all(reader)); }
};

TEST_F(AuditReader, OldFilesComeFirst) {
    append(path_, lines(7, 9));
    append(path_ + ".1", lines(4, 6));
    append(path_ + ".2", lines(1, 3));
    append(path_ + ".9", lines(100, 101));  // not in the row
    EXPECT_EQ(outline_of(path_), "1 2 3 4 5 6 7 8 9");
    EXPECT_EQ(outline_of(path_ + ".1"), "4 5 6");
    fs::remove(path_);
    EXPECT_EQ(outline_of(path_), "1 2 3 4 5 6") << "moved away just now";
    append(path_, lines(7, 9));
    fs::rename(path_ + ".2", path_ + ".3");
    EXPECT_EQ(outline_of(path_), "1 2 3 4 5 6 7 8 9") << "in the middle of a rotation";
    fs::rename(path_ + ".1", path_ + ".2");
    EXPECT_EQ(outline_of(path_), "1 2 3 4 5 6 7 8 9");
}

TEST_F(AuditReader, WhatCannotBeRead) {
    EXPECT_EQ(Reader::open(path_).error().code(), Code::not_found);
    EXPECT_EQ(Reader::open(folder_).error().code(), Code::bad_input);
    append(path_, "");
    EXPECT_EQ(outline_of(path_), "");
    if (::geteuid() != 0) {
        fs::permissions(path_, fs::perms::none);
        EXPECT_EQ(Reader::open(path_).error().code(), Code::denied);
    }
}

TEST_F(AuditReader, HolesAreSeen) {
    append(path_, lines(5, 6) + lines(9, 9) + lines(10, 10) + lines(12, 12));
    EXPECT_EQ(outline_of(path_), "5 6 hole:7-8 9 10 hole:11-11 12") << "what is before the first may have been rotated";
}

TEST_F(AuditReader, AHoleBetweenFiles) {
    append(path_ + ".2", lines(1, 3));
    append(path_ + ".1", lines(6, 7));
    append(path_, lines(8, 8));
    EXPECT_EQ(outline_of(path_), "1 2 3 hole:4-5 6 7 8");
}

TEST_F(AuditReader, AGapAccountsForExactlyItsNumbers) {
    Event gap{.kind = "gap", .fields = {}};
    gap.set("lost", 3).set("first_seq", 3);
    append(path_, lines(1, 2) + line_of(5, gap) + lines(6, 6));
    EXPECT_EQ(outline_of(path_), "1 2 gap:3-5=3 6");
    append(path_, lines(7, 7) + line_of(12, gap.set("first_seq", 10)) + lines(13, 13));
    EXPECT_EQ(outline_of(path_), "1 2 gap:3-5=3 6 7 hole:8-9 gap:10-12=3 13");
}

TEST_F(AuditReader, AnotherLifeOfTheDaemon) {
    append(path_, lines(1, 3) + lines(1, 2));
    EXPECT_EQ(outline_of(path_), "1 2 3 1 2");
    append(path_, lines(2, 2));
    EXPECT_EQ(outline_of(path_), "1 2 3 1 2 hole:1-1 2") << "its first events are missing";
}

TEST_F(AuditReader, CutAndBrokenLines) {
    append(path_, lines(1, 1) + "garbage\n" + lines(2, 2) + "{\"a\":\n\n" + line_of(3).substr(0, 50));
    EXPECT_EQ(outline_of(path_), "1 bad 2 bad") << "the last line is not yet there";
    append(path_, line_of(3).substr(50));
    EXPECT_EQ(outline_of(path_), "1 bad 2 bad 3");
    append(path_ + ".1", line_of(1) + line_of(2).substr(0, 50));
    EXPECT_EQ(outline_of(path_), "1 bad 1 bad 2 bad 3") << "nothing will come in an old file";
    auto reader = Reader::open(path_);
    const auto items = read_all(*reader);
    const auto& bad = std::get<BadLine>(items[1]);
    EXPECT_EQ(bad.file, path_ + ".1");
    EXPECT_EQ(bad.offset, line_of(1).size());
}

TEST_F(AuditReader, EveryTruncation) {
    const auto text = lines(1, 3), line = line_of(1);
    for (std::size_t size = 0; size <= text.size(); ++size) {
        fs::remove(path_);
        append(path_, text.substr(0, size));
        const char* expected[] = {"", "1", "1 2", "1 2 3"};
        ASSERT_EQ(outline_of(path_), expected[size / line.size()]) << size;
    }
}

TEST_F(AuditReader, AVeryLongLineCostsNothing) {
    append(path_, lines(1, 1) + std::string(1 << 20, 'x') + "\n" + lines(2, 2));
    EXPECT_EQ(outline_of(path_), "1 bad 2");
    append(path_, std::string(1 << 20, 'x'));
    EXPECT_EQ(outline_of(path_), "1 bad 2");
    fs::rename(path_, path_ + ".1");
    append(path_, "\n" + lines(3, 3));
    EXPECT_EQ(outline_of(path_), "1 bad 2 3");
}

TEST_F(AuditReader, OnlyTheEnd) {
    append(path_ + ".1", lines(1, 50));
    append(path_, lines(51, 60));
    const auto whole = Reader::open(path_);
    EXPECT_TRUE(whole->is_whole());
    const auto size = line_of(55).size();
    auto few = Reader::open(path_, size * 3 + 5);
    EXPECT_FALSE(few->is_whole());
    EXPECT_EQ(more(*few), "58 59 60");
    auto both = Reader::open(path_, size * 12 + 5);
    EXPECT_EQ(more(*both), "49 50 51 52 53 54 55 56 57 58 59 60");
    EXPECT_EQ(more(*both), "");
}

TEST_F(AuditReader, OldFilesCanBeLeftOut) {
    append(path_ + ".2", lines(1, 2));
    append(path_ + ".1", lines(3, 4));
    append(path_, lines(5, 6));
    const auto now = fs::file_time_type::clock::now();
    fs::last_write_time(path_ + ".2", now - std::chrono::hours(48));
    fs::last_write_time(path_ + ".1", now - std::chrono::hours(24));
    auto reader = Reader::open(path_);
    reader->skip_before(now_ns() - std::uint64_t{36} * 3600 * 1'000'000'000);
    EXPECT_EQ(more(*reader), "3 4 5 6");
    reader = Reader::open(path_);
    reader->skip_before(now_ns() + std::uint64_t{3600} * 1'000'000'000);
    EXPECT_EQ(more(*reader), "5 6") << "the present one is always read";
    reader = Reader::open(path_, line_of(1).size() * 3 + 5);
    EXPECT_FALSE(reader->is_whole());
    reader->skip_before(now_ns() - std::uint64_t{3600} * 1'000'000'000);
    EXPECT_TRUE(reader->is_whole()) << "nothing older could be wanted";
    EXPECT_EQ(more(*reader), "5 6");
}

TEST_F(AuditReader, FollowsWhatIsWritten) {
    append(path_, lines(1, 2));
    auto reader = Reader::open(path_);
    reader->watch();
    ASSERT_GE(reader->changed().get(), 0);
    const auto is_changed = [&] {
        pollfd polled{reader->changed().get(), POLLIN, 0};
        return ::poll(&polled, 1, 0) == 1;
    };
    EXPECT_EQ(more(*reader), "1 2");
    EXPECT_FALSE(is_changed());
    append(path_, lines(3, 3) + line_of(4).substr(0, 20));
    EXPECT_TRUE(is_changed());
    EXPECT_EQ(more(*reader), "3");
    EXPECT_FALSE(is_changed());
    append(path_, line_of(4).substr(20));
    EXPECT_TRUE(is_changed());
    EXPECT_EQ(more(*reader), "4");
}

// As the daemon does when the disk is full.
TEST_F(AuditReader, APartThatIsCutOffAgainIsNotKept) {
    append(path_, lines(1, 1) + line_of(2, operation(99)).substr(0, 60));
    auto reader = Reader::open(path_);
    EXPECT_EQ(more(*reader), "1");
    fs::resize_file(path_, line_of(1).size());
    EXPECT_EQ(more(*reader), "");
    append(path_, lines(2, 3));
    EXPECT_EQ(more(*reader), "2 3");
}

TEST_F(AuditReader, FollowsRotation) {
    append(path_, lines(1, 2));
    auto reader = Reader::open(path_);
    EXPECT_EQ(more(*reader), "1 2");
    append(path_, lines(3, 3));
    fs::rename(path_, path_ + ".1");
    append(path_, lines(4, 4));
    EXPECT_EQ(more(*reader), "3 4");
    for (std::uint64_t i = 5; i < 8; ++i) {  // three at once
        for (unsigned number = 8; number > 0; --number)
            if (fs::exists(path_ + "." + std::to_string(number)))
                fs::rename(path_ + "." + std::to_string(number), path_ + "." + std::to_string(number + 1));
        fs::rename(path_, path_ + ".1");
        append(path_, lines(i, i));
    }
    EXPECT_EQ(more(*reader), "5 6 7");
    fs::remove(path_);
    EXPECT_EQ(more(*reader), "");
    append(path_, lines(8, 8));
    EXPECT_EQ(more(*reader), "8") << "deleted and made anew: nothing is read twice";
    std::ofstream(path_, std::ios::trunc) << line_of(9).substr(0, 20);
    EXPECT_EQ(more(*reader), "");
}

// The daemon writes and rotates as fast as it can, another process reads.
TEST_F(AuditReader, NothingIsMissedWhileTheDaemonRotates) {
    const std::uint64_t count = std::getenv("BPFWARDEN_SOAK") ? 200'000 : 5'000;
    auto log = make_log(40'000, 1000);
    log.append(operation(0));
    log.flush();
    const pid_t child = ::fork();
    if (child == 0) {
        for (std::uint64_t i = 1; i < count; ++i) {
            log.append(operation(i));
            if (i % 3 == 0) log.flush();
        }
        log.flush();
        ::_exit(0);
    }
    auto reader = Reader::open(path_);
    ASSERT_TRUE(reader);
    reader->watch();
    std::uint64_t next = 1;
    bool ended = false;
    while (next <= count) {
        while (const auto item = reader->next()) {
            ASSERT_TRUE(std::holds_alternative<Event>(*item))
                << outline({*item}) << " where " << next << " is expected";
            ASSERT_EQ(std::get<Event>(*item).seq, next);
            ++next;
        }
        ASSERT_FALSE(ended && next <= count) << next;
        ended = ended || ::waitpid(child, nullptr, WNOHANG) == child;
    }
    if (!ended) ::waitpid(child, nullptr, 0);
    EXPECT_TRUE(fs::exists(path_ + ".2"));
}

// Each time the whole log is opened anew: what was there before must be there again.
TEST_F(AuditReader, OldFilesAreFoundWhileTheDaemonRotates) {
    auto log = make_log(2'000, 200);
    log.append(operation(0));
    log.flush();
    const pid_t child = ::fork();
    if (child == 0) {
        for (std::uint64_t i = 1; i < 800; ++i) {
            log.append(operation(i));
            log.flush();
        }
        ::_exit(0);
    }
    std::uint64_t last = 1;
    while (::waitpid(child, nullptr, WNOHANG) == 0) {
        auto reader = Reader::open(path_);
        ASSERT_TRUE(reader);
        std::uint64_t next = 1;
        while (const auto item = reader->next()) {
            ASSERT_TRUE(std::holds_alternative<Event>(*item))
                << outline({*item}) << " where " << next << " is expected";
            ASSERT_EQ(std::get<Event>(*item).seq, next);
            ++next;
        }
        ASSERT_GE(next, last);
        last = next;
    }
    EXPECT_GT(last, 1U);
}

}  // namespace bpfwarden::audit
