// SPDX-License-Identifier: Apache-2.0
// `bpfwarden host check` as a person or a script meets it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

namespace bpfwarden {
namespace {

struct Outcome {
    int status = -1;
    std::string out, err;
};

// Test programs lie in tests/SUITE/ beside bin/, in the build tree and in a guest.
const std::string& program() {
    static const std::string path =
        std::filesystem::canonical("/proc/self/exe").parent_path().parent_path().parent_path() / "bin/bpfwarden";
    return path;
}

Outcome run(const std::string& arguments) {
    char out[] = "/tmp/host-check-out-XXXXXX", err[] = "/tmp/host-check-err-XXXXXX";
    ::close(::mkstemp(out));
    ::close(::mkstemp(err));
    const int status = std::system(("'" + program() + "' host check " + arguments + " >" + out + " 2>" + err).c_str());
    const auto take = [](const char* path) {
        std::ifstream file(path);
        std::ostringstream text;
        text << file.rdbuf();
        ::unlink(path);
        return text.str();
    };
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, take(out), take(err)};
}

TEST(HostCheckCommand, PrintsEachFactForPeople) {
    const auto got = run("");
    EXPECT_EQ(got.status, 0) << got.err;
    // A busy machine may be told that it takes long, in one line.
    EXPECT_TRUE(got.err.empty() || std::regex_match(got.err, std::regex("bpfwarden host check: still looking.*\n")))
        << got.err;
    EXPECT_EQ(got.out.find('\x1b'), std::string::npos) << "no colours into a file";
    for (const char* heading :
         {"\ngrant by token\n", "\nsession\n", "\nnotifier\n", "\nfilter\n", "\npolicy\n", "\nguard\n", "\nfacts\n"})
        EXPECT_NE(got.out.find(heading), std::string::npos) << heading;
    EXPECT_TRUE(std::regex_search(got.out, std::regex("\\n[ !] (yes|no |\\? ) +token +BPF tokens"))) << got.out;
    EXPECT_TRUE(
        std::regex_search(got.out, std::regex("\\n[0-9]+ facts: [0-9]+ present, [0-9]+ absent, [0-9]+ unknown\\n")));
}

TEST(HostCheckCommand, PrintsOneJsonDocument) {
    const auto got = run("--json");
    EXPECT_EQ(got.status, 0) << got.err;
    const auto document = nlohmann::json::parse(got.out, nullptr, false);
    ASSERT_TRUE(document.is_object()) << got.out;
    EXPECT_EQ(document["schema"], "bpfwarden.host.check/1");
    EXPECT_FALSE(document["kernel"]["release"].get<std::string>().empty());
    std::set<std::string> ids;
    const std::set<std::string> states{"present", "absent", "unknown"};
    for (const auto& fact : document["facts"]) {
        for (const char* key : {"id", "group", "title", "state", "how", "detail", "needed_by", "remedy"})
            EXPECT_TRUE(fact[key].is_string() && !fact[key].get<std::string>().empty()) << key << " of " << fact;
        EXPECT_TRUE(fact["concern"].is_boolean());
        EXPECT_TRUE(states.contains(fact["state"].get<std::string>()));
        EXPECT_TRUE(ids.insert(fact["id"].get<std::string>()).second) << "twice: " << fact["id"];
    }
    for (const char* id : {"bpf", "token", "token_works", "bpf_lsm_active", "lsm_order", "path_kfuncs",
                           "notifier_addfd", "cgroup2", "vmlinux_btf", "unprivileged_bpf_disabled", "user_namespaces",
                           "apparmor", "selinux", "world_writable_bpffs", "commands"})
        EXPECT_TRUE(ids.contains(id)) << id;
}

TEST(HostCheckCommand, LooksOnlyAtTheIdsGiven) {
    const auto got = run("--json vmlinux_btf openat2");
    EXPECT_EQ(got.status, 0);
    EXPECT_EQ(nlohmann::json::parse(got.out, nullptr, false)["facts"].size(), 2U) << got.out;
}

TEST(HostCheckCommand, RequireTurnsAnAnswerIntoAStatus) {
    // Present and absent wherever these tests run: a mount point for /proc exists, no kernel is without its opposite.
    const auto all = nlohmann::json::parse(run("--json").out, nullptr, false);
    std::string present, other;
    for (const auto& fact : all["facts"]) (fact["state"] == "present" ? present : other) = fact["id"];
    ASSERT_FALSE(present.empty());
    ASSERT_FALSE(other.empty());
    const auto good = run("--require " + present);
    EXPECT_EQ(good.status, 0) << good.err;
    const auto bad = run("--require " + present + "," + other);
    EXPECT_EQ(bad.status, 3);
    EXPECT_NE(bad.err.find(other), std::string::npos) << bad.err;
    EXPECT_EQ(bad.err.find(present + " ("), std::string::npos) << bad.err;
    EXPECT_NE(bad.out.find(other), std::string::npos) << "the report is printed all the same";
}

TEST(HostCheckCommand, AnUnknownIdIsAUsageErrorWithTheNearest) {
    for (const char* arguments : {"tokne", "--require tokne", "--require token,tokne"}) {
        const auto got = run(arguments);
        EXPECT_EQ(got.status, 2) << arguments;
        EXPECT_EQ(got.out, "");
        EXPECT_NE(got.err.find("\"tokne\""), std::string::npos) << got.err;
        EXPECT_NE(got.err.find("the nearest is token"), std::string::npos) << got.err;
    }
}

}  // namespace
}  // namespace bpfwarden
