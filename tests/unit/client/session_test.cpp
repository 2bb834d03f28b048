// SPDX-License-Identifier: Apache-2.0
// Sessions against a broker that does what it should not: every call ends, with an errno and a text, and leaves no fd.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "bpfwarden/bpfwarden.h"
#include "unit/client/peer.hpp"
#include "unit/wire/samples.hpp"

using namespace bpfwarden;
using namespace bpfwarden::wire;
using testing::HasSubstr;
using testing::StartsWith;

namespace {

struct Folder {
    Folder() {
        char name[] = "/tmp/bpfw-XXXXXX";
        path = ::mkdtemp(name);
        ::setenv("BPFWARDEN_RUN", path.c_str(), 1);
    }
    ~Folder() {
        ::unsetenv("BPFWARDEN_RUN");
        std::filesystem::remove_all(path);
    }
    std::filesystem::path path;
};
struct Close {
    void operator()(bpfw_session* session) const { bpfw_close(session); }
};
using Held = std::unique_ptr<bpfw_session, Close>;

Held held(Peer& peer) { return Held(bpfw_adopt(peer.session().release())); }

int make_map(bpfw_session* session) {
    bpf_attr attr{};
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    return bpfw_bpf(session, BPF_MAP_CREATE, &attr, sizeof attr);
}
bool make_file(FdRef channel, Message& request) {
    const auto file = some_file();
    return answer_bpf(channel, request, 0, {file.get()});
}

}  // namespace

// ---- opening

TEST(Open, TakesTheBrokersGreeting) {
    const Folder folder;
    Peer peer(make_file);
    peer.listen(folder.path, "test", Peer::greet);
    const Held session(bpfw_open("test"));
    ASSERT_TRUE(session) << bpfw_error();
    EXPECT_EQ(::fcntl(bpfw_fd(session.get()), F_GETFD), FD_CLOEXEC);
    const UniqueFd map(make_map(session.get()));
    EXPECT_TRUE(map) << bpfw_error();
    EXPECT_EQ(::fcntl(map.get(), F_GETFD), FD_CLOEXEC);
}

TEST(Open, SaysWhyNot) {
    const Folder folder;
    const auto before = open_fds();
    const auto expect = [](const char* grant, int number, const char* text) {
        EXPECT_EQ(bpfw_open(grant), nullptr) << grant;
        EXPECT_EQ(errno, number) << grant << ": " << bpfw_error();
        EXPECT_THAT(bpfw_error(), HasSubstr(text));
        EXPECT_STREQ(bpfw_error_key(), "");
    };
    expect("", EINVAL, "no name of a grant");
    expect("..", EINVAL, "no name of a grant");
    expect("../grant/test", EINVAL, "no name of a grant");
    expect("test", ENOENT, "systemctl start bpfwardend");
    std::filesystem::create_directories(folder.path / "grant");
    expect("test", ENOENT, "bpfwarden grant list");
    expect(std::string(200, 'x').c_str(), ENAMETOOLONG, "too long");
    {
        Peer peer(make_file);
        peer.listen(folder.path, "gone", Peer::greet);
    }
    expect("gone", ECONNREFUSED, "nobody listens");
    EXPECT_EQ(open_fds(), before);
}

TEST(Open, IsRefusedInWords) {
    const Folder folder;
    Peer peer(make_file);
    peer.listen(folder.path, "error", [](FdRef session) {
        Writer body;
        body.number(static_cast<std::uint8_t>(Answer::failed));
        write_error(body, Error::from_errno(EPERM, "the subject does not have you").advise("ask"));
        (void)send(session, Type::hello, 0, body.bytes());
    });
    peer.listen(folder.path, "refused", [](FdRef session) {
        Writer body;
        write_refusal(body, {EACCES, "subject", "x.toml:3:1", "not your cgroup"});
        (void)send(session, Type::hello, 0, body.bytes());
    });
    EXPECT_EQ(bpfw_open("error"), nullptr);
    EXPECT_EQ(errno, EPERM);
    EXPECT_THAT(bpfw_error(), HasSubstr("the subject does not have you"));
    EXPECT_EQ(bpfw_open("refused"), nullptr);
    EXPECT_EQ(errno, EACCES);
    EXPECT_STREQ(bpfw_error_key(), "subject");
    EXPECT_STREQ(bpfw_error_line(), "x.toml:3:1");
}

