// SPDX-License-Identifier: Apache-2.0
// A small tmpfs that becomes full, in a mount namespace of its own.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "unit/audit/logs.hpp"

namespace bpfwarden::audit {

class AuditDiskFull : public LogFolder {
  protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root, to mount a small tmpfs";
        LogFolder::SetUp();
        if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "no mount namespace here";
        ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
        ASSERT_EQ(::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=64k,nr_inodes=5"), 0);
    }
    void TearDown() override {
        if (folder_.empty()) return;
        ::umount2(folder_.c_str(), MNT_DETACH);
        LogFolder::TearDown();
    }
    // All but `left` bytes, and with the last inode where there are rotated files.
    void fill(std::size_t left) const {
        std::ofstream file(folder_ / "filler");
        const std::size_t used = (std::filesystem::file_size(path_) + 4095) / 4096 * 4096;
        file << std::string(65536 - used - left, 'x');
    }
    void make_room() const { std::filesystem::remove(folder_ / "filler"); }
};

TEST_F(AuditDiskFull, ALossIsCountedAndTold) {
    auto log = make_log();
    log.append(operation(0));
    log.flush();
    fill(4096);
    for (int i = 0; i < 100; ++i) log.append(operation(0));  // some 35 kB into some 7 kB
    log.flush();
    const auto lost = log.status()[0].lost;
    EXPECT_GT(lost, 50U);
    EXPECT_LT(lost, 100U) << "what fits is written";
    EXPECT_EQ(log.status()[0].problem->number(), ENOSPC);
    EXPECT_EQ(contents(path_).back(), '\n');
    for (int i = 0; i < 5; ++i) {
        log.append(operation(0));
        log.flush();
    }
    make_room();
    log.append(operation(0));
    log.flush();

    auto reader = Reader::open(path_);
    ASSERT_TRUE(reader);
    std::uint64_t events = 0, told = 0;
    for (const auto& item : read_all(*reader)) {
        ASSERT_TRUE(std::holds_alternative<Event>(item)) << "no hole, no broken line";
        const auto& event = std::get<Event>(item);
        if (event.kind == "gap") {
            told += event.number("lost").value_or(0);
            EXPECT_EQ(event.text("reason"), "No space left on device (ENOSPC)");
        } else {
            ++events;
        }
    }
    EXPECT_EQ(events + told, log.last_seq());
    EXPECT_EQ(told, log.status()[0].lost);
}

// Then the file that is there is written on.
TEST_F(AuditDiskFull, NoRoomForANewFileKeepsTheOldOnes) {
    auto log = make_log(4096, 2);
    for (int i = 0; i < 40; ++i) {  // fills audit.jsonl.2, .1 and audit.jsonl
        log.append(operation(0));
        log.flush();
    }
    const auto before = outline_of(path_);
    fill(0);
    for (int i = 0; i < 40; ++i) {
        log.append(operation(0));
        log.flush();
    }
    make_room();
    log.append(operation(0));
    log.flush();
    const auto after = outline_of(path_);
    EXPECT_EQ(after.find("hole"), std::string::npos) << after;
    EXPECT_EQ(after.find("bad"), std::string::npos) << after;
    EXPECT_TRUE(after.ends_with("81")) << after;
    EXPECT_NE(after.find("gap"), std::string::npos) << after;
}

}  // namespace bpfwarden::audit
