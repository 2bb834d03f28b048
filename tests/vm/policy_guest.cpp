// SPDX-License-Identifier: Apache-2.0
#include "vm/policy_guest.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include <fmt/format.h>

#include "enforce/policy_force.hpp"
#include "policy/compile.hpp"
#include "policy/parse.hpp"

namespace bpfwarden::test {

namespace fs = std::filesystem;

// A function of this program is given to a copy of it as its distance from this one.
static int anchor(const Words&) { return 0; }
static constexpr const char* act_word = "--act";

pid_t start(const char* domain, Act act, const Words& words) {
    const auto program = room + domain;
    const auto distance =
        std::to_string(reinterpret_cast<std::intptr_t>(act) - reinterpret_cast<std::intptr_t>(&anchor));
    std::vector<char*> argv{const_cast<char*>(program.c_str()), const_cast<char*>(act_word),
                            const_cast<char*>(distance.c_str())};
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::execv(program.c_str(), argv.data());
        ::_exit(255);
    }
    return pid;
}

int wait_for(pid_t pid) {
    int status = 0;
    if (::waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return -1;
    return WEXITSTATUS(status);
}

int perform(const char* domain, Act act, const Words& words) { return wait_for(start(domain, act, words)); }

int read_at(int directory, const std::string& path, int flags) {
    const int fd = ::openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0) return errno;
    char byte = 0;
    const auto n = ::read(fd, &byte, 1);
    const int error = n < 0 ? errno : n == 0 ? ENODATA : 0;
    ::close(fd);
    return error;
}

void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::string text_of(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

// Domains that the rules of a case speak of. "strict" has what any program needs to run.
static const std::string domains = R"(
format = 1
name = "evade"
mode = "enforce"
[[domain]]
name = "actor"
enter = [ { exe = "/run/evade/actor" }, { exe = "/run/evade/script" } ]
[[domain]]
name = "strict"
enter = [ { exe = "/run/evade/strict" } ]
default = "deny"
[[domain]]
name = "preloaded"
enter = [ { exe = "/run/evade/trusted" } ]
[[domain]]
name = "insecure"
enter = [ { exe = "/run/evade/insecure" } ]
secure_exec = false
[[domain]]
name = "own"
enter = [ { exe = "/run/evade/own" } ]
root = "own"
[[rule]]
name = "to-run"
domains = ["strict"]
allow = ["read", "exec", "map_exec"]
paths = ["/run/evade/strict", "/{lib,lib64,usr}/**", "/etc/*", "/proc/**", "/bpfwarden/**"]
)";
const std::string usual_rules = R"(
[[rule]]
name = "secret"
domains = ["actor"]
deny = ["read", "exec", "map_exec", "write", "append", "truncate", "create", "mkdir", "mknod", "symlink", "delete", "chmod", "chown", "setxattr"]
paths = ["/run/evade/secret{,/**}", "/bpfwarden/evade/secret/**"]
[[rule]]
name = "own-secret"
domains = ["own"]
deny = ["read"]
paths = ["tmpfs:/evade/secret/**", "/evade/secret/**"]
[[rule]]
name = "mounts"
domains = ["actor"]
deny = ["mount"]
paths = ["/run/evade/secret{,/**}"]
[[rule]]
name = "open"
domains = ["strict"]
allow = ["@all"]
paths = ["/run/evade/open{,/**}", "/run/evade/merged{,/**}", "overlay:/**"]
[[rule]]
name = "strict-plain"
domains = ["strict"]
allow = ["io_uring", "socket", "connect", "bind", "capable", "signal"]
)";
std::string policy_text(const std::string& rules) { return domains + rules; }

static std::optional<enforce::PolicyForce> opened;

enforce::PolicyForce& PolicyGuest::force() {
    if (!opened) {
        auto made = enforce::PolicyForce::open();
        EXPECT_TRUE(made) << made.error().text("open");
        opened = std::move(*made);
    }
    return *opened;
}

void PolicyGuest::let_others_change() { opened.reset(); }

policy::Compiled PolicyGuest::compile(const std::string& rules) {
    Diagnostics diagnostics;
    std::vector<policy::Policy> policies;
    policies.push_back(policy::parse(policy_text(rules), "evade.toml", {}, diagnostics).value());
    auto compiled = policy::compile(policies, diagnostics);
    for (const auto& each : diagnostics.all()) ADD_FAILURE() << each.what;
    return std::move(compiled).value();
}

void PolicyGuest::apply(const std::string& rules) {
    auto applied = force().apply(compile(rules));
    ASSERT_TRUE(applied) << applied.error().text("apply");
}

std::string PolicyGuest::why_not_applied(const std::string& rules) {
    const auto applied = force().apply(compile(usual_rules + rules));
    EXPECT_FALSE(applied);
    return applied ? "" : applied.error().text("apply");
}

std::uint64_t PolicyGuest::blind() {
    const auto status = force().status();
    return status ? status->counts.blind : 0;
}

static bool in_force = false;

static void make_room() {
    fs::create_directories(room + "secret");
    fs::create_directories(open_place);
    write_file(secret, "secret\n");
    write_file(open_place + "file", "open\n");
    ::chmod(secret.c_str(), 0755);
}

void PolicyGuest::SetUpTestSuite() {
    if (!emulated()) GTEST_SKIP() << "BPF LSM decides in guests of tools/lab only";
    if (in_force) return;
    make_room();
    for (const char* name : {actor, strict, nobody, "trusted", "insecure", "own"})
        fs::copy_file("/proc/self/exe", room + name, fs::copy_options::skip_existing);
    apply(usual_rules);
    in_force = true;
}

void PolicyGuest::SetUp() {
    if (!emulated()) GTEST_SKIP() << "BPF LSM decides in guests of tools/lab only";
    make_room();
}

void PolicyGuest::TearDown() {
    for (const auto& place : {"secret", "open"}) fs::remove_all(room + place);
}

void PolicyGuest::expect_refused(Act act, const Words& words, int refused, const char* domain) {
    // What is refused leaves nothing behind that could help the other.
    EXPECT_EQ(perform(domain, act, words), refused) << domain << " is not refused";
    EXPECT_EQ(perform(nobody, act, words), 0) << "the attack itself does not work";
}

void PolicyGuest::expect_permitted(Act act, const Words& words, const char* domain) {
    EXPECT_EQ(perform(domain, act, words), 0);
}

// Nothing stays attached, whatever the cases came to.
class TakeAway : public ::testing::Environment {
    void TearDown() override {
        if (!in_force) return;
        auto removed = PolicyGuest::force().remove();
        EXPECT_TRUE(removed) << removed.error().text("remove");
        fs::remove_all(room);
    }
};

}  // namespace bpfwarden::test

int main(int argc, char** argv) {
    using namespace bpfwarden::test;
    if (argc > 2 && std::string(argv[1]) == act_word) {
        const auto act = reinterpret_cast<Act>(reinterpret_cast<std::intptr_t>(&anchor) + std::stol(argv[2]));
        ::_exit(act(Words(argv + 3, argv + argc)) & 255);
    }
    ::testing::InitGoogleTest(&argc, argv);
    ::testing::AddGlobalTestEnvironment(new TakeAway);
    return RUN_ALL_TESTS();
}