TEST(Open, AGreetingThatIsNoneIsRefused) {
    const Folder folder;
    const auto before = open_fds();
    {
        Peer peer(make_file);
        const auto try_one = [&](const std::string& name, int number, std::function<void(FdRef)> greet) {
            peer.listen(folder.path, name, std::move(greet));
            EXPECT_EQ(bpfw_open(name.c_str()), nullptr) << name;
            EXPECT_EQ(errno, number) << name << ": " << bpfw_error();
        };
        try_one("closed", ECONNRESET, [](FdRef session) { ::shutdown(session.get(), SHUT_RDWR); });
        try_one("garbage", EPROTO,
                [](FdRef session) { (void)!::write(session.get(), "hello, world, hello, world", 26); });
        try_one("other", EPROTO, [](FdRef session) { (void)send(session, Type::answer, 0, {}); });
        try_one("empty", EPROTO, [](FdRef session) { (void)send(session, Type::hello, 0, {}); });
        try_one("fds", EPROTO, [](FdRef session) {
            const auto file = some_file();
            const int fds[] = {file.get()};
            Writer body;
            body.number(std::uint8_t{0});
            for (int i = 0; i < 3; ++i) body.text("x");
            (void)send(session, Type::hello, 0, body.bytes(), fds);
        });
        try_one("cut", EPROTO, [](FdRef session) {
            Writer body;
            body.number(std::uint8_t{0});
            body.text("x");
            (void)send(session, Type::hello, 0, body.bytes());
        });
    }
    EXPECT_EQ(open_fds(), before);
}

