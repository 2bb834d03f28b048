// SPDX-License-Identifier: Apache-2.0
// The connected fd is the session: it works wherever it is, and ends when it is closed, revoked or too old.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.hpp"

namespace bpfwarden::test {

static const std::string filters =
    allow("program_types = ['socket_filter']\nmap_types = ['array']\ncapabilities = ['bpf']\n" + everything_but_types);

TEST(Session, GoesOnAfterEverythingWasDropped) {
    Daemon daemon({{"filters", filters}});
    const auto said = as_user(0, [] {
        auto* session = ::bpfw_open("filters");
        if (session == nullptr) return std::string("open: ") + ::bpfw_error();
        // Another user, an empty root, no way to the socket that it was opened at.
        char empty[] = "/tmp/bpfwarden-empty.XXXXXX";
        if (::mkdtemp(empty) == nullptr || ::chroot(empty) != 0 || ::chdir("/") != 0) return std::string("chroot");
        if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0)
            return std::string("setuid");
        if (::bpfw_open("filters") != nullptr) return std::string("opened again");
        return outcome(create_map(session)) + " " + outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER));
    });
    EXPECT_EQ(said, "ok ok");
}

TEST(Session, IsInheritedByForkAndExec) {
    Daemon daemon({{"filters", filters}});
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("filters");
                          if (session == nullptr) return std::string(::bpfw_error());
                          // Both talk at once, each over a channel of its own.
                          int ends[2];
                          if (::pipe(ends) != 0) return std::string("pipe");
                          if (::fork() == 0) {
                              const auto said = outcome(create_map(session));
                              (void)!::write(ends[1], said.data(), said.size());
                              ::_exit(0);
                          }
                          const auto own = outcome(create_map(session));
                          ::wait(nullptr);
                          char buffer[100];
                          const auto n = ::read(ends[0], buffer, sizeof buffer);
                          return own + " " + std::string(buffer, static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
                      }),
              "ok ok");
}

TEST(Session, IsPassedToSomebodyWhoCouldNotOpenIt) {
    Daemon daemon({{"filters", filters}});
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    Actor holder(test_user(), [&](Actor& actor) {
        auto* session = ::bpfw_open("filters");
        actor.say(::bpfw_pass(session, ends[0]) == 0 ? "passed" : ::bpfw_error());
        (void)actor.listen();
    });
    ASSERT_EQ(holder.hear(), "passed");
    EXPECT_EQ(as_user(other_user(),
                      [&] {
                          if (::bpfw_open("filters") != nullptr) return std::string("opened it itself");
                          auto* session = ::bpfw_receive(ends[1]);
                          if (session == nullptr) return std::string(::bpfw_error());
                          return outcome(create_map(session));
                      }),
              "ok");
    // The audit has both: who opened it, and who used it.
    const auto used = daemon.audit({"map_create array", "\"opener\":{\"uid\":" + std::to_string(test_user()),
                                    "\"sender\":{\"uid\":" + std::to_string(other_user())});
    EXPECT_EQ(used.size(), 1U);
}

TEST(Session, AHolderThatKillsEverythingHarmsOnlyItself) {
    Daemon daemon({{"filters", filters}});
    Actor other(other_user(), [](Actor& actor) {
        actor.say("here");
        (void)actor.listen();
        actor.say("still here");
    });
    ASSERT_EQ(other.hear(), "here");
    Actor holder(test_user(), [](Actor& actor) {
        auto* session = ::bpfw_open("filters");
        actor.say(outcome(create_map(session)));
        (void)actor.listen();
        ::kill(-1, SIGKILL);  // all that this user may signal; itself is left out
        actor.say(outcome(create_map(session)));
        (void)actor.listen();
    });
    ASSERT_EQ(holder.hear(), "ok");
    holder.tell();
    EXPECT_EQ(holder.hear(), "ok") << "the worker is not the user's to kill";
    other.tell();
    EXPECT_EQ(other.hear(), "still here");
    EXPECT_EQ(as_user(test_user(), [] { return outcome(create_map(::bpfw_open("filters"))); }), "ok");
}

