// SPDX-License-Identifier: Apache-2.0
// Many at once, slow and vanishing clients, and processes killed at any point. Small counts here; BPFWARDEN_SOAK=1 runs
// fifty times as many.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <set>

#include "daemon.hpp"

namespace bpfwarden::test {

namespace {

const std::string filters =
    allow("program_types = ['socket_filter']\nmap_types = ['array']\ncapabilities = ['bpf']\n" + everything_but_types);

int cases(int normal, int soak) { return std::getenv("BPFWARDEN_SOAK") != nullptr ? soak : normal; }

std::set<std::uint32_t> ids(int next_id) {
    std::set<std::uint32_t> all;
    bpf_attr attr{};
    while (::syscall(SYS_bpf, next_id, &attr, sizeof attr) == 0) {
        all.insert(attr.next_id);
        attr.start_id = attr.next_id;
        attr.next_id = 0;
    }
    return all;
}
// What this machine has of BPF objects now and had not before; others may come and go meanwhile, so ask again.
bool only_these(const std::set<std::uint32_t>& programs, const std::set<std::uint32_t>& maps,
                const std::set<std::uint32_t>& links) {
    const auto within = [](const std::set<std::uint32_t>& now, const std::set<std::uint32_t>& then) {
        return std::ranges::includes(then, now);
    };
    return within(ids(BPF_PROG_GET_NEXT_ID), programs) && within(ids(BPF_MAP_GET_NEXT_ID), maps) &&
           within(ids(BPF_LINK_GET_NEXT_ID), links);
}

std::size_t open_fds(pid_t pid) {
    std::size_t count = 0;
    if (auto* directory = ::opendir(("/proc/" + std::to_string(pid) + "/fd").c_str())) {
        while (::readdir(directory) != nullptr) ++count;
        ::closedir(directory);
    }
    return count;
}

}  // namespace

TEST(Stress, ManySessionsAtOnce) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}});
    constexpr int sessions = 200;
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          std::vector<bpfw_session*> all;
                          for (int i = 0; i < sessions; ++i) {
                              all.push_back(::bpfw_open("filters"));
                              if (all.back() == nullptr) return std::string("open: ") + ::bpfw_error();
                          }
                          for (auto* session : all)
                              if (load_program(session, BPF_PROG_TYPE_SOCKET_FILTER) < 0)
                                  return std::string("load: ") + ::bpfw_error();
                          for (auto* session : all) ::bpfw_close(session);
                          return std::string("ok");
                      }),
              "ok");
    EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
    EXPECT_EQ(daemon.audit({"\"event\":\"session_open\""}).size(), static_cast<std::size_t>(sessions));
    EXPECT_EQ(daemon.audit({"prog_load"}).size(), static_cast<std::size_t>(sessions));
}

// Clients that send requests and read no answers, or close in the middle, harm only themselves.
TEST(Stress, ClientsThatDoNotRead) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}});
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("filters");
                          if (create_map(session) < 0) return std::string(::bpfw_error());
                          for (int channel = 0; channel < 20; ++channel) {
                              int ends[2];
                              const int on = 1;
                              if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) return std::string("socketpair");
                              ::setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
                              RawHeader header;
                              if (!open_channel(::bpfw_fd(session), ends[1])) return std::string("sendmsg");
                              ::close(ends[1]);
                              header.type = 8;  // describe
                              header.fds = 0;
                              for (int i = 0; i < 2000; ++i)
                                  if (::send(ends[0], &header, sizeof header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) break;
                              if (channel % 2 == 0) ::close(ends[0]);
                          }
                          return outcome(create_map(session));
                      }),
              "ok");
}

// Frames that are nearly right, by the thousand: the worker reads them all and goes on serving.
TEST(Stress, MalformedFrames) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}});
    Actor holder(test_user(), [](Actor& actor) {
        auto* session = ::bpfw_open("filters");
        actor.say(outcome(create_map(session)));
        (void)actor.listen();
        std::mt19937 random(29);
        const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
        // A map_create as the library sends it: {command, size of the attributes, attributes}.
        bpf_attr attr{};
        attr.map_type = BPF_MAP_TYPE_ARRAY;
        attr.key_size = attr.value_size = 4;
        attr.max_entries = 1;
        attr.btf_fd = ~0U;
        const std::uint32_t head[2] = {BPF_MAP_CREATE, sizeof attr};
        std::vector<char> good(sizeof(RawHeader));
        good.insert(good.end(), reinterpret_cast<const char*>(head), reinterpret_cast<const char*>(head + 2));
        good.insert(good.end(), reinterpret_cast<const char*>(&attr), reinterpret_cast<const char*>(&attr + 1));
        int end = -1;
        const int on = 1;
        for (int i = 0; i < cases(2000, 1'000'000); ++i) {
            if (end < 0) {
                int pair[2];
                if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0) break;
                ::setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
                if (!open_channel(::bpfw_fd(session), pair[1])) break;
                ::close(pair[1]);
                end = pair[0];
            }
            auto frame = good;
            RawHeader header{.type = static_cast<std::uint16_t>(3 + below(7)),
                             .length = good.size() - sizeof(RawHeader)};
            // Now and then only the command, which has every other layout.
            if (below(3) == 0) frame[sizeof header] = static_cast<char>(below(40));
            std::memcpy(frame.data(), &header, sizeof header);
            for (auto n = below(4); n > 0; --n) frame[below(frame.size())] = static_cast<char>(random());
            if (below(8) == 0) frame.resize(1 + below(frame.size()));
            char answer[4096];
            if (::send(end, frame.data(), frame.size(), MSG_NOSIGNAL) < 0 ||
                ::recv(end, answer, sizeof answer, 0) <= 0) {
                ::close(end);
                end = -1;
            }
        }
        actor.say(outcome(create_map(session)));
        (void)actor.listen();
    });
    ASSERT_EQ(holder.hear(), "ok");
    const auto worker = daemon.worker();
    holder.tell();
    EXPECT_EQ(holder.hear(), "ok");
    EXPECT_EQ(daemon.worker(), worker) << "it was not another one";
}