TEST(Adopt, TakesOnlyWhatMayBeASession) {
    const auto before = open_fds();
    {
        const auto expect = [](int fd, int number) {
            EXPECT_EQ(bpfw_adopt(fd), nullptr);
            EXPECT_EQ(errno, number) << bpfw_error();
            EXPECT_EQ(::fcntl(fd, F_GETFD) >= 0, number != EBADF);  // still the caller's
        };
        expect(-1, EBADF);
        int closed = -1;
        {
            const auto gone = some_file();
            closed = gone.get();
        }
        expect(closed, EBADF);
        const auto file = some_file();
        expect(file.get(), ENOTSOCK);
        int ends[2];
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        const UniqueFd a(ends[0]);
        const UniqueFd b(ends[1]);
        expect(a.get(), EPROTOTYPE);
        const UniqueFd lonely(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        expect(lonely.get(), EPROTOTYPE);
    }
    EXPECT_EQ(open_fds(), before);
}

// ---- a broker that misbehaves

TEST(Misbehaviour, EndsTheCallWithAText) {
    const auto before = open_fds();
    {
        const auto expect = [](const char* what, int number, Behaviour behaviour) {
            Peer peer(std::move(behaviour));
            const auto session = held(peer);
            EXPECT_EQ(make_map(session.get()), -1) << what;
            EXPECT_EQ(errno, number) << what << ": " << bpfw_error();
            EXPECT_STRNE(bpfw_error(), "") << what;
            EXPECT_STREQ(bpfw_error_key(), "") << what;
        };
        const auto file = some_file();
        const int number = file.get();
        expect("closes", ECONNRESET, [](FdRef, Message&) { return false; });
        expect("garbage", EPROTO,
               [](FdRef channel, Message&) { return ::write(channel.get(), "no message at all here..", 24) > 0; });
        expect("a byte", EPROTO, [](FdRef channel, Message&) { return ::write(channel.get(), "x", 1) > 0; });
        expect("nothing in it", EPROTO,
               [](FdRef channel, Message& request) { return answer(channel, request, Writer()); });
        expect("another id", EPROTO, [](FdRef channel, Message& request) {
            ++request.id;
            return answer_bpf(channel, request, 0);
        });
        expect("another type", EPROTO,
               [](FdRef channel, Message& request) { return send(channel, Type::hello, request.id, {}).has_value(); });
        expect("an answer that is none", EPROTO, [](FdRef channel, Message& request) {
            Writer body;
            body.number(std::uint8_t{9});
            return answer(channel, request, body);
        });
        expect("cut", EPROTO, [](FdRef channel, Message& request) {
            Writer body;
            body.number(std::uint8_t{0});
            body.number(std::int16_t{0});
            return answer(channel, request, body);
        });
        expect("no fd", EPROTO, [](FdRef channel, Message& request) { return answer_bpf(channel, request, 0); });
        expect("a number for an fd", EPROTO,
               [](FdRef channel, Message& request) { return answer_bpf(channel, request, 1); });
        expect("two fds", EPROTO,
               [number](FdRef channel, Message& request) { return answer_bpf(channel, request, 0, {number, number}); });
        expect("100 fds", EPROTO, [number](FdRef channel, Message& request) {
            return answer_bpf(channel, request, 0, std::vector<int>(100, number));
        });
        expect("a broken refusal", EPROTO, [](FdRef channel, Message& request) {
            return answer_refused(channel, request, {0, "key", "line", "no errno"});
        });
        expect("a refusal with an fd", EPROTO, [number](FdRef channel, Message& request) {
            Writer body;
            write_refusal(body, {EPERM, "key", "line", "why"});
            return answer(channel, request, body, {number});
        });
        expect("a broken error", EPROTO, [](FdRef channel, Message& request) {
            Writer body;
            body.number(static_cast<std::uint8_t>(Answer::failed));
            body.number(std::int32_t{3});
            return answer(channel, request, body);
        });
        // A failure with an fd that nobody asked for: the errno stands, the fd is closed.
        expect("EINVAL and an fd", EINVAL,
               [number](FdRef channel, Message& request) { return answer_bpf(channel, request, -EINVAL, {number}); });
    }
    EXPECT_EQ(open_fds(), before);
}

TEST(Misbehaviour, AnFdForACommandThatMakesNone) {
    const auto before = open_fds();
    {
        const auto file = some_file();
        Peer peer([&](FdRef channel, Message& request) { return answer_bpf(channel, request, 0, {file.get()}); });
        const auto session = held(peer);
        bpf_attr attr{};
        attr.link_detach.link_fd = static_cast<std::uint32_t>(file.get());
        EXPECT_EQ(bpfw_bpf(session.get(), BPF_LINK_DETACH, &attr, sizeof attr), -1);
        EXPECT_EQ(errno, EPROTO);
    }
    EXPECT_EQ(open_fds(), before);
}

// A broken channel is left; the session is not.
TEST(Misbehaviour, TheNextCallGoesOverANewChannel) {
    std::atomic<int> calls{0};
    Peer peer([&](FdRef channel, Message& request) {
        if (++calls % 2 == 1) return send(channel, Type::hello, request.id, {}).has_value();
        return make_file(channel, request);
    });
    const auto session = held(peer);
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(make_map(session.get()), -1);
        const UniqueFd map(make_map(session.get()));
        EXPECT_TRUE(map) << bpfw_error();
    }
}

TEST(Misbehaviour, ABrokerThatDiesIsAnErrorAtOnce) {
    std::atomic<bool> asked{false};
    Peer peer([&](FdRef, Message&) {
        asked = true;
        return true;  // and never answers
    });
    const auto session = held(peer);
    std::thread killer([&] {
        while (!asked) std::this_thread::yield();
        peer.stop();
    });
    EXPECT_EQ(make_map(session.get()), -1);
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_THAT(bpfw_error(), HasSubstr("journalctl"));
    killer.join();
    // From then on too; and no signal.
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(make_map(session.get()), -1);
        EXPECT_EQ(errno, ECONNRESET);
    }
}

