// SPDX-License-Identifier: Apache-2.0
// Sessions outlive the daemon where a service manager keeps their fds, and end where nobody does.
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>

#include "daemon.hpp"
#include "holder.hpp"
#include "service_manager.hpp"

namespace bpfwarden::test {

namespace {

const std::string filters =
    allow("program_types = ['socket_filter']\nmap_types = ['array']\ncapabilities = ['bpf']\n" + everything_but_types);

int cases(int normal) { return std::getenv("BPFWARDEN_SOAK") != nullptr ? normal * 50 : normal; }

// A daemon under a service manager.
struct Service {
    explicit Service(std::map<std::string, std::string> grants)
        : daemon(std::move(grants), {"--keep-sessions"}, manager.hand_over()) {}
    // As after the end of the main process, however it ended.
    void start_again() {
        manager.catch_up();
        daemon.start();
    }
    std::string listed() const { return daemon.tool({"--json", "session", "list"}).output; }
    // All that was counted is in the log and in the notes.
    std::size_t events(const Words& with) const { return daemon.audit(with).size(); }

    ServiceManager manager;
    Daemon daemon;
};

enum class Way { asked, killed, spawner_killed };

void end(Daemon& daemon, Way way) {
    switch (way) {
        case Way::asked:
            EXPECT_EQ(daemon.stop(), 0);
            break;
        case Way::killed:
            daemon.kill();
            break;
        case Way::spawner_killed:
            ::kill(daemon.spawner(), SIGKILL);
            // It ends by itself then, for somebody to start it anew.
            EXPECT_EQ(daemon.wait(), 1);
            break;
    }
}

}  // namespace

class Restart : public ::testing::TestWithParam<Way> {};

TEST_P(Restart, ASessionInUseGoesOn) {
    Service service({{"tracing", tracing_grant}});
    Actor holder(test_user(), obey);
    ASSERT_EQ(holder.hear(), "open");
    ASSERT_EQ(ask(holder, "count"), "ok");
    ASSERT_EQ(ask(holder, "derive"), "ok");
    ASSERT_EQ(ask(holder, "child map"), "ok");
    const auto before = service.listed();
    const auto worker = service.daemon.worker();
    const auto operations = service.events({"\"event\":\"operation\""});

    end(service.daemon, GetParam());
    EXPECT_EQ(ask(holder, "seen"), "all") << "while there is no daemon";
    EXPECT_EQ(ask(holder, "program"), "ok") << "calls need none";
    service.start_again();

    EXPECT_EQ(ask(holder, "seen"), "all");
    EXPECT_EQ(service.daemon.worker(), worker);
    EXPECT_EQ(service.daemon.sessions().size(), 2U);
    EXPECT_EQ(service.events({"session_adopt"}), 2U);
    EXPECT_EQ(service.events({"session_lost"}), 0U);
    EXPECT_EQ(service.events({"\"event\":\"operation\""}), operations + 1);
    EXPECT_EQ(service.events({"\"event\":\"gap\""}), 0U);
    // Two maps of four are used; limits hold over old sessions and new ones together.
    EXPECT_EQ(ask(holder, "map"), "ok");
    EXPECT_EQ(ask(holder, "child map"), "ok");
    EXPECT_EQ(ask(holder, "child map"), "EDQUOT limits.maps");
    EXPECT_EQ(as_user(test_user(), [] { return outcome(create_map(::bpfw_open("tracing"))); }), "EDQUOT limits.maps");
    EXPECT_EQ(ask(holder, "child program"), "EPERM allow.program_types");
    EXPECT_EQ(ask(holder, "derive"), "ok") << "the new daemon answers the old worker";

    // And what ends sessions ends these.
    const auto ids = service.daemon.sessions();
    const auto parent = [&] {
        for (const auto& id : ids)
            if (service.daemon.audit({"session_open", id}).size() == 1) return id;
        return std::string();
    }();
    EXPECT_EQ(service.daemon.tool({"session", "revoke", parent}).status, 0);
    EXPECT_EQ(ask(holder, "stopped"), "stopped");
    EXPECT_EQ(ask(holder, "map"), "ECONNRESET");
    EXPECT_EQ(ask(holder, "child map"), "ECONNRESET");
    EXPECT_TRUE(service.daemon.sessions().empty());
    EXPECT_TRUE(is_gone(worker));
}

TEST_P(Restart, WithoutKeepingItEnds) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"tracing", tracing_grant}});
    Actor holder(test_user(), obey);
    ASSERT_EQ(holder.hear(), "open");
    ASSERT_EQ(ask(holder, "count"), "ok");
    const auto worker = daemon.worker();
    end(daemon, GetParam());
    EXPECT_TRUE(is_gone(worker));
    EXPECT_EQ(ask(holder, "stopped"), "stopped");
    daemon.start();
    EXPECT_EQ(ask(holder, "map"), "ECONNRESET");
    EXPECT_TRUE(daemon.sessions().empty());
}

