// SPDX-License-Identifier: Apache-2.0
// `bpfwarden grant …` as it is called: exit codes, what goes to stdout and what to stderr.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "program.hpp"

namespace bpfwarden {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

static const std::string good = "format = 1\n[allow]\nmap_types = ['hash']\ncapabilities = ['bpf']\n";
static const std::string wider = "format = 1\n[allow]\nmap_types = ['hash', 'queue']\ncapabilities = ['bpf']\n";
static const std::string bad = "format = 1\nnam = 'x'\n";

class Grant : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!fs::exists(program())) GTEST_SKIP() << program() << " is not built";
        char name[] = "/tmp/bpfwarden-cli-test-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        folder_ = name;
        put("good.toml", good);
        put("wider.toml", wider);
        put("bad.toml", bad);
    }
    void TearDown() override {
        if (!folder_.empty()) fs::remove_all(folder_);
    }
    void put(const std::string& path, const std::string& text) {
        fs::create_directories((folder_ / path).parent_path());
        std::ofstream(folder_ / path) << text;
    }
    Outcome run(std::vector<std::string> args, const std::string& input = "") {
        args.insert(args.begin(), "grant");
        return bpfwarden_run(std::move(args), input, folder_);
    }
    fs::path folder_;
};

TEST_F(Grant, CheckHasAStatusForEachOutcome) {
    const auto ok = run({"check", "good.toml"});
    EXPECT_EQ(ok.status, 0);
    EXPECT_EQ(ok.out, "good.toml: OK\n");
    EXPECT_EQ(ok.err, "");
    const auto wrong = run({"check", "good.toml", "bad.toml"});
    EXPECT_EQ(wrong.status, 1);
    EXPECT_THAT(wrong.out, HasSubstr("bad.toml:2:1: error: unknown key \"nam\""));
    EXPECT_THAT(wrong.out, HasSubstr("good.toml: OK\n"));
    EXPECT_THAT(wrong.out, HasSubstr("bad.toml: 1 error\n"));
    EXPECT_EQ(run({"check", "none.toml"}).status, 5);
    EXPECT_EQ(run({"check", "/dev/zero"}).status, 6);
    EXPECT_EQ(run({"check"}).status, 2);
    EXPECT_EQ(run({"chekc", "x"}).status, 2);
    EXPECT_EQ(run({"check", "-"}, good).out, "<stdin>: OK\n");
    EXPECT_EQ(run({"check", "-"}, bad).status, 1);
}

TEST_F(Grant, ExplainAnswersByItsStatus) {
    EXPECT_EQ(run({"explain", "good.toml", "map_create", "hash"}).status, 0);
    const auto no = run({"explain", "good.toml", "map_create", "lpm_trie"});
    EXPECT_EQ(no.status, 1);
    EXPECT_THAT(no.out, StartsWith("refused: map_create lpm_trie\n"));
    EXPECT_THAT(no.out, HasSubstr("good.toml:3:1\n    map_types = ['hash']\n    ^"));
    EXPECT_EQ(run({"explain", "good.toml", "map_create hash"}).status, 0) << "in one argument";
    const auto usage = run({"explain", "good.toml", "map_create", "lpm_tree"});
    EXPECT_EQ(usage.status, 2);
    EXPECT_EQ(usage.out, "");
    EXPECT_THAT(usage.err, HasSubstr("did you mean \"lpm_trie\"?"));
    EXPECT_EQ(run({"explain", "good.toml"}).status, 2);
    EXPECT_EQ(run({"explain", "bad.toml", "btf_load"}).status, 6);
    EXPECT_EQ(run({"explain", "none.toml", "btf_load"}).status, 5);
}

TEST_F(Grant, ShowNeedsAValidGrant) {
    EXPECT_EQ(run({"show", "good.toml"}).status, 0);
    const auto wrong = run({"show", "bad.toml"});
    EXPECT_EQ(wrong.status, 6);
    EXPECT_EQ(wrong.out, "");
    EXPECT_THAT(wrong.err, HasSubstr("bad.toml:2:1: error: unknown key"));
}

TEST_F(Grant, DiffTellsWideningByItsStatus) {
    EXPECT_EQ(run({"diff", "good.toml", "good.toml"}).status, 0);
    EXPECT_EQ(run({"diff", "wider.toml", "good.toml"}).status, 0);
    const auto widens = run({"diff", "good.toml", "wider.toml"});
    EXPECT_EQ(widens.status, 1);
    EXPECT_THAT(widens.out, HasSubstr("+ queue"));
    EXPECT_EQ(run({"diff", "good.toml", "-"}, wider).status, 1);
    EXPECT_EQ(run({"diff", "-", "-"}).status, 2);
    EXPECT_EQ(run({"diff", "good.toml", "bad.toml"}).status, 6);
    EXPECT_EQ(run({"diff", "good.toml"}).status, 2);
}

TEST_F(Grant, ListAndNames) {
    put("etc/bpfwarden/grants.d/web.toml", "format = 1\ndescription = 'for the web'\n");
    put("usr/lib/bpfwarden/grants.d/web.toml", good);
    put("usr/lib/bpfwarden/grants.d/broken.toml", bad);
    const auto list = run({"list", "--root", "."});
    EXPECT_EQ(list.status, 0);
    EXPECT_THAT(list.out, HasSubstr("web     for the web (hides the one in /usr/lib)\n"));
    EXPECT_THAT(list.out, HasSubstr("broken  INVALID: "));
    EXPECT_EQ(run({"check", "--root", ".", "web"}).status, 0);
    EXPECT_EQ(run({"check", "--root", ".", "wbe"}).status, 5);
    const auto none = run({"list", "--root", "./nowhere"});
    EXPECT_EQ(none.status, 0);
    EXPECT_EQ(none.out, "");
    EXPECT_THAT(none.err, HasSubstr("no grants are installed"));
}

