// SPDX-License-Identifier: Apache-2.0
// How a command is started: by whom, as whom, by which way in, and what it finds.
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "supervised.hpp"

namespace bpfwarden::test {

namespace {

std::string file_of(const Daemon& daemon, const std::string& grant) {
    return daemon.directory() + "/root/etc/bpfwarden/grants.d/" + grant + ".toml";
}
std::string user() { return std::to_string(test_user()); }

std::string real_id() {
    std::ifstream file("/sys/kernel/tracing/events/syscalls/sys_enter_getppid/id");
    std::string id;
    file >> id;
    return id;
}

constexpr const char* powerless = "CapEff:0000000000000000 NoNewPrivs:1";

}  // namespace

TEST(Launch, ByRootForAUser) {
    Daemon daemon({{"filters", filter_rights}});
    const auto file = file_of(daemon, "filters");
    const auto as_root = [&](const Words& act, const Words& options) {
        return run(supervised_as(0, daemon, file, act, options));
    };
    const auto named = as_root({"whoami"}, {"--user", user()});
    EXPECT_TRUE(named.out.starts_with(user() + ":")) << named.text();
    EXPECT_TRUE(named.out.contains(powerless)) << named.text();
    // The one user that the grant is for.
    EXPECT_EQ(as_root({"whoami"}, {}).out, named.out);
    EXPECT_EQ(as_root({"everything"}, {"--user", user()}).out, "ok ok ok");
    EXPECT_EQ(as_root({"maps"}, {}).out, "ok EPERM, ok 42");
    // It is not for anybody else, though root asks.
    const auto other = as_root({"whoami"}, {"--user", std::to_string(other_user())});
    EXPECT_TRUE(other.exited(125)) << other.text();
    EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
}

TEST(Launch, ByRootAsRoot) {
    Daemon daemon;
    const auto file = daemon.directory() + "/for-root.toml";
    std::ofstream(file) << "format = 1\nsubject = [ { uid = 0 } ]\n[allow]\nprogram_types = ['socket_filter']\n"
                           "map_types = ['array']\nhelpers = ['map_lookup_elem']\nverifier = ['any']\n"
                           "capabilities = ['bpf']\n";
    EXPECT_EQ(run(supervised_as(0, daemon, file, {"everything"})).out, "ok ok ok");
    // Root keeps what it has, and its calls of bpf(2) are judged all the same.
    EXPECT_EQ(run(supervised_as(0, daemon, file, {"maps"})).out, "ok EPERM, ok 42");
}

TEST(Launch, TheWayInIsChosenAndSaid) {
    const std::string all = "helpers = ['any']\nkfuncs = ['any']\nverifier = ['any']\n";
    Daemon daemon({{"filters", filter_rights},
                   {"held", "dangerous = ['kernel_read']\n" +
                                allow("program_types = ['xdp']\nmap_types = ['array']\ncapabilities = ['bpf', "
                                      "'net_admin']\n" +
                                      all)}});
    const Words chosen{"--via", "auto", "--verbose"};
    const auto of_user = run(supervised_as(test_user(), daemon, "filters", {"everything"}, chosen));
    EXPECT_EQ(of_user.out, "ok ok ok") << of_user.text();
    EXPECT_EQ(of_user.err, "bpfwarden run: via intercept: a token takes root to make\n");
    const auto of_root = run(supervised_as(0, daemon, file_of(daemon, "filters"), {"everything"}, chosen));
    EXPECT_EQ(of_root.out, "ok ok ok") << of_root.text();
    EXPECT_TRUE(of_root.err.starts_with("bpfwarden run: via intercept: ")) << of_root.text();
    // No daemon, and so no session: what the token does not hold is said, and nothing is run.
    const auto kept = daemon.run_directory();
    ::setenv("BPFWARDEN_RUN", "/no/such/directory", 1);
    const auto alone = run(supervised_as(0, daemon, file_of(daemon, "filters"), {"everything"}, chosen));
    ::setenv("BPFWARDEN_RUN", kept.c_str(), 1);
    EXPECT_TRUE(alone.exited(125)) << alone.text();
    EXPECT_TRUE(alone.err.contains("via token: bpfwardend is not running")) << alone.text();
    EXPECT_EQ(alone.out, "");
    const auto by_token = run(supervised_as(0, daemon, file_of(daemon, "held"), {"exit", "3"}, chosen));
    if (by_token.err.contains("via token: it holds every key of the grant")) {
        EXPECT_TRUE(by_token.exited(3)) << by_token.text();
    } else {
        EXPECT_TRUE(by_token.err.contains("via intercept: this kernel has no BPF token")) << by_token.text();
    }
}

TEST(Launch, AsRootOfANamespaceOfOneUser) {
    Daemon daemon({{"filters", filter_rights}, {"tracing", tracing_rights}});
    for (const char* grant : {"filters", "tracing"}) {
        const auto ended = run(supervised(daemon, grant, {"whoami"}, {"--map-root"}));
        EXPECT_TRUE(ended.out.starts_with("0:0 0:0 ")) << ended.text();
        const auto folder = daemon.directory() + "/of-user-" + grant;
        ASSERT_EQ(::mkdir(folder.c_str(), 0755), 0);
        ASSERT_EQ(::chown(folder.c_str(), test_user(), test_user()), 0);
        EXPECT_EQ(run(supervised(daemon, grant, {"makes-file", folder + "/file"}, {"--map-root"})).out, "ok 0:0");
        struct stat info{};
        ASSERT_EQ(::stat((folder + "/file").c_str(), &info), 0);
        EXPECT_EQ(info.st_uid, test_user());
        EXPECT_EQ(info.st_gid, test_user());
        // Root of nothing else.
        EXPECT_EQ(run(supervised(daemon, grant, {"makes-file", daemon.directory() + "/file"}, {"--map-root"})).out,
                  "EACCES 0:0");
        EXPECT_EQ(run(supervised(daemon, grant, {"everything"}, {"--map-root"})).out, "ok ok ok");
    }
    // By root for the user: the same.
    const auto ended = run(supervised_as(0, daemon, file_of(daemon, "filters"), {"whoami"}, {"--map-root"}));
    EXPECT_TRUE(ended.out.starts_with("0:0 0:0 ")) << ended.text();
}

TEST(Launch, ItsOwnTracingDirectory) {
    const auto id = real_id();
    ASSERT_NE(id, "");
    Daemon daemon({{"tracing", tracing_rights}});
    const auto expected = [&](const std::string& written) {
        const auto found = [&](const std::string& top) {
            return top +
                   ": available_events events/syscalls/sys_enter_getppid/format "
                   "events/syscalls/sys_enter_getppid/id id " +
                   id + " EROFS " + written + "\n";
        };
        return found("/sys/kernel/tracing") + found("/sys/kernel/debug/tracing") + "syscalls:sys_enter_getppid\n";
    };
    // The files are for reading, and so is the mount, for whom the files' mode does not bind.
    EXPECT_EQ(act(daemon, "tracing", {"tracing"}), expected("EACCES"));
    EXPECT_EQ(run(supervised(daemon, "tracing", {"tracing"}, {"--map-root"})).out, expected("EROFS"));
    EXPECT_EQ(run(supervised_as(0, daemon, file_of(daemon, "tracing"), {"tracing"})).out, expected("EACCES"));
    // The controls: the machine's own, for who may see it and who may not.
    EXPECT_TRUE(act_of_root(daemon, {"tracing"}).contains(" events/sched/sched_switch/id "));
    EXPECT_TRUE(act_of_user(daemon, {"tracing"}).contains(" id -1 "));
    // A user is one user in it, under its own number and without a capability outside.
    const auto ended = run(supervised(daemon, "tracing", {"whoami"}));
    EXPECT_TRUE(ended.out.starts_with(user() + ":" + user() + " ")) << ended.text();
    EXPECT_TRUE(ended.out.contains(powerless)) << ended.text();
}

// Where users may not make user namespaces: the limit of the namespace that this user is put into, which the machine
// does not notice.
TEST(Launch, WhereNoUserNamespacesAreAllowed) {
    Daemon daemon({{"filters", filter_rights}, {"tracing", tracing_rights}});
    const auto limited = [&](const std::string& grant, const Words& act, const Words& options = {}) {
        auto start = supervised(daemon, grant, act, options);
        start.in_child = [before = start.in_child] {
            before();
            if (::unshare(CLONE_NEWUSER) != 0) ::_exit(121);
            const auto write = [](const char* path, const std::string& text) {
                const int file = ::open(path, O_WRONLY | O_CLOEXEC);
                if (::write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size())) ::_exit(122);
                ::close(file);
            };
            write("/proc/self/setgroups", "deny");
            write("/proc/self/uid_map", user() + " " + user() + " 1");
            write("/proc/self/gid_map", user() + " " + user() + " 1");
            write("/proc/sys/user/max_user_namespaces", "0");
        };
        return run(start);
    };
    // What needs none goes on.
    const auto plain = limited("filters", {"everything"});
    EXPECT_EQ(plain.out, "ok ok ok") << plain.text();
    for (const auto& ended : {limited("tracing", {"everything"}), limited("filters", {"everything"}, {"--map-root"})}) {
        EXPECT_TRUE(ended.exited(125)) << ended.text();
        EXPECT_TRUE(ended.err.contains("user.max_user_namespaces")) << ended.text();
        EXPECT_EQ(ended.out, "");
    }
}

// Such a caller hands that down, and what has ended then cannot be waited for.
TEST(Launch, ByACallerThatIgnoresItsChildren) {
    Daemon daemon({{"filters", filter_rights}});
    auto start = supervised_command(test_user(), "filters", {"/bin/sh", "-c", "exit 7"});
    start.in_child = [before = start.in_child] {
        before();
        ::signal(SIGCHLD, SIG_IGN);
    };
    const auto ended = run(start);
    EXPECT_TRUE(ended.exited(7)) << ended.text();
}

}  // namespace bpfwarden::test
