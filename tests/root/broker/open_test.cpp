// SPDX-License-Identifier: Apache-2.0
// Who may open a grant.
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.hpp"

namespace bpfwarden::test {

static std::string open_as(uid_t uid, const std::string& grant) {
    return as_user(uid, [&] {
        auto* session = ::bpfw_open(grant.c_str());
        return session != nullptr ? std::string("ok") : std::string(::strerrorname_np(errno));
    });
}

static const std::string arrays = "map_types = ['array']\ncapabilities = ['bpf']\n";

TEST(Open, TheSubjectAndRootAndNobodyElse) {
    Daemon daemon({{"mine", allow(arrays)}, {"roots", "format = 1\n[allow]\n" + arrays}});
    EXPECT_EQ(open_as(test_user(), "mine"), "ok");
    EXPECT_EQ(open_as(0, "mine"), "ok");
    EXPECT_EQ(open_as(other_user(), "mine"), "EACCES");
    EXPECT_EQ(open_as(0, "roots"), "ok");
    EXPECT_EQ(open_as(test_user(), "roots"), "EACCES");
    EXPECT_EQ(open_as(test_user(), "absent"), "ENOENT");
}

// A condition that file permission cannot hold: anybody may knock, and who it is, is asked then.
TEST(Open, ByExecutableAndDigest) {
    char self[4096] = {};
    ASSERT_GT(::readlink("/proc/self/exe", self, sizeof self - 1), 0);
    const auto grant = [](const std::string& subject) {
        return "format = 1\nsubject = [ { " + subject + " } ]\n[allow]\n" + arrays;
    };
    const std::string wrong(64, '0');
    Daemon daemon({{"exe", grant(std::string("exe = '") + self + "'")},
                   {"other-exe", grant("exe = '/usr/bin/true'")},
                   {"user-and-exe", grant(std::string("uid = TEST_USER, exe = '") + self + "'")},
                   {"digest", grant("exe_sha256 = '" + wrong + "'")}});
    EXPECT_EQ(open_as(test_user(), "exe"), "ok");
    EXPECT_EQ(open_as(test_user(), "other-exe"), "EACCES");
    EXPECT_EQ(open_as(test_user(), "user-and-exe"), "ok");
    EXPECT_EQ(open_as(other_user(), "user-and-exe"), "EACCES");
    EXPECT_EQ(open_as(test_user(), "digest"), "EACCES");
    const auto refused = daemon.audit({"refused_open", "\"grant\":\"other-exe\""});
    ASSERT_EQ(refused.size(), 1U);
    EXPECT_NE(refused[0].find("other-exe.toml:2:"), std::string::npos) << refused[0];
}

TEST(Open, ByGroup) {
    Daemon daemon({{"group", "format = 1\nsubject = [ { gid = TEST_USER } ]\n[allow]\n" + arrays}});
    EXPECT_EQ(open_as(test_user(), "group"), "ok");
    EXPECT_EQ(open_as(other_user(), "group"), "EACCES");
}

TEST(Open, SocketsAreNobodyElses) {
    Daemon daemon({{"mine", allow(arrays)}, {"roots", "format = 1\n[allow]\n" + arrays}});
    struct stat info{};
    ASSERT_EQ(::stat((daemon.run_directory() + "/grant/roots").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    ASSERT_EQ(::stat((daemon.run_directory() + "/control").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          return std::string(
                              ::access((std::string(::getenv("BPFWARDEN_RUN")) + "/control").c_str(), W_OK) == 0
                                  ? "may"
                                  : "may not");
                      }),
              "may not");
}

// No capability is left in the process that everybody talks to, and the grant's own in the worker.
TEST(Open, ProcessesHoldWhatTheyNeed) {
    Daemon daemon({{"mine", allow(arrays)}});
    Actor holder(test_user(), [](Actor& actor) {
        auto* session = ::bpfw_open("mine");
        actor.say(outcome(create_map(session)));
        (void)actor.listen();
    });
    ASSERT_EQ(holder.hear(), "ok");
    const auto status_of = [](pid_t pid, const std::string& key) {
        std::string text, line;
        if (auto* file = std::fopen(("/proc/" + std::to_string(pid) + "/status").c_str(), "r")) {
            char buffer[8192];
            const auto n = std::fread(buffer, 1, sizeof buffer, file);
            text.assign(buffer, n);
            std::fclose(file);
        }
        const auto at = text.find(key + ":\t");
        return at == std::string::npos ? std::string()
                                       : text.substr(at + key.size() + 2, text.find('\n', at) - at - key.size() - 2);
    };
    EXPECT_EQ(status_of(daemon.pid(), "CapEff"), "0000000000000000");
    EXPECT_EQ(status_of(daemon.pid(), "CapPrm"), "0000000000000000");
    EXPECT_EQ(status_of(daemon.pid(), "CapBnd"), "0000000000000000");
    const auto worker = daemon.worker();
    ASSERT_GT(worker, 0);
    const std::string bpf_only = "0000008000000000";  // CAP_BPF is number 39
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd"}) EXPECT_EQ(status_of(worker, set), bpf_only) << set;
    EXPECT_EQ(status_of(worker, "NoNewPrivs"), "1");
    EXPECT_EQ(status_of(worker, "Seccomp"), "2");
    holder.tell();
}

}  // namespace bpfwarden::test