// The broker dies, and another process holds a copy of its end of the channel: the session's own end tells.
TEST(Misbehaviour, AStrayCopyOfTheBrokersEndIsNoHang) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    const Held session(bpfw_adopt(ends[0]));
    UniqueFd broker(ends[1]);
    UniqueFd stray;
    std::thread dies([&] {
        Receiver receiver;
        auto message = receiver.receive(broker);
        if (!message || !*message) return;
        stray = std::move((*message)->fds.front());
        broker.reset();
    });
    EXPECT_EQ(make_map(session.get()), -1);
    EXPECT_EQ(errno, ECONNRESET);
    dies.join();
}

TEST(Misbehaviour, ASlowBrokerIsWaitedForAsLongAsIsSaid) {
    Peer peer([](FdRef, Message&) { return true; });
    const auto session = held(peer);
    bpfw_set_timeout(session.get(), 50);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(make_map(session.get()), -1);
    EXPECT_EQ(errno, ETIMEDOUT);
    EXPECT_THAT(bpfw_error(), HasSubstr("bpfw_set_timeout"));
    const auto took = std::chrono::steady_clock::now() - start;
    EXPECT_GE(took, std::chrono::milliseconds(50));
    EXPECT_LT(took, std::chrono::seconds(20));
}

// An answer that comes after its call gave up is not the next call's.
TEST(Misbehaviour, ALateAnswerIsNobodys) {
    std::atomic<int> calls{0};
    Peer peer([&](FdRef channel, Message& request) {
        if (calls++ == 0) std::this_thread::sleep_for(std::chrono::milliseconds(200));
        return answer_bpf(channel, request, calls == 1 ? -ENOENT : -EEXIST);
    });
    const auto session = held(peer);
    bpfw_set_timeout(session.get(), 20);
    EXPECT_EQ(make_map(session.get()), -1);
    EXPECT_EQ(errno, ETIMEDOUT);
    bpfw_set_timeout(session.get(), 0);
    EXPECT_EQ(make_map(session.get()), -1);
    EXPECT_EQ(errno, EEXIST);
}

// ---- one session, several users