TEST_P(Restart, ASessionThatWasNotUsedYetGoesOn) {
    BW_SAME_ON_EVERY_KERNEL();
    Service service({{"tracing", tracing_grant}});
    Actor holder(test_user(), obey);
    ASSERT_EQ(holder.hear(), "open");
    ASSERT_EQ(service.daemon.worker(), 0);
    end(service.daemon, GetParam());
    service.start_again();
    EXPECT_EQ(ask(holder, "count"), "ok") << "with the network namespace and the control group of its opener";
    EXPECT_EQ(ask(holder, "seen"), "all");
    // Once more, used now.
    end(service.daemon, GetParam());
    service.start_again();
    EXPECT_EQ(ask(holder, "map"), "ok");
    EXPECT_EQ(ask(holder, "seen"), "all");
    EXPECT_EQ(service.events({"session_adopt"}), 2U);
    EXPECT_EQ(service.events({"session_lost"}), 0U);
}

INSTANTIATE_TEST_SUITE_P(Ways, Restart, ::testing::Values(Way::asked, Way::killed, Way::spawner_killed),
                         [](const auto& way) {
                             return way.param == Way::asked    ? "Asked"
                                    : way.param == Way::killed ? "Killed"
                                                               : "SpawnerKilled";
                         });

// What nobody keeps any more ends: systemd lets go of its store when the service is stopped.
TEST(Store, DroppedItEndsTheWorkers) {
    BW_SAME_ON_EVERY_KERNEL();
    Service service({{"tracing", tracing_grant}});
    Actor holder(test_user(), obey);
    ASSERT_EQ(holder.hear(), "open");
    ASSERT_EQ(ask(holder, "count"), "ok");
    const auto worker = service.daemon.worker();
    EXPECT_EQ(service.daemon.stop(), 0);
    service.manager.catch_up();
    EXPECT_EQ(ask(holder, "seen"), "all");
    service.manager.remove_all();
    EXPECT_TRUE(is_gone(worker));
    EXPECT_EQ(ask(holder, "stopped"), "stopped");
    EXPECT_EQ(ask(holder, "map"), "ECONNRESET");
}

// The next daemon may be one that keeps nothing.
TEST(Store, IsEmptiedByADaemonThatKeepsNothing) {
    BW_SAME_ON_EVERY_KERNEL();
    Service service({{"tracing", tracing_grant}});
    Actor holder(test_user(), obey);
    ASSERT_EQ(holder.hear(), "open");
    ASSERT_EQ(ask(holder, "map"), "ok");
    const auto worker = service.daemon.worker();
    EXPECT_EQ(service.daemon.stop(), 0);
    service.daemon.set_options({});
    service.start_again();
    EXPECT_TRUE(is_gone(worker));
    EXPECT_EQ(ask(holder, "map"), "ECONNRESET");
    EXPECT_TRUE(eventually([&] { return service.manager.names().empty(); }));
}

TEST(Store, IsEmptyAgainWhenSessionsHaveEnded) {
    BW_SAME_ON_EVERY_KERNEL();
    Service service({{"filters", filters}});
    EXPECT_TRUE(eventually([&] { return service.manager.names() == Words{"gfilters"}; }));
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(as_user(test_user(),
                          [] {
                              auto* session = ::bpfw_open("filters");
                              auto* child = ::bpfw_derive(session, arrays);
                              return outcome(create_map(session)) + " " + outcome(create_map(child));
                          }),
                  "ok ok");
    EXPECT_TRUE(eventually([&] { return service.manager.names() == Words{"gfilters"}; }))
        << ::testing::PrintToString(service.manager.names());
    service.daemon.remove_grant("filters");
    EXPECT_EQ(service.daemon.tool({"grant", "reload"}).status, 0);
}

