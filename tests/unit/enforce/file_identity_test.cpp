// SPDX-License-Identifier: Apache-2.0
// What a file is known by, against what other programs say of it. (Digests by fs-verity and labels that the kernel
// reads are in tests/vm/policy_pins_test.cpp.)
#include "enforce/file_identity.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace bpfwarden::enforce {

namespace fs = std::filesystem;
using policy::PinKind;

class FileIdentityTest : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string place = fs::temp_directory_path() / "bw-identity-XXXXXX";
        ASSERT_NE(::mkdtemp(place.data()), nullptr);
        place_ = place;
        file_ = place_ / "file";
        std::ofstream(file_) << "abc";
    }
    void TearDown() override { fs::remove_all(place_); }

    static std::string text_of(const FileIdentity& file, PinKind kind) {
        const auto at = std::ranges::find(file.pins, kind, &policy::Pin::kind);
        return at == file.pins.end() ? "" : policy::text_of(*at);
    }

    fs::path place_, file_;
};

TEST_F(FileIdentityTest, TheDigestIsOfItsContents) {
    const auto file = identify_file(file_);
    ASSERT_TRUE(file);
    // FIPS 180-2, B.1.
    EXPECT_EQ(text_of(*file, PinKind::ima), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(text_of(*file, PinKind::fsverity), "");
    EXPECT_EQ(text_of(*file, PinKind::label), "");
    std::ofstream(file_, std::ios::app) << "d";
    EXPECT_NE(text_of(*identify_file(file_), PinKind::ima), text_of(*file, PinKind::ima));
}

TEST_F(FileIdentityTest, TheNumberIsItsInodes) {
    const auto file = identify_file(file_);
    ASSERT_TRUE(file);
    struct stat status{};
    ASSERT_EQ(::stat(file_.c_str(), &status), 0);
    const int fd = ::open(file_.c_str(), O_RDONLY | O_CLOEXEC);
    long generation = 0;
    const bool told = ::ioctl(fd, FS_IOC_GETVERSION, &generation) == 0;
    ::close(fd);
    ASSERT_EQ(file->identity.has_value(), told);
    if (told) {
        EXPECT_EQ(file->identity->inode, status.st_ino);
        EXPECT_EQ(file->identity->generation, static_cast<std::uint32_t>(generation));
    }
    // A link is followed, another file is another.
    fs::create_symlink(file_, place_ / "link");
    fs::copy_file(file_, place_ / "copy");
    EXPECT_EQ(identify_file(place_ / "link")->identity, file->identity);
    if (told) {
        EXPECT_NE(identify_file(place_ / "copy")->identity, file->identity);
    }
}

TEST_F(FileIdentityTest, LabelsThatItHas) {
    if (::setxattr(file_.c_str(), "user.bpfwarden", "web", 3, 0)) {
        ASSERT_EQ(errno, EOPNOTSUPP);
        EXPECT_EQ(text_of(*identify_file(file_), PinKind::user_label), "") << "a file system without attributes";
        return;
    }
    EXPECT_EQ(text_of(*identify_file(file_), PinKind::user_label), "web");
    EXPECT_EQ(text_of(*identify_file(file_), PinKind::label), "");
    // One that no policy can have is none.
    ASSERT_EQ(::setxattr(file_.c_str(), "user.bpfwarden", std::string(49, 'x').c_str(), 49, 0), 0);
    EXPECT_EQ(text_of(*identify_file(file_), PinKind::user_label), "");
}

TEST_F(FileIdentityTest, WhatHasNone) {
    EXPECT_EQ(identify_file(place_ / "missing").error().code(), Code::not_found);
    ASSERT_EQ(::mkfifo((place_ / "fifo").c_str(), 0600), 0);
    EXPECT_EQ(identify_file(place_ / "fifo").error().code(), Code::bad_input);
    EXPECT_EQ(identify_file("/dev/null").error().code(), Code::bad_input);
    const auto directory = identify_file(place_);
    ASSERT_TRUE(directory);
    EXPECT_TRUE(directory->pins.empty());
}

}  // namespace bpfwarden::enforce