TEST(Sharing, ThreadsHaveChannelsOfTheirOwn) {
    Peer peer([](FdRef channel, Message& request) {
        const auto call = BpfCall::of(request);
        if (!call) return false;
        // Each thread knows its own answer.
        return answer_bpf(channel, request, -static_cast<int>(call->attr.max_entries));
    });
    const auto session = held(peer);
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int number = 1; number <= 8; ++number)
        threads.emplace_back([&, number] {
            for (int i = 0; i < 500; ++i) {
                bpf_attr attr{};
                attr.max_entries = static_cast<std::uint32_t>(number);
                if (bpfw_bpf(session.get(), BPF_MAP_CREATE, &attr, sizeof attr) != -1 || errno != number) ++wrong;
            }
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_LE(peer.channels, 8);
}

// Also of a request that was sent before the broker had the channel at all.
TEST(Sharing, TheBrokerKnowsWhoSends) {
    std::atomic<pid_t> sender{0};
    Peer peer([&](FdRef channel, Message& request) {
        sender = request.sender ? request.sender->pid : -1;
        return answer_bpf(channel, request, -EPERM);
    });
    const auto session = held(peer);
    EXPECT_EQ(make_map(session.get()), -1);
    EXPECT_EQ(sender, ::getpid());
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(make_map(session.get()) == -1 ? 0 : 1);
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(sender, pid);
}

TEST(Sharing, OneThreadStaysOnOneChannel) {
    Peer peer([](FdRef channel, Message& request) { return answer_bpf(channel, request, -EPERM); });
    const auto session = held(peer);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(make_map(session.get()), -1);
    EXPECT_EQ(peer.channels, 1);
}

TEST(Sharing, AForkedChildOpensItsOwn) {
    Peer peer([](FdRef channel, Message& request) { return answer_bpf(channel, request, -EEXIST); });
    const auto session = held(peer);
    EXPECT_EQ(make_map(session.get()), -1);
    const int before = peer.channels;
    const pid_t pid = ::fork();
    if (pid == 0) {
        const bool right = make_map(session.get()) == -1 && errno == EEXIST && make_map(session.get()) == -1;
        ::_exit(right ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(peer.channels, before + 1);
    // The parent's is as it was.
    EXPECT_EQ(make_map(session.get()), -1);
    EXPECT_EQ(peer.channels, before + 1);
}

// A program that closes all fds, and opens others: the session says so, and writes into none of them.
TEST(Sharing, AnFdThatWasClosedByOthersIsNotUsed) {
    Peer peer([](FdRef channel, Message& request) { return answer_bpf(channel, request, -EEXIST); });
    auto session = held(peer);
    EXPECT_EQ(make_map(session.get()), -1);
    const int number = bpfw_fd(session.get());
    const auto file = some_file();
    ASSERT_EQ(::dup2(file.get(), number), number);
    (void)make_map(session.get());  // by the channel that is still open, or not at all
    bpfw_close(session.release());
    EXPECT_TRUE(same_file(number, file.get()));  // not closed: it was not ours any more
    ::close(number);
    struct stat info{};
    ASSERT_EQ(::fstat(file.get(), &info), 0);
    EXPECT_EQ(info.st_size, 0);

    // With nothing in between, the first call finds out.
    auto fresh = held(peer);
    ASSERT_EQ(::dup2(file.get(), bpfw_fd(fresh.get())), bpfw_fd(fresh.get()));
    EXPECT_EQ(make_map(fresh.get()), -1);
    EXPECT_EQ(errno, EBADF);
    const int other = bpfw_fd(fresh.get());
    bpfw_close(fresh.release());
    ::close(other);
}

TEST(Sharing, SignalsDoNotEndACall) {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    struct sigaction old{};
    ASSERT_EQ(::sigaction(SIGUSR1, &action, &old), 0);  // without SA_RESTART
    Peer peer([](FdRef channel, Message& request) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        return answer_bpf(channel, request, -EEXIST);
    });
    const auto session = held(peer);
    std::atomic<bool> done{false};
    const auto self = ::pthread_self();
    std::thread sender([&] {
        while (!done) {
            ::pthread_kill(self, SIGUSR1);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    });
    EXPECT_EQ(make_map(session.get()), -1);
    EXPECT_EQ(errno, EEXIST);
    bpfw_set_timeout(session.get(), 10'000);
    EXPECT_EQ(make_map(session.get()), -1);
    EXPECT_EQ(errno, EEXIST);
    done = true;
    sender.join();
    ::sigaction(SIGUSR1, &old, nullptr);
}

#ifndef __SANITIZE_ADDRESS__  // which does not follow a cancellation's unwinding of the stack, and reports it
TEST(Sharing, ACancelledThreadLeavesNothing) {
    Peer peer([](FdRef, Message&) { return true; });
    const auto session = held(peer);
    const auto before = open_fds();
    pthread_t thread;
    const auto run = [](void* argument) -> void* {
        make_map(static_cast<bpfw_session*>(argument));
        return nullptr;
    };
    ASSERT_EQ(::pthread_create(&thread, nullptr, run, session.get()), 0);
    while (peer.channels == 0) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ASSERT_EQ(::pthread_cancel(thread), 0);
    void* result = nullptr;
    ASSERT_EQ(::pthread_join(thread, &result), 0);
    EXPECT_EQ(result, PTHREAD_CANCELED);
    // The peer's end is one more; the thread's own is closed.
    EXPECT_EQ(open_fds(), before + 1);
}
#endif
