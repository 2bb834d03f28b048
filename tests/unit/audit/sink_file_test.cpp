// SPDX-License-Identifier: Apache-2.0
#include "audit/sink_file.hpp"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/audit/logs.hpp"

namespace bpfwarden::audit {

namespace fs = std::filesystem;

class AuditFile : public LogFolder {
  protected:
    bool exists(const std::string& name) const { return fs::exists(folder_ / name); }
};

// Files of this process cannot grow over `bytes`: as a full disk, with EFBIG instead of ENOSPC, and without root.
class FileLimit {
  public:
    explicit FileLimit(rlim_t bytes) : handler_(::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    FileLimit(const FileLimit&) = delete;
    FileLimit& operator=(const FileLimit&) = delete;
    ~FileLimit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        ::signal(SIGXFSZ, handler_);
    }

  private:
    rlimit before_{};
    sighandler_t handler_;
};

TEST_F(AuditFile, LinesAreAppended) {
    {
        auto log = make_log();
        log.append(operation(1));
        log.append(operation(2));
        EXPECT_EQ(contents(path_), "") << "not before the flush";
        log.flush();
        EXPECT_EQ(outline_of(path_), "1 2");
    }
    auto log = make_log();  // the daemon starts again
    log.append(operation(3));
    log.flush();
    EXPECT_EQ(outline_of(path_), "1 2 1");
}

TEST_F(AuditFile, ModeIsNotForEverybody) {
    const auto mask = ::umask(0);
    open_sink();
    ::umask(mask);
    struct stat status{};
    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640U);
    ASSERT_EQ(::chmod(path_.c_str(), 0600), 0);
    append(path_, line_of(1));
    open_sink();
    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U) << "somebody means it";
}

TEST_F(AuditFile, IsGivenToTheGroup) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give a file to another group";
    const auto sink = FileSink::open({.path = path_, .group = "adm"});
    ASSERT_TRUE(sink);
    struct stat status{};
    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_gid, 4U);
}

TEST_F(AuditFile, OnlyARegularFileIsOpened) {
    ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    EXPECT_FALSE(FileSink::open({.path = path_}));
    fs::remove(path_);
    fs::create_symlink("elsewhere", path_);
    EXPECT_FALSE(FileSink::open({.path = path_}));
    EXPECT_FALSE(exists("elsewhere"));
    EXPECT_EQ(FileSink::open({.path = folder_ / "none" / "x"}).error().code(), Code::not_found);
}

TEST_F(AuditFile, IsRotatedBySize) {
    const auto size = line_of(1).size();
    auto log = make_log(size * 3 + size / 2, 3);
    for (std::uint64_t i = 0; i < 20; ++i) {
        log.append(operation(0));
        log.flush();
    }
    // Three lines a file: the first eight are gone with the files that are not kept.
    EXPECT_EQ(outline_of(path_), "10 11 12 13 14 15 16 17 18 19 20");
    EXPECT_TRUE(exists("audit.jsonl.3"));
    EXPECT_FALSE(exists("audit.jsonl.4"));
    EXPECT_FALSE(exists("audit.jsonl.new"));
    for (const char* name : {"audit.jsonl", "audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.3"})
        EXPECT_LE(fs::file_size(folder_ / name), size * 3 + size / 2);
}

TEST_F(AuditFile, ABatchLargerThanAFileIsWrittenWhole) {
    auto log = make_log(100, 2);
    for (int batch = 0; batch < 2; ++batch) {
        for (int i = 0; i < 10; ++i) log.append(operation(0));
        log.flush();
    }
    EXPECT_EQ(outline_of(path_), "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");
    EXPECT_TRUE(exists("audit.jsonl.1"));
}

TEST_F(AuditFile, KeepingNoneAndOne) {
    for (const unsigned keep : {0U, 1U}) {
        auto log = make_log(100, keep);
        for (int i = 0; i < 3; ++i) {
            log.append(operation(0));
            log.flush();
        }
        EXPECT_EQ(outline_of(path_), keep == 0 ? "3" : "2 3");
        EXPECT_EQ(exists("audit.jsonl.1"), keep == 1);
        EXPECT_FALSE(exists("audit.jsonl.2"));
    }
}

TEST_F(AuditFile, IsReopened) {
    auto log = make_log();
    log.append(operation(1));
    log.flush();
    fs::rename(path_, folder_ / "moved");
    log.append(operation(2));
    log.flush();
    EXPECT_EQ(outline_of(folder_ / "moved"), "1 2") << "control: it goes on in the moved file";
    ASSERT_TRUE(log.reopen());
    log.append(operation(3));
    log.flush();
    EXPECT_EQ(outline_of(folder_ / "moved"), "1 2");
    EXPECT_EQ(outline_of(path_), "3");
}

TEST_F(AuditFile, GoesOnWithItsFileWhenItCannotBeReopened) {
    auto log = make_log();
    fs::rename(path_, folder_ / "moved");
    fs::create_directory(path_);
    EXPECT_FALSE(log.reopen());
    log.append(operation(1));
    log.flush();
    EXPECT_EQ(outline_of(folder_ / "moved"), "1");
}

TEST_F(AuditFile, ADeletedFileIsNotWrittenTo) {
    auto log = make_log();
    log.append(operation(1));
    log.flush();
    fs::remove(path_);
    log.append(operation(2));
    log.flush();
    EXPECT_EQ(outline_of(path_), "2");
}

TEST_F(AuditFile, WhatCannotBeRotatedIsWrittenOn) {
    auto log = make_log(100, 2);
    fs::create_directory(folder_ / "audit.jsonl.new");
    for (int i = 0; i < 3; ++i) {
        log.append(operation(0));
        log.flush();
    }
    EXPECT_EQ(outline_of(path_), "1 2 3");
    fs::remove(folder_ / "audit.jsonl.new");
    for (int i = 0; i < 3; ++i) {
        log.append(operation(0));
        log.flush();
    }
    EXPECT_TRUE(exists("audit.jsonl.1")) << "tried again later";
    EXPECT_EQ(log.status()[0].lost, 0U);
}

TEST_F(AuditFile, AnEarlierDaemonsCutLineIsEndedFirst) {
    append(path_, line_of(1) + line_of(2).substr(0, 40));
    auto log = make_log();
    log.append(operation(1));
    log.flush();
    EXPECT_EQ(outline_of(path_), "1 bad 1");
}

// At every byte where a disk can become full.
TEST_F(AuditFile, NoPartOfALineStaysAtAnyLimit) {
    const auto size = line_of(1).size();
    for (std::size_t limit = size; limit < size * 4; limit += 7) {
        fs::remove(path_);
        auto log = make_log();
        log.append(operation(0));
        log.flush();
        {
            const FileLimit full(limit);
            for (int i = 0; i < 3; ++i) log.append(operation(0));
            log.flush();
        }
        const auto fitted = std::min<std::uint64_t>(limit / size, 4);
        EXPECT_EQ(fs::file_size(path_), fitted * size) << limit;
        log.append(operation(0));
        log.flush();
        std::string expected;
        for (std::uint64_t i = 1; i <= fitted; ++i) expected += std::to_string(i) + " ";
        if (fitted < 4) expected += "gap:" + std::to_string(fitted + 1) + "-4=" + std::to_string(4 - fitted) + " ";
        EXPECT_EQ(outline_of(path_), expected + "5") << limit;
        EXPECT_EQ(contents(path_).back(), '\n');
    }
}

}  // namespace bpfwarden::audit
