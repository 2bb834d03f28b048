// SPDX-License-Identifier: Apache-2.0
// A session: a grant held open. Requests go over channels, which are socket pairs whose other ends went to the broker
// over the session's fd; nothing else ever goes over that fd, as others may hold it too.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "client/held_fd.hpp"
#include "wire/message.hpp"
#include "wire/patience.hpp"

namespace bpfwarden::client {

class Session;

// One connection to the broker, used by one thread at a time.
struct Channel {
    HeldFd fd;
    std::uint64_t epoch = 0;  // of the process that made it
    std::uint32_t last_id = 0;
    wire::Receiver receiver;
    // Most calls are answered within it; a large program takes longer to verify, and then this thread sleeps.
    wire::Patience patience{std::chrono::microseconds(100)};
};

// A request's answer, on the channel that it came by, which is the session's again when this is gone.
class Exchange {
  public:
    Exchange(Session& session, std::unique_ptr<Channel> channel) : session_(&session), channel_(std::move(channel)) {}
    Exchange(Exchange&&) = default;
    Exchange& operator=(Exchange&&) = delete;
    ~Exchange();

    wire::Message message;
    Channel& channel() { return *channel_; }
    // The answer was read to its end, so the channel can be used again. Without it the channel is closed.
    void finish() { finished_ = true; }
    // What stands behind the u8 Answer: nothing unless that is `done`. Other answers become errors.
    Result<wire::Reader> read(std::string_view operation);

  private:
    Session* session_;
    std::unique_ptr<Channel> channel_;
    bool finished_ = false;
};

class Session {
  public:
    // Connects to the grant's socket and waits for the broker's word.
    static Result<std::unique_ptr<Session>> open(std::string_view grant);
    // Of an fd that was inherited or received; owned by the session unless it is `borrowed`, and then left as it is. A
    // failure leaves the fd alone.
    static Result<std::unique_ptr<Session>> adopt(int fd, bool borrowed = false);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    int fd() const { return fd_.get(); }
    void set_timeout(unsigned milliseconds) { timeout_ms_ = milliseconds; }

    // Sends a request and waits for its answer.
    Result<Exchange> ask(wire::Type type, wire::Bytes body, std::span<const int> fds = {});

  private:
    friend class Exchange;
    using Deadline = std::chrono::steady_clock::time_point;

    explicit Session(HeldFd fd) : fd_(std::move(fd)) {}
    Result<std::unique_ptr<Channel>> open_channel(Deadline deadline);
    std::unique_ptr<Channel> idle_channel();
    void give_back(std::unique_ptr<Channel> channel);
    Deadline deadline() const;

    HeldFd fd_;
    std::atomic<unsigned> timeout_ms_{0};
    // Idle channels. A thread takes one out and has it alone; there is no lock that a fork could leave taken.
    std::array<std::atomic<Channel*>, 32> idle_{};
};

}  // namespace bpfwarden::client