TEST(Session, EndsWithItsLastHolder) {
    Daemon daemon({{"filters", filters}});
    std::uint32_t id = 0;
    {
        Actor holder(test_user(), [](Actor& actor) {
            auto* session = ::bpfw_open("filters");
            const int program = load_program(session, BPF_PROG_TYPE_SOCKET_FILTER);
            actor.say(std::to_string(program_id(session, program)));
            (void)actor.listen();
        });
        id = static_cast<std::uint32_t>(std::stoul("0" + holder.hear()));
        ASSERT_NE(id, 0U);
        EXPECT_TRUE(has_program(id));
        EXPECT_EQ(daemon.sessions().size(), 1U);
    }
    EXPECT_TRUE(eventually([&] { return !has_program(id); }));
    EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
}

TEST(Session, ItsProgramsGoWhenTheirStandInsAreClosed) {
    Daemon daemon({{"filters", filters}});
    Actor holder(test_user(), [](Actor& actor) {
        auto* session = ::bpfw_open("filters");
        const int program = load_program(session, BPF_PROG_TYPE_SOCKET_FILTER);
        actor.say(std::to_string(program_id(session, program)));
        (void)actor.listen();
        ::close(program);
        actor.say("closed");
        (void)actor.listen();
    });
    const auto id = static_cast<std::uint32_t>(std::stoul("0" + holder.hear()));
    ASSERT_TRUE(has_program(id));
    holder.tell();
    ASSERT_EQ(holder.hear(), "closed");
    EXPECT_TRUE(eventually([&] { return !has_program(id); }));
}

TEST(Session, EndsWithItsLifetime) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"short", filters + "[session]\nlifetime = '700ms'\n"}});
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("short");
                          const auto before = outcome(create_map(session));
                          ::usleep(1'500'000);
                          return before + " " + outcome(create_map(session));
                      }),
              "ok ECONNRESET");
    EXPECT_EQ(daemon.audit({"session_revoke", "lifetime"}).size(), 1U);
}

// A worker that dies takes its session with it, and nothing else.
TEST(Session, AWorkersDeathEndsItsSessionOnly) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}});
    Actor holder(test_user(), [](Actor& actor) {
        auto* session = ::bpfw_open("filters");
        actor.say(outcome(create_map(session)));
        (void)actor.listen();
        actor.say(outcome(create_map(session)));
        (void)actor.listen();
    });
    ASSERT_EQ(holder.hear(), "ok");
    ::kill(daemon.worker(), SIGKILL);
    EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
    holder.tell();
    EXPECT_EQ(holder.hear(), "ECONNRESET");
    EXPECT_EQ(as_user(test_user(), [] { return outcome(create_map(::bpfw_open("filters"))); }), "ok");
}

// One that hangs keeps its own holder waiting, and revoking it still works.
TEST(Session, AHangingWorkerHoldsUpNobodyElse) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}});
    Actor holder(test_user(), [](Actor& actor) {
        auto* session = ::bpfw_open("filters");
        actor.say(outcome(create_map(session)));
        (void)actor.listen();
        actor.say(outcome(create_map(session)));
    });
    ASSERT_EQ(holder.hear(), "ok");
    const auto worker = daemon.worker();
    const auto id = daemon.sessions().at(0);
    ::kill(worker, SIGSTOP);
    holder.tell();
    EXPECT_EQ(as_user(test_user(), [] { return outcome(create_map(::bpfw_open("filters"))); }), "ok");
    EXPECT_EQ(daemon.tool({"session", "revoke", id}).status, 0);
    EXPECT_EQ(holder.hear(), "ECONNRESET");
}

// Whatever is sent over the shared session socket, or a channel, others who hold the session go on.
TEST(Session, GarbageHarmsOnlyItsChannel) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}});
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("filters");
                          std::string said = outcome(create_map(session));
                          for (int i = 0; i < 50; ++i) {
                              char garbage[300];
                              for (auto& byte : garbage) byte = static_cast<char>(::rand());
                              (void)!::send(::bpfw_fd(session), garbage, static_cast<std::size_t>(1 + i * 5),
                                            MSG_NOSIGNAL);
                          }
                          (void)!::send(::bpfw_fd(session), "", 0, MSG_NOSIGNAL);
                          return said + " " + outcome(create_map(session));
                      }),
              "ok ok");
}

