// SPDX-License-Identifier: Apache-2.0
// The system calls of one supervised command, put to a session as if the command were its client.
#pragma once

#include <optional>
#include <string_view>

#include "base/fd.hpp"
#include "intercept/caller.hpp"
#include "kernel/seccomp_notify.hpp"
#include "wire/bpf_call.hpp"
#include "wire/perf_event.hpp"

namespace bpfwarden::intercept {

// What answers: the worker of the session, which holds the real programs and links.
class Broker {
  public:
    struct Answer {
        wire::Bytes body;  // until the next ask()
        UniqueFd fd;
    };
    virtual ~Broker() = default;
    // A request as a client sends it, from the process that `message.sender` says: judged, done and recorded.
    virtual Answer ask(wire::Message& message) = 0;
    // The program or link that a stand-in of this session is for; -1 for any other fd.
    virtual int behind(FdRef stand_in) = 0;
    // The perf event that a link's stand-in has taken the place of; -1 for any other fd.
    virtual int event_behind(FdRef stand_in) = 0;
};

class Supervisor {
  public:
    // `owner`: whose the processes are, where the right to trace them comes from being the same user; without, each is
    // looked up.
    Supervisor(UniqueFd listener, Broker& broker, const wire::EventTypes& types, std::optional<wire::Sender> owner)
        : listener_(std::move(listener)), broker_(broker), types_(types), owner_(owner) {}

    FdRef listener() const { return listener_; }
    // Answers one call. False when this listener is of no more use.
    bool serve();

  private:
    // A call's end: a value or -errno, an fd, or the kernel's own way.
    struct End {
        std::int64_t value = 0;
        UniqueFd fd;
        bool close_on_exec = true;
        bool by_kernel = false;
    };
    static End by_kernel() { return {.by_kernel = true}; }
    static End value(std::int64_t of) { return {.value = of}; }
    static End failed(const Error& error) { return value(-(error.number() > 0 ? error.number() : EIO)); }

    Result<End> decide(Caller& caller, const kernel::WaitingCall& call);
    Result<End> bpf(Caller& caller, const kernel::WaitingCall& call);
    Result<End> object_info(Caller& caller, const kernel::WaitingCall& call, bpf_attr attr, std::size_t size);
    Result<End> update_map(Caller& caller, const kernel::WaitingCall& call, const bpf_attr& attr);
    Result<End> perf_event_open(Caller& caller, const kernel::WaitingCall& call);
    Result<End> ioctl(Caller& caller, const kernel::WaitingCall& call);
    Result<End> set_program(Caller& caller, const kernel::WaitingCall& call, UniqueFd event);
    Result<End> setsockopt(Caller& caller, const kernel::WaitingCall& call);

    // Still the process that was read: to be asked after the last read, before anything is done.
    Result<> must_wait(const kernel::WaitingCall& call) const;
    // To the broker, with who asks. What it refuses, or what failed, is the Error.
    Result<Broker::Answer> ask(Caller& caller, const kernel::WaitingCall& call, wire::Type type, wire::Bytes body,
                               std::vector<UniqueFd> fds);
    void finish(const kernel::WaitingCall& call, End end) const;

    UniqueFd listener_;
    Broker& broker_;
    wire::EventTypes types_;
    std::optional<wire::Sender> owner_;
};

}  // namespace bpfwarden::intercept
