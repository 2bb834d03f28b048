// SPDX-License-Identifier: Apache-2.0
// Smaller sessions, handed inward.
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "daemon.hpp"

namespace bpfwarden::test {

namespace {

const std::string filters =
    allow("program_types = ['socket_filter']\nmap_types = ['array', 'hash', 'lpm_trie']\ncapabilities = ['bpf']\n" +
          everything_but_types + "[limits]\nprograms = 4\n");

const char* const maps_only = "format = 1\n[allow]\nmap_types = ['array', 'hash']\ncapabilities = ['bpf']\n";
const char* const arrays_only = "format = 1\n[allow]\nmap_types = ['array']\ncapabilities = ['bpf']\n";

std::string tries(bpfw_session* session) {
    if (session == nullptr) return std::string("no session: ") + ::bpfw_error();
    return outcome(create_map(session)) + " " + outcome(create_map(session, BPF_MAP_TYPE_HASH)) + " " +
           outcome(create_map(session, BPF_MAP_TYPE_LPM_TRIE)) + " " +
           outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER));
}

}  // namespace

TEST(Derive, IsASubsetInEveryDimension) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}});
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("filters");
                          auto* smaller = ::bpfw_derive(session, maps_only);
                          return tries(session) + " | " + tries(smaller);
                      }),
              "ok ok ok ok | ok ok EPERM allow.map_types EPERM allow.program_types");
}

TEST(Derive, AskingForMoreIsRefusedWithWhatIsMore) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"arrays", allow("map_types = ['array']\ncapabilities = ['bpf']\n[limits]\nmaps = 3\n")}});
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("arrays");
                          if (::bpfw_derive(session, maps_only) != nullptr) return std::string("derived");
                          const std::string error = ::bpfw_error();
                          return std::string(error.find("hash") != std::string::npos ? "names it" : error);
                      }),
              "names it");
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          return std::string(::bpfw_derive(::bpfw_open("arrays"), "format = 1\n[allow\n") ? "derived"
                                                                                                          : "refused");
                      }),
              "refused");
    // More of a limit as well; the same or less is fine.
    EXPECT_EQ(
        as_user(test_user(),
                [] {
                    auto* session = ::bpfw_open("arrays");
                    const std::string text = arrays_only;
                    return std::string(::bpfw_derive(session, (text + "[limits]\nmaps = 4\n").c_str()) ? "derived"
                                                                                                       : "refused") +
                           " " +
                           (::bpfw_derive(session, (text + "[limits]\nmaps = 2\n").c_str()) ? "derived" : "refused");
                }),
        "refused derived");
}

TEST(Derive, CapabilitiesShrinkToo) {
    Daemon daemon({{"filters", filters}});
    // No CAP_BPF in the smaller session's worker: the kernel refuses what needs it.
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* smaller =
                              ::bpfw_derive(::bpfw_open("filters"), "format = 1\n[allow]\nmap_types = ['array']\n");
                          return tries(smaller);
                      }),
              "EPERM EPERM allow.map_types EPERM allow.map_types EPERM allow.program_types");
}

// Outer manager, inner manager, application; each in a user namespace of its own below the last.
TEST(Derive, ThreeLevelsOfUserNamespaces) {
    Daemon daemon({{"filters", filters}});
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          const auto inward = [](const auto& self, bpfw_session* session, int depth) -> std::string {
                              const auto own = tries(session);
                              if (depth == 3) return own;
                              auto* smaller = ::bpfw_derive(session, depth == 1 ? maps_only : arrays_only);
                              if (smaller == nullptr) return std::string("derive: ") + ::bpfw_error();
                              int ends[2], pass[2];
                              if (::pipe(ends) != 0 || ::socketpair(AF_UNIX, SOCK_STREAM, 0, pass) != 0) return "pipe";
                              const pid_t pid = ::fork();
                              if (pid == 0) {
                                  // What was inherited is let go: only what is handed in counts.
                                  ::bpfw_close(smaller);
                                  ::bpfw_close(session);
                                  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ::_exit(3);
                                  std::ofstream("/proc/self/setgroups") << "deny";
                                  const auto map = "0 " + std::to_string(depth == 1 ? test_user() : 0) + " 1";
                                  std::ofstream("/proc/self/uid_map") << map;
                                  std::ofstream("/proc/self/gid_map") << map;
                                  const auto said = self(self, ::bpfw_receive(pass[1]), depth + 1);
                                  (void)!::write(ends[1], said.data(), said.size());
                                  ::_exit(0);
                              }
                              if (::bpfw_pass(smaller, pass[0]) != 0) return std::string("pass: ") + ::bpfw_error();
                              ::close(ends[1]);
                              std::string inner;
                              char buffer[1000];
                              for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
                                  inner.append(buffer, static_cast<std::size_t>(n));
                              ::waitpid(pid, nullptr, 0);
                              return own + " | " + inner;
                          };
                          return inward(inward, ::bpfw_open("filters"), 1);
                      }),
              "ok ok ok ok | ok ok EPERM allow.map_types EPERM allow.program_types | "
              "ok EPERM allow.map_types EPERM allow.map_types EPERM allow.program_types");
}

TEST(Derive, RevokingASessionRevokesAllDerivedFromIt) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}});
    Actor holder(test_user(), [](Actor& actor) {
        auto* session = ::bpfw_open("filters");
        auto* smaller = ::bpfw_derive(session, maps_only);
        auto* smallest = ::bpfw_derive(smaller, arrays_only);
        const auto all = [&] {
            return outcome(create_map(session)) + " " + outcome(create_map(smaller)) + " " +
                   outcome(create_map(smallest));
        };
        actor.say(all());
        (void)actor.listen();
        actor.say(all());
        (void)actor.listen();
        actor.say(all());
    });
    ASSERT_EQ(holder.hear(), "ok ok ok");
    // The list has each below its parent.
    const auto ids = daemon.sessions();
    ASSERT_EQ(ids.size(), 3U);
    EXPECT_EQ(daemon.tool({"session", "revoke", ids[1]}).status, 0);
    holder.tell();
    EXPECT_EQ(holder.hear(), "ok ECONNRESET ECONNRESET");
    EXPECT_EQ(daemon.tool({"session", "revoke", ids[0]}).status, 0);
    holder.tell();
    EXPECT_EQ(holder.hear(), "ECONNRESET ECONNRESET ECONNRESET");
    EXPECT_EQ(daemon.audit({"\"event\":\"session_revoke\""}).size(), 3U);
}

TEST(Derive, WhatASmallerSessionUsesCountsForTheWhole) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}});
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("filters");
                          auto* smaller = ::bpfw_derive(
                              session,
                              "format = 1\n[allow]\nprogram_types = ['socket_filter']\ncapabilities = ['bpf']\n"
                              "[limits]\nprograms = 3\n");
                          std::string said;
                          for (int i = 0; i < 4; ++i)
                              said += outcome(load_program(smaller, BPF_PROG_TYPE_SOCKET_FILTER)) + " ";
                          for (int i = 0; i < 2; ++i)
                              said += outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER)) + " ";
                          return said;
                      }),
              "ok ok ok EDQUOT limits.programs ok EDQUOT limits.programs ");
}

}  // namespace bpfwarden::test