// 10^n operations leave no fd behind in any process of the daemon's.
TEST(Stress, FdsStayFlat) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"filters", filters}});
    const auto spawner = daemon.spawner();
    ASSERT_GT(spawner, 0);
    Actor holder(test_user(), [](Actor& actor) {
        auto* session = ::bpfw_open("filters");
        for (const int count : {10, cases(1000, 100'000)}) {
            for (int i = 0; i < count; ++i) {
                const int map = create_map(session);
                const int program = load_program(session, BPF_PROG_TYPE_SOCKET_FILTER, count_in(map, 0));
                (void)load_program(session, BPF_PROG_TYPE_XDP);
                ::close(program);
                ::close(map);
            }
            // What was closed is noticed in its turn.
            for (int i = 0; i < 5; ++i) (void)create_map(session);
            actor.say("done");
            (void)actor.listen();
        }
    });
    ASSERT_EQ(holder.hear(), "done");
    const auto worker = daemon.worker();
    const auto before = std::array{open_fds(daemon.pid()), open_fds(spawner), open_fds(worker)};
    holder.tell();
    ASSERT_EQ(holder.hear(), "done");
    EXPECT_TRUE(eventually([&] { return open_fds(worker) <= before[2] + 2; }))
        << open_fds(worker) << " of " << before[2];
    EXPECT_LE(open_fds(daemon.pid()), before[0] + 1);
    EXPECT_LE(open_fds(spawner), before[1] + 1);
    // And sessions that come and go.
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          for (int i = 0; i < cases(40, 2000); ++i) {
                              auto* session = ::bpfw_open("filters");
                              if (create_map(session) < 0) return std::string(::bpfw_error());
                              ::bpfw_close(session);
                          }
                          return std::string("ok");
                      }),
              "ok");
    holder.tell();
    EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
    // Of sessions whose maps are still there it keeps notes, for a moment.
    EXPECT_TRUE(eventually([&] { return open_fds(daemon.pid()) <= before[0] + 1; })) << open_fds(daemon.pid());
    EXPECT_LE(open_fds(spawner), before[1] + 1);
}

// The daemon, the spawner or a worker is killed while sessions are busy: nothing is left that nobody holds.
TEST(Stress, KilledAtAnyPoint) {
    std::mt19937 random(11);
    for (int round = 0; round < cases(6, 300); ++round) {
        const auto programs = ids(BPF_PROG_GET_NEXT_ID), maps = ids(BPF_MAP_GET_NEXT_ID),
                   links = ids(BPF_LINK_GET_NEXT_ID);
        {
            Daemon daemon({{"filters", filters}});
            std::vector<std::unique_ptr<Actor>> actors;
            for (int i = 0; i < 4; ++i)
                actors.push_back(std::make_unique<Actor>(test_user(), [](Actor& actor) {
                    auto* session = ::bpfw_open("filters");
                    actor.say("here");
                    for (;;) {
                        const int map = create_map(session);
                        const int program =
                            map < 0 ? -1 : load_program(session, BPF_PROG_TYPE_SOCKET_FILTER, count_in(map, 0));
                        if (program < 0) break;
                        ::close(map);
                        ::close(program);
                    }
                    // A call ends with an error, not never.
                    actor.say(errno == ECONNRESET ? "ECONNRESET" : ::bpfw_error());
                }));
            for (const auto& actor : actors) ASSERT_EQ(actor->hear(), "here");
            ::usleep(static_cast<useconds_t>(random() % 30'000));
            if (round % 3 == 0) {
                daemon.kill();
            } else if (round % 3 == 1) {
                ::kill(daemon.spawner(), SIGKILL);
                EXPECT_EQ(daemon.wait(), 1);
            } else {
                const auto worker = daemon.worker();
                if (worker > 0) ::kill(worker, SIGKILL);
                EXPECT_EQ(daemon.stop(), 0);
            }
            for (const auto& actor : actors) EXPECT_EQ(actor->hear(), "ECONNRESET");
        }
        EXPECT_TRUE(eventually([&] { return only_these(programs, maps, links); })) << "round " << round;
    }
}

}  // namespace bpfwarden::test