// A deleted grant takes no session away, at a restart as at a reload; nor does a changed one change it.
TEST(Store, SessionsKeepTheirGrant) {
    BW_SAME_ON_EVERY_KERNEL();
    Service service({{"tracing", tracing_grant}});
    Actor holder(test_user(), obey);
    ASSERT_EQ(holder.hear(), "open");
    ASSERT_EQ(ask(holder, "program"), "ok");
    service.daemon.remove_grant("tracing");
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(service.daemon.stop(), 0);
        service.start_again();
        EXPECT_EQ(ask(holder, "program"), "ok");
    }
    EXPECT_EQ(service.daemon.tool({"grant", "revoke", "tracing"}).status, 0);
    EXPECT_EQ(ask(holder, "program"), "ECONNRESET");
}

TEST(Store, LifetimesGoOn) {
    BW_SAME_ON_EVERY_KERNEL();
    Service service({{"tracing", tracing_grant + "[session]\nlifetime = '1s'\n"}});
    Actor before(test_user(), obey), during(test_user(), obey);
    ASSERT_EQ(before.hear(), "open");
    ASSERT_EQ(during.hear(), "open");
    ASSERT_EQ(ask(before, "map"), "ok");
    service.daemon.kill();
    service.start_again();
    EXPECT_TRUE(eventually([&] { return service.daemon.sessions().empty(); }));
    EXPECT_EQ(service.events({"session_revoke", "its lifetime is over"}), 2U);
    EXPECT_EQ(ask(before, "map"), "ECONNRESET");
    // Over while there was no daemon: at once.
    Actor away(test_user(), obey);
    ASSERT_EQ(away.hear(), "open");
    ASSERT_EQ(ask(away, "map"), "ok");
    service.daemon.kill();
    ::sleep(1);
    service.start_again();
    EXPECT_TRUE(eventually([&] { return service.events({"session_revoke", "its lifetime is over"}) == 3; }));
}

// The worker ends while there is no daemon: what it did is in the log all the same, and nothing counts any more.
TEST(Store, AWorkerThatEndedMeanwhile) {
    BW_SAME_ON_EVERY_KERNEL();
    Service service({{"tracing", tracing_grant}});
    Actor holder(test_user(), obey);
    ASSERT_EQ(holder.hear(), "open");
    ASSERT_EQ(ask(holder, "program"), "ok");
    const auto worker = service.daemon.worker();
    service.daemon.kill();
    for (int i = 0; i < 4; ++i) ASSERT_EQ(ask(holder, "program"), "ok");
    ::kill(worker, SIGKILL);
    ASSERT_TRUE(is_gone(worker));
    service.start_again();
    EXPECT_TRUE(eventually([&] { return service.daemon.sessions().empty(); }));
    EXPECT_EQ(service.events({"\"event\":\"operation\"", "prog_load"}), 5U);
    EXPECT_EQ(service.events({"session_close", "\"operations\":5"}), 1U);
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("tracing");
                          int loaded = 0;
                          while (load_program(session, BPF_PROG_TYPE_TRACEPOINT) >= 0) ++loaded;
                          return std::to_string(loaded);
                      }),
              "8");
}

// A map that its session did not take along goes on counting, whatever restarts.
TEST(Store, MapsThatOutlivedTheirSession) {
    BW_SAME_ON_EVERY_KERNEL();
    Service service({{"tracing", tracing_grant}});
    Actor keeper(test_user(), [](Actor& actor) {
        auto* session = ::bpfw_open("tracing");
        auto* child = ::bpfw_derive(session, arrays);
        int maps[3] = {create_map(session), create_map(session), create_map(child)};
        ::bpfw_close(child);
        ::bpfw_close(session);
        for (int& map : maps) {
            actor.say("closed");
            (void)actor.listen();
            ::close(map);
        }
        actor.say("closed");
        (void)actor.listen();
    });
    const auto most = [] {
        return as_user(test_user(), [] {
            auto* session = ::bpfw_open("tracing");
            int made = 0;
            while (create_map(session) >= 0) ++made;
            return std::to_string(made);
        });
    };
    for (const char* left : {"1", "2", "3", "4"}) {
        ASSERT_EQ(keeper.hear(), "closed");
        EXPECT_TRUE(eventually([&] { return service.daemon.sessions().empty() && most() == left; }))
            << left << " " << most();
        EXPECT_TRUE(eventually([&] { return service.daemon.sessions().empty(); }));
        service.daemon.kill();
        service.start_again();
        EXPECT_TRUE(eventually([&] { return service.daemon.sessions().empty() && most() == left; })) << left;
        keeper.tell();
    }
    EXPECT_TRUE(eventually([&] { return service.manager.names() == Words{"gtracing"}; }))
        << ::testing::PrintToString(service.manager.names());
}