TEST_F(Grant, InitWritesAGrantThatPasses) {
    for (const std::string name : {"xdp", "tracing", "cgroup"}) {
        const auto text = run({"init", "--template", name, "--user", "alice"});
        EXPECT_EQ(text.status, 0);
        EXPECT_EQ(run({"check", "-"}, text.out).out, "<stdin>: OK\n");
        EXPECT_EQ(run({"init", "--template", name, "--output", name + ".toml"}).status, 0);
        EXPECT_EQ(run({"check", name + ".toml"}).status, 0);
        const auto again = run({"init", "--template", name, "--output", name + ".toml"});
        EXPECT_EQ(again.status, 1) << "never overwrites";
        EXPECT_THAT(again.err, HasSubstr("File exists"));
    }
    EXPECT_EQ(run({"init", "--template", "xdp", "--output", "dry.toml", "--dry-run"}).status, 0);
    EXPECT_FALSE(fs::exists(folder_ / "dry.toml"));
    EXPECT_EQ(run({"init", "--template", "xpd"}).status, 2);
    EXPECT_EQ(run({"init"}).status, 2);
    EXPECT_EQ(run({"init", "--template", "xdp", "--name", "No Name"}).status, 2);
}

TEST_F(Grant, JsonIsOneDocumentWithItsSchema) {
    const auto expect = [&](std::vector<std::string> args, int status, const std::string& verb) {
        args.push_back("--json");
        const auto got = run(args);
        EXPECT_EQ(got.status, status) << got.err;
        EXPECT_THAT(got.out, StartsWith("{\n  \"schema\": \"bpfwarden.grant." + verb + "/1\""));
        EXPECT_THAT(got.err, IsEmpty());
    };
    expect({"check", "good.toml", "bad.toml"}, 1, "check");
    expect({"check", "none.toml"}, 5, "check");
    expect({"show", "good.toml"}, 0, "show");
    expect({"explain", "good.toml", "map_create", "queue"}, 1, "explain");
    expect({"diff", "good.toml", "wider.toml"}, 1, "diff");
    expect({"list", "--root", "."}, 0, "list");
    expect({"init", "--template", "xdp"}, 0, "init");
}

// A grant comes from somebody; what of it is printed must not act on the terminal.
TEST_F(Grant, NothingInAGrantReachesTheTerminalRaw) {
    put("evil.toml",
        "format = 1\ndescription = \"a\\u001b[31m\\u202eb\\u0007\"\nsubject = [ { exe = \"/x\\u001b]0;t\\u0007\" } ]\n"
        "[targets]\ninterfaces = [\"\\u001b[2J\"]\n");
    put("names\x1b[31m.toml", "\x1b[31m = 1\n");
    for (const auto& got :
         {run({"check", "evil.toml", "names\x1b[31m.toml"}), run({"show", "evil.toml"}),
          run({"explain", "evil.toml", "attach", "xdp", "interface=\x1b[2J"}), run({"diff", "good.toml", "evil.toml"}),
          run({"check", "no\x1b[31mne.toml"}), run({"show", "names\x1b[31m.toml"})}) {
        EXPECT_THAT(got.out, Not(HasSubstr("\x1b"))) << got.out;
        EXPECT_THAT(got.err, Not(HasSubstr("\x1b"))) << got.err;
        EXPECT_THAT(got.out, Not(HasSubstr("\xe2\x80\xae")));
    }
}

// Bare instructions: r0 = 7, exit. What libbpf makes of objects is tested with the broker.
TEST_F(Grant, DigestOfAStream) {
    const std::string code{"\xb7\0\0\0\x07\0\0\0\x95\0\0\0\0\0\0\0", 16};
    put("stream", code);
    const auto shown = run({"digest", "stream"});
    EXPECT_EQ(shown.status, 0);
    EXPECT_EQ(shown.out, "9efe8873120741b3f6812b18ab694dc1f08d806cc66b40b52423302267b12b24  stream  2 instructions\n");
    EXPECT_THAT(run({"--json", "digest", "stream"}).out, HasSubstr("\"instructions\": 2"));
    EXPECT_EQ(run({"digest", "stream", "--output", "out"}).status, 0);
    EXPECT_EQ(fs::file_size(folder_ / "out"), 16U);
    const auto again = run({"digest", "stream", "--output", "out"});
    EXPECT_EQ(again.status, 1);
    EXPECT_THAT(again.err, HasSubstr("out"));

    put("odd", code.substr(0, 15));
    put("unknown", std::string(16, '\xff'));
    put("empty", "");
    put("elf.bpf.o",
        "\x7f"
        "ELF and nothing else");
    for (const char* file : {"odd", "empty", "elf.bpf.o"}) EXPECT_EQ(run({"digest", file}).status, 6) << file;
    EXPECT_NE(run({"digest", "unknown"}).status, 0);
    EXPECT_EQ(run({"digest", "nonexistent"}).status, 5);
    const auto other = run({"digest", "stream", "--program", "streams"});
    EXPECT_EQ(other.status, 5);
    EXPECT_THAT(other.err, HasSubstr("did you mean stream?"));
}

}  // namespace bpfwarden