// The worker must not be made to talk, as root, to whoever a socket is connected to.
TEST(Session, AChannelIsNoConnectionToSomebody) {
    Daemon daemon({{"filters", filters}});
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("filters");
                          const int on = 1;
                          const auto answers = [&](int ours, int theirs) {
                              ::setsockopt(theirs, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
                              RawHeader describe{.type = 8};
                              if (!open_channel(::bpfw_fd(session), theirs)) return std::string("not sent");
                              ::close(theirs);
                              if (::send(ours, &describe, sizeof describe, MSG_NOSIGNAL) < 0)
                                  return std::string("closed");
                              char answer[200];
                              return std::string(::recv(ours, answer, sizeof answer, 0) > 0 ? "answered" : "closed");
                          };
                          int pair[2];
                          if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0) return std::string("socketpair");
                          const auto control = answers(pair[0], pair[1]);
                          sockaddr_un name{};
                          name.sun_family = AF_UNIX;
                          const auto text = "bpfwarden-test-" + std::to_string(::getpid());
                          text.copy(name.sun_path + 1, sizeof name.sun_path - 1);
                          const auto length = static_cast<socklen_t>(sizeof name.sun_family + 1 + text.size());
                          const int listener = ::socket(AF_UNIX, SOCK_SEQPACKET, 0),
                                    connected = ::socket(AF_UNIX, SOCK_SEQPACKET, 0);
                          if (::bind(listener, reinterpret_cast<sockaddr*>(&name), length) != 0 ||
                              ::listen(listener, 1) != 0 ||
                              ::connect(connected, reinterpret_cast<sockaddr*>(&name), length) != 0)
                              return std::string("connect");
                          return control + ", " + answers(::accept(listener, nullptr, nullptr), connected);
                      }),
              "answered, closed");
}

TEST(Session, ReloadIsAllOrNothing) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}, {"second", filters}});
    Actor holder(test_user(), [](Actor& actor) {
        auto* session = ::bpfw_open("filters");
        actor.say(outcome(create_map(session)));
        (void)actor.listen();
        actor.say(outcome(create_map(session)) + " " + outcome(create_map(session, BPF_MAP_TYPE_HASH)));
        (void)actor.listen();
    });
    ASSERT_EQ(holder.hear(), "ok");
    daemon.write_grant("filters", allow("map_types = ['hash']\ncapabilities = ['bpf']\n"));
    daemon.write_grant("second", "format = 1\nno_such_key = 1\n");
    const auto bad = daemon.tool({"grant", "reload"});
    EXPECT_EQ(bad.status, 6) << bad.output;
    EXPECT_NE(bad.output.find("second.toml:2:1"), std::string::npos) << bad.output;
    EXPECT_EQ(as_user(test_user(), [] { return outcome(create_map(::bpfw_open("filters"))); }), "ok") << "as before";
    daemon.write_grant("second", filters);
    const auto good = daemon.tool({"grant", "reload"});
    EXPECT_EQ(good.status, 0) << good.output;
    EXPECT_NE(good.output.find("changed"), std::string::npos) << good.output;
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("filters");
                          return outcome(create_map(session)) + " " + outcome(create_map(session, BPF_MAP_TYPE_HASH));
                      }),
              "EPERM allow.map_types ok");
    holder.tell();
    EXPECT_EQ(holder.hear(), "ok EPERM allow.map_types") << "an open session keeps its revision";
    daemon.remove_grant("second");
    EXPECT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    EXPECT_EQ(
        as_user(test_user(), [] { return std::string(::bpfw_open("second") ? "opened" : ::strerrorname_np(errno)); }),
        "ENOENT");
}