// More is done while there is no daemon than the ring has room for: the log says how much, and what still counts
// counts.
TEST(Store, ARingThatIsFullMeanwhile) {
    BW_SAME_ON_EVERY_KERNEL();
    Service service({{"filters", filters + "[limits]\nmaps = 4\n"}});
    Actor keeper(test_user(), [](Actor& actor) {
        auto* session = ::bpfw_open("filters");
        const int map = create_map(session);
        actor.say("here");
        (void)actor.listen();
        constexpr int many = 3000;
        for (int i = 0; i < many; ++i) ::close(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER));
        const int late = create_map(session);
        ::bpfw_close(session);
        actor.say(map >= 0 && late >= 0 ? "done" : "no map");
        (void)actor.listen();
    });
    ASSERT_EQ(keeper.hear(), "here");
    service.daemon.kill();
    keeper.tell();
    ASSERT_EQ(keeper.hear(), "done");
    service.start_again();
    EXPECT_TRUE(eventually([&] { return service.daemon.sessions().empty(); }));
    const auto told = service.events({"\"event\":\"operation\""});
    std::size_t lost = 0;
    for (const auto& line : service.daemon.audit({"\"event\":\"gap\"", "the ring was full"}))
        lost += std::strtoul(line.substr(line.find("\"lost\":") + 7).c_str(), nullptr, 10);
    EXPECT_GT(lost, 0U);
    EXPECT_EQ(told + lost, 3002U);
    // Two of four are with the keeper, one of which no event tells of.
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("filters");
                          int made = 0;
                          while (create_map(session) >= 0) ++made;
                          return std::to_string(made);
                      }),
              "2");
}

// Whatever one piece is replaced by, or if it is missing: the session ends, it is told, and the others go on.
TEST(Store, GarbageAndMissingPieces) {
    BW_SAME_ON_EVERY_KERNEL();
    const auto junk = [](int which) {
        int ends[2];
        switch (which) {
            case 0: {  // plain memory
                const int fd = ::memfd_create("junk", MFD_CLOEXEC);
                EXPECT_EQ(::write(fd, "no session at all", 17), 17);
                return fd;
            }
            case 1:
                return ::eventfd(0, EFD_CLOEXEC);
            case 2:
                EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
                ::close(ends[0]);
                return ends[1];
            case 3:
                EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
                ::close(ends[1]);
                return ends[0];
            default:
                return -1;
        }
    };
    // Without its state or its counters nobody knows what a session had; that counts until the others have ended.
    auto grant = tracing_grant;
    grant.replace(grant.find("maps = 4"), 8, "maps = 40");
    Service service({{"tracing", grant}});
    Actor other(test_user(), obey);
    ASSERT_EQ(other.hear(), "open");
    ASSERT_EQ(ask(other, "program"), "ok");
    const auto first = service.daemon.sessions().at(0);
    std::mt19937 random(5);
    for (const char piece : std::string("snxwre0ok")) {
        Actor holder(test_user(), obey);
        ASSERT_EQ(holder.hear(), "open");
        const bool used = piece != 'k';
        if (used) {
            ASSERT_EQ(ask(holder, "map"), "ok");
        }
        service.daemon.kill();
        service.manager.catch_up();
        std::string name;
        for (const auto& one : service.manager.names())
            if (one.front() == piece && !one.ends_with(first)) name = one;
        ASSERT_FALSE(name.empty()) << piece;
        auto which = static_cast<int>(random() % 5);
        if (piece == 'e' && which == 1) which = 0;  // one eventfd is like any other
        service.manager.remove(name);
        if (const int fd = junk(which); fd >= 0) service.manager.put(name, fd);
        service.daemon.start();
        // Without its pidfd a session counts as not used yet, and has no socket any more.
        EXPECT_TRUE(eventually([&] { return service.daemon.sessions() == Words{first}; })) << name << " " << which;
        EXPECT_EQ(service.events({"session_lost", name.substr(1)}) + service.events({"session_close", name.substr(1)}),
                  1U)
            << name << " " << which;
        EXPECT_EQ(ask(holder, "map"), "ECONNRESET");
        EXPECT_EQ(ask(other, "program"), "ok") << name << " " << which;
        EXPECT_EQ(ask(other, "program").substr(0, 2), "ok");
    }
    // Nothing is left of those, when the maps of their holders are gone too.
    EXPECT_TRUE(eventually([&] {
        const auto names = service.manager.names();
        return std::ranges::all_of(names, [&](const auto& one) { return one.ends_with(first) || one == "gtracing"; });
    })) << ::testing::PrintToString(service.manager.names());
}

