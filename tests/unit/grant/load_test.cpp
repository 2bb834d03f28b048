// SPDX-License-Identifier: Apache-2.0
#include "grant/load.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "grants.hpp"

namespace bpfwarden::grant {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Load : public ::testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/bpfwarden-grant-test-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        root_ = name;
    }
    void TearDown() override { fs::remove_all(root_); }

    std::string put(const std::string& path, const std::string& text) {
        const auto full = root_ / path;
        fs::create_directories(full.parent_path());
        std::ofstream(full) << text;
        return full;
    }
    LoadOptions options() const { return {root_.string()}; }

    fs::path root_;
};

TEST_F(Load, ByPathAndByName) {
    const auto path = put("etc/bpfwarden/grants.d/web.toml", "format = 1\n");
    EXPECT_EQ(load_file(path, options())->name, "web");
    EXPECT_EQ(load_file("web", options())->name, "web");
    const auto missing = load_file("wbe", options());
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code(), Code::not_found);
    EXPECT_THAT(missing.error().text(""), HasSubstr("did you mean web?"));
    EXPECT_EQ(load_file((root_ / "no.toml").string(), options()).error().code(), Code::not_found);
}

TEST_F(Load, EtcWinsByFileName) {
    put("usr/lib/bpfwarden/grants.d/a.toml", "format = 1\ndescription = 'vendor'\n");
    put("usr/lib/bpfwarden/grants.d/b.toml", "format = 1\ndescription = 'vendor'\n");
    put("etc/bpfwarden/grants.d/a.toml", "format = 1\ndescription = 'local'\n");
    put("etc/bpfwarden/grants.d/.hidden.toml", "");
    put("etc/bpfwarden/grants.d/README", "");
    EXPECT_EQ(load_file("a", options())->description, "local");
    const auto list = list_installed(options());
    ASSERT_TRUE(list);
    ASSERT_EQ(list->size(), 2U);
    EXPECT_EQ((*list)[0].name, "a");
    EXPECT_TRUE((*list)[0].overrides);
    EXPECT_FALSE((*list)[1].overrides);
    EXPECT_TRUE(list_installed({(root_ / "nowhere").string()})->empty());
}

TEST_F(Load, IncludesCountFromTheIncludingFile) {
    const auto path = put("x/top.toml", "format = 1\ninclude = ['sub/part.toml', 'installed']\n");
    put("x/sub/part.toml", "format = 1\ninclude = ['../leaf.toml']\n");
    put("x/leaf.toml", "format = 1\n[allow]\nmap_types = ['hash']\n");
    put("usr/lib/bpfwarden/grants.d/installed.toml", "format = 1\n[allow]\nmap_types = ['queue']\n");
    const auto grant = load_file(path, options());
    ASSERT_TRUE(grant) << grant.error().text("");
    EXPECT_TRUE(grant->of(Dimension::map_types).contains("hash"));
    EXPECT_TRUE(grant->of(Dimension::map_types).contains("queue"));
    EXPECT_EQ(grant->files.size(), 4U);
}

TEST_F(Load, ACycleThroughALinkIsACycle) {
    const auto path = put("a.toml", "format = 1\ninclude = ['./link.toml']\n");
    fs::create_symlink(path, root_ / "link.toml");
    const auto grant = load_file(path, options());
    ASSERT_FALSE(grant);
    EXPECT_THAT(grant.error().why(), HasSubstr("includes itself"));
}

TEST_F(Load, OnlyRegularFilesOfABoundedSize) {
    fs::create_directories(root_ / "d.toml");
    EXPECT_EQ(load_file(root_ / "d.toml").error().code(), Code::bad_input);
    ASSERT_EQ(::mkfifo((root_ / "f.toml").c_str(), 0600), 0);
    EXPECT_EQ(load_file(root_ / "f.toml").error().code(), Code::bad_input) << "and it did not wait for a writer";
    EXPECT_EQ(load_file("/dev/zero").error().code(), Code::bad_input);
    const auto large = put("l.toml", "format = 1\n#" + std::string(largest_file, 'x'));
    EXPECT_THAT(load_file(large).error().what(), HasSubstr("is longer than 1MiB"));
    EXPECT_EQ(load_file("").error().code(), Code::usage);
}

TEST_F(Load, AnInvalidGrantIsAnErrorWithAllItsProblems) {
    const auto path = put("bad.toml", "format = 1\nnam = 'x'\n[allow]\nmap_types = ['hsh']\n");
    const auto grant = load_file(path);
    ASSERT_FALSE(grant);
    EXPECT_EQ(grant.error().code(), Code::bad_input);
    EXPECT_THAT(grant.error().why(), HasSubstr("unknown key \"nam\""));
    EXPECT_THAT(grant.error().why(), HasSubstr("\"hsh\" is no map type"));
    const auto checked = check_file(path);
    ASSERT_TRUE(checked);
    EXPECT_FALSE(checked->grant);
    EXPECT_EQ(checked->line({path, 2, 1}), "nam = 'x'");
    EXPECT_EQ(checked->line({path, 99, 1}), "");
    EXPECT_EQ(checked->line({"other", 1, 1}), "");
}

}  // namespace bpfwarden::grant
