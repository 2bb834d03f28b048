// SPDX-License-Identifier: Apache-2.0
// A grant that goes to another process is the same grant there.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "broker/grant_texts.hpp"
#include "grant/diff.hpp"

namespace bpfwarden::broker {

namespace fs = std::filesystem;

class Texts : public ::testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/bpfwarden-texts.XXXXXX";
        root_ = ::mkdtemp(name);
        fs::create_directories(root_ + "/etc/bpfwarden/grants.d");
    }
    void TearDown() override { fs::remove_all(root_); }
    std::string write_file(const std::string& name, const std::string& text) const {
        const auto path = root_ + "/etc/bpfwarden/grants.d/" + name;
        std::ofstream(path) << text;
        return path;
    }
    std::string root_;
};

TEST_F(Texts, WithItsIncludes) {
    write_file("base.toml", "format = 1\n[allow]\nmap_types = ['array']\n");
    const auto path =
        write_file("top.toml", "format = 1\ninclude = ['base', './more.toml']\n[allow]\nmap_types = ['hash']\n");
    write_file("more.toml", "format = 1\n[allow]\ncapabilities = ['bpf']\n[limits]\nmaps = 3\n");
    const auto loaded = load_grant(path, {.root = root_});
    ASSERT_TRUE(loaded) << loaded.error().text("load");
    wire::Writer to;
    write(to, loaded->texts);
    wire::Reader from(to.bytes());
    const auto texts = read_texts(from);
    ASSERT_TRUE(from.done());
    const auto there = resolve(texts);
    ASSERT_TRUE(there) << there.error().text("resolve");
    EXPECT_TRUE(grant::diff(loaded->grant, *there).changes.empty());
    EXPECT_TRUE(there->of(grant::Dimension::map_types).contains("array"));
    EXPECT_EQ(texts.revision(), loaded->texts.revision());
}

TEST_F(Texts, ARevisionChangesWithAnyOfItsFiles) {
    write_file("base.toml", "format = 1\n[allow]\nmap_types = ['array']\n");
    const auto path = write_file("top.toml", "format = 1\ninclude = ['base']\n");
    const auto before = load_grant(path, {.root = root_})->texts.revision();
    EXPECT_EQ(load_grant(path, {.root = root_})->texts.revision(), before);
    write_file("base.toml", "format = 1\n[allow]\nmap_types = ['array', 'hash']\n");
    EXPECT_NE(load_grant(path, {.root = root_})->texts.revision(), before);
}

// A program that derives a session must not make the daemon read files for it.
TEST_F(Texts, WhatAProgramSendsIncludesNothing) {
    const auto path = write_file("base.toml", "format = 1\n");
    EXPECT_TRUE(read_derived("format = 1\n[allow]\nmap_types = ['array']\n"));
    EXPECT_FALSE(read_derived("format = 1\ninclude = ['" + path + "']\n"));
    EXPECT_FALSE(read_derived("format = 1\ninclude = ['derived']\n"));
    EXPECT_FALSE(read_derived("no grant"));
}

TEST_F(Texts, BrokenOnesAreRefused) {
    const auto loaded = load_grant(write_file("top.toml", "format = 1\n[allow]\nmap_types = ['array']\n"));
    wire::Writer to;
    write(to, loaded->texts);
    for (std::size_t cut = 0; cut < to.bytes().size(); ++cut) {
        wire::Reader from(to.bytes().first(cut));
        (void)read_texts(from);
        EXPECT_FALSE(from.done()) << cut;
    }
}

}  // namespace bpfwarden::broker
