// SPDX-License-Identifier: Apache-2.0
// sd-event, with owners: what is dropped is watched no more.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/fd.hpp"
#include "base/result.hpp"

struct sd_event;
struct sd_event_source;

namespace bpfwarden::broker {

class EventLoop {
  public:
    static Result<EventLoop> make();
    EventLoop(EventLoop&&) noexcept = default;

    // Drop it to stop watching; it may be dropped from within its own callback.
    class Watch {
      public:
        Watch() = default;

      private:
        friend class EventLoop;
        struct State;
        struct Stop {
            void operator()(State* state) const;
        };
        std::unique_ptr<State, Stop> state_;
    };

    Result<Watch> on_readable(FdRef fd, std::function<void()> act);
    // What poll(2) calls POLLPRI: how /proc/self/mountinfo says that it has changed.
    Result<Watch> on_urgent(FdRef fd, std::function<void()> act);
    // The fd must stay open for as long as it is watched.
    Result<Watch> at(std::uint64_t monotonic_ns, std::function<void()> act);
    // The signal must be blocked.
    Result<Watch> on_signal(int number, std::function<void()> act);
    // Before each wait.
    Result<Watch> before_waiting(std::function<void()> act);
    // Tells systemd's watchdog that we live, if it asks for that.
    void keep_watchdog();

    // Until stop(). The status given there.
    Result<int> run();
    void stop(int status);

  private:
    struct Unref {
        void operator()(sd_event* event) const;
    };
    explicit EventLoop(sd_event* event) : event_(event) {}
    Result<Watch> on_events(FdRef fd, std::uint32_t events, std::function<void()> act);
    std::unique_ptr<sd_event, Unref> event_;
};

}  // namespace bpfwarden::broker
