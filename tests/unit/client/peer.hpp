// SPDX-License-Identifier: Apache-2.0
// The other end of a session, for tests: a broker that answers as it is told to, in threads of the test's own process.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "wire/bpf_call.hpp"
#include "wire/message.hpp"

namespace bpfwarden::wire {

// What a peer does with a request, on the socket that it came by; false ends the connection.
using Behaviour = std::function<bool(FdRef channel, Message& request)>;

inline bool answer(FdRef channel, const Message& request, const Writer& body, std::vector<int> fds = {}) {
    return send(channel, Type::answer, request.id, body.bytes(), fds).has_value();
}
inline bool answer_done(FdRef channel, const Message& request, std::int32_t result, std::vector<int> fds = {}) {
    Reader from(request.body);
    (void)from;
    Writer body;
    body.number(static_cast<std::uint8_t>(Answer::done));
    body.number(result);
    return answer(channel, request, body, std::move(fds));
}
inline bool answer_refused(FdRef channel, const Message& request, const Refusal& refusal) {
    Writer body;
    write_refusal(body, refusal);
    return answer(channel, request, body);
}
inline bool answer_failed(FdRef channel, const Message& request, const Error& error) {
    Writer body;
    body.number(static_cast<std::uint8_t>(Answer::failed));
    write_error(body, error);
    return answer(channel, request, body);
}
// The answer to a call of bpf(2), whatever the call is.
inline bool answer_bpf(FdRef channel, const Message& request, int result, std::vector<int> fds = {}) {
    const auto call = BpfCall::of(request);
    if (!call) return false;
    Writer body;
    call->write_answer(body, result);
    return answer(channel, request, body, std::move(fds));
}

// One session's worth of broker: reads open_channel messages, and serves each channel in a thread.
class Peer {
  public:
    explicit Peer(Behaviour behaviour) : behaviour_(std::move(behaviour)) {}
    ~Peer() { stop(); }

    // The client's end of a new session.
    UniqueFd session() {
        int ends[2] = {-1, -1};
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
        serve_session(UniqueFd(ends[1]));
        return UniqueFd(ends[0]);
    }
    // Listens as bpfwardend does for the grant of that name, with this greeting.
    void listen(const std::filesystem::path& folder, const std::string& grant, std::function<void(FdRef)> greet) {
        std::filesystem::create_directories(folder / "grant");
        UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, (folder / "grant" / grant).c_str());
        if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) std::abort();
        if (::listen(listener.get(), 16) != 0) std::abort();
        const int number = keep(std::move(listener));
        run([this, number, greet = std::move(greet)] {
            for (;;) {
                UniqueFd session(::accept4(number, nullptr, nullptr, SOCK_CLOEXEC));
                if (!session) return;
                greet(session);
                serve_session(std::move(session));
            }
        });
    }
    // Ends every connection, as a daemon that dies.
    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
            for (const auto& fd : fds_) ::shutdown(fd.get(), SHUT_RDWR);
        }
        for (;;) {
            std::thread one;
            {
                const std::lock_guard lock(mutex_);
                if (threads_.empty()) break;
                one = std::move(threads_.back());
                threads_.pop_back();
            }
            one.join();
        }
        const std::lock_guard lock(mutex_);
        fds_.clear();
    }
    std::atomic<int> channels{0};

    static void greet(FdRef session) {
        Writer body;
        body.number(static_cast<std::uint8_t>(Answer::done));
        for (const auto* text : {"s-1", "test", "r1"}) body.text(text);
        (void)send(session, Type::hello, 0, body.bytes());
    }

  private:
    int keep(UniqueFd fd) {
        const std::lock_guard lock(mutex_);
        const int number = fd.get();
        if (stopped_) ::shutdown(number, SHUT_RDWR);
        fds_.push_back(std::move(fd));
        return number;
    }
    void run(std::function<void()> body) {
        const std::lock_guard lock(mutex_);
        threads_.emplace_back(std::move(body));
    }
    void serve_session(UniqueFd session) {
        const int number = keep(std::move(session));
        run([this, number] {
            Receiver receiver;
            for (;;) {
                auto message = receiver.receive(FdRef(number));
                if (!message || !*message) return;
                if ((*message)->type != Type::open_channel || (*message)->fds.size() != 1) continue;
                ++channels;
                serve_channel(std::move((*message)->fds.front()));
            }
        });
    }
    void serve_channel(UniqueFd channel) {
        const int number = keep(std::move(channel));
        run([this, number] {
            Receiver receiver;
            for (;;) {
                auto message = receiver.receive(FdRef(number));
                if (!message || !*message) return;
                if (behaviour_(FdRef(number), **message)) continue;
                ::shutdown(number, SHUT_RDWR);
                return;
            }
        });
    }

    Behaviour behaviour_;
    std::mutex mutex_;
    bool stopped_ = false;
    std::vector<UniqueFd> fds_;
    std::vector<std::thread> threads_;
};

}  // namespace bpfwarden::wire