// Five pieces at the opening; three more, the worker, and the socket taken away at the first use. Whoever was told of
// the session has it afterwards.
TEST(Store, KilledAfterEachPiece) {
    BW_SAME_ON_EVERY_KERNEL();
    int opened = 0, refused = 0;
    for (int pieces = 1; pieces <= 10; ++pieces) {
        Service service({{"tracing", tracing_grant}});
        service.manager.catch_up();
        service.manager.kill_after(pieces, service.daemon.pid());
        Actor holder(test_user(), obey);
        holder.tell("map");
        EXPECT_EQ(service.daemon.wait(), -1) << "it was killed";
        service.start_again();
        // Where the session was there and nobody had said so yet, the next daemon does.
        if (holder.hear() == "open") {
            ++opened;
            EXPECT_EQ(holder.hear(), "ok") << pieces;
            EXPECT_EQ(ask(holder, "count"), "ok") << pieces;
            EXPECT_EQ(ask(holder, "seen"), "all") << pieces;
            EXPECT_EQ(service.daemon.sessions().size(), 1U) << pieces;
            EXPECT_EQ(service.events({"session_lost"}), 0U) << pieces;
        } else {
            ++refused;
            EXPECT_TRUE(eventually([&] { return service.daemon.sessions().empty(); })) << pieces;
            EXPECT_TRUE(eventually([&] { return service.manager.names() == Words{"gtracing"}; })) << pieces;
        }
    }
    EXPECT_GE(opened, 5);
    EXPECT_GE(refused, 1);
}

// The daemon is killed again and again while sessions are opened, used, derived from and closed: nobody who was told of
// a session loses it, nothing is left, and the log has every number.
TEST(Store, KilledAtAnyPoint) {
    BW_SAME_ON_EVERY_KERNEL();
    std::mt19937 random(17);
    Service service({{"filters", filters + "[limits]\nmaps = 400\nprograms = 400\n"}});
    {
        std::vector<std::unique_ptr<Actor>> actors;
        for (int i = 0; i < 3; ++i)
            actors.push_back(std::make_unique<Actor>(test_user(), [](Actor& actor) {
                auto* lasting = ::bpfw_open("filters");
                const int map = create_map(lasting);
                actor.say("here");
                const auto works = [&](bpfw_session* session) {
                    const int program = load_program(session, BPF_PROG_TYPE_SOCKET_FILTER, count_in(map, 0));
                    ::close(program);
                    return program >= 0;
                };
                // Until it is told to end.
                while (!actor.is_told()) {
                    if (!works(lasting)) return actor.say(std::string("lasting: ") + ::bpfw_error());
                    // Nobody opens to it where there is no daemon.
                    if (auto* session = ::bpfw_open("filters")) {
                        const int own = create_map(session);
                        if (own < 0) return actor.say(std::string("one more: ") + ::bpfw_error());
                        ::close(own);
                        ::bpfw_close(session);
                    }
                }
                auto* child = ::bpfw_derive(lasting, arrays);
                actor.say(child == nullptr ? ::bpfw_error() : outcome(create_map(child)));
            }));
        for (const auto& actor : actors) ASSERT_EQ(actor->hear(), "here");
        for (int round = 0; round < cases(6); ++round) {
            ::usleep(static_cast<useconds_t>(random() % 60'000));
            if (round % 3 == 2)
                end(service.daemon, Way::spawner_killed);
            else
                service.daemon.kill();
            service.start_again();
        }
        for (const auto& actor : actors) EXPECT_EQ(ask(*actor, "end"), "ok");
    }
    EXPECT_TRUE(eventually([&] { return service.daemon.sessions().empty(); })) << service.listed();
    // Who does much while there is no daemon fills the ring; that is told.
    EXPECT_EQ(service.events({"\"event\":\"gap\""}), service.events({"\"event\":\"gap\"", "the ring was full"}));
    EXPECT_EQ(service.events({"\"event\":\"corrupt\""}), 0U);
    // Killed while it opens a session, of which nobody was told then.
    EXPECT_EQ(service.events({"session_lost"}), service.events({"session_lost", "its opening was not finished"}));
    EXPECT_TRUE(eventually([&] { return service.manager.names() == Words{"gfilters"}; }))
        << ::testing::PrintToString(service.manager.names());
    // Nothing counts for ever.
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("filters");
                          int made = 0;
                          while (create_map(session) >= 0) ++made;
                          return std::to_string(made);
                      }),
              "400");
}

}  // namespace bpfwarden::test