// Found before anything is changed: a path that no socket can have.
TEST(Session, ReloadChecksPathsFirst) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}});
    const auto over = [](const std::string& cgroup) {
        return allow(
            "program_types = ['cgroup_skb']\nattach_types = ['cgroup_inet_egress']\ncapabilities = ['bpf', "
            "'net_admin']\n"
            "[targets]\ncgroups = ['" +
            cgroup + "']\n");
    };
    daemon.write_grant("long", over("/" + std::string(100, 'a')));
    daemon.write_grant("added", filters);
    const auto refused = daemon.tool({"grant", "reload"});
    EXPECT_EQ(refused.status, 6) << refused.output;
    EXPECT_NE(refused.output.find("long.toml"), std::string::npos) << refused.output;
    const auto open = [](const char* grant) {
        return as_user(test_user(), [&] { return std::string(::bpfw_open(grant) ? "ok" : ::strerrorname_np(errno)); });
    };
    EXPECT_EQ(open("added"), "ENOENT");
    EXPECT_EQ(open("filters"), "ok");
    daemon.write_grant("long", over("/a"));
    // Two over the same control group: each has its own socket, and the file is the first one's.
    daemon.write_grant("same", over("/a"));
    EXPECT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    EXPECT_EQ(open("added"), "ok");
    EXPECT_EQ(open("same"), "ok");
    const auto file = daemon.run_directory() + "/cgroup/a/cgroup_inet_egress";
    EXPECT_EQ(open(file.c_str()), "ok");
    daemon.remove_grant("same");
    EXPECT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    EXPECT_EQ(open(file.c_str()), "ok") << "it was not theirs";
}

// One mistake does not close all doors at the start.
TEST(Session, AStartLeavesOutWhatIsNotValid) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}, {"broken", "format = 1\nno_such_key = 1\n"}});
    EXPECT_NE(daemon.standard_error().find("broken.toml:2:1"), std::string::npos) << daemon.standard_error();
    EXPECT_EQ(as_user(test_user(), [] { return outcome(create_map(::bpfw_open("filters"))); }), "ok");
}

TEST(Session, RevokingAGrantEndsItsSessions) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}, {"second", filters}});
    const auto body = [](const char* grant) {
        return [grant](Actor& actor) {
            auto* session = ::bpfw_open(grant);
            actor.say(outcome(create_map(session)));
            (void)actor.listen();
            actor.say(outcome(create_map(session)));
            (void)actor.listen();
        };
    };
    Actor first(test_user(), body("filters")), second(test_user(), body("second"));
    ASSERT_EQ(first.hear(), "ok");
    ASSERT_EQ(second.hear(), "ok");
    EXPECT_EQ(daemon.tool({"grant", "revoke", "filters"}).status, 0);
    first.tell();
    second.tell();
    EXPECT_EQ(first.hear(), "ECONNRESET");
    EXPECT_EQ(second.hear(), "ok");
    EXPECT_NE(daemon.tool({"grant", "revoke", "nothing"}).status, 0);
    EXPECT_EQ(daemon.tool({"session", "revoke", "nothing"}).status, 5);
    EXPECT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    EXPECT_EQ(as_user(test_user(), [] { return outcome(create_map(::bpfw_open("filters"))); }), "ok");
}

TEST(Session, MetricsCountWhatHappened) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}});
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("filters");
                          return outcome(create_map(session)) + " " + outcome(create_map(session, BPF_MAP_TYPE_HASH));
                      }),
              "ok EPERM allow.map_types");
    const auto text = daemon.tool({"session", "metrics"}).output;
    for (const char* line :
         {"bpfwarden_operations_total{verdict=\"allowed\"} 1\n", "bpfwarden_operations_total{verdict=\"refused\"} 1\n",
          "bpfwarden_sessions_opened_total 1\n", "bpfwarden_operation_seconds_count 2\n",
          "bpfwarden_audit_lost_total 0\n"})
        EXPECT_NE(text.find(line), std::string::npos) << line << text;
    EXPECT_TRUE(text.ends_with("# EOF\n"));
}

TEST(Session, WithoutADaemonThatIsSaid) {
    BW_SAME_ON_EVERY_KERNEL();
    const auto ran = [] {
        Daemon daemon;
        return daemon.directory();
    }();
    EXPECT_EQ(
        as_user(test_user(), [] { return std::string(::bpfw_open("filters") ? "opened" : ::strerrorname_np(errno)); }),
        "ENOENT");
}

}  // namespace bpfwarden::test
