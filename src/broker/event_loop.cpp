// SPDX-License-Identifier: Apache-2.0
#include "broker/event_loop.hpp"

#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include <utility>

namespace bpfwarden::broker {

struct EventLoop::Watch::State {
    sd_event_source* source = nullptr;
    std::function<void()> act;
    bool acting = false, dropped = false;

    static int run(State* state) {
        state->acting = true;
        state->act();
        state->acting = false;
        if (state->dropped) delete state;
        return 0;
    }
};

void EventLoop::Watch::Stop::operator()(State* state) const {
    sd_event_source_disable_unref(std::exchange(state->source, nullptr));
    // Its callback is running: it goes when that returns.
    if (state->acting)
        state->dropped = true;
    else
        delete state;
}

void EventLoop::Unref::operator()(sd_event* event) const { sd_event_unref(event); }

Result<EventLoop> EventLoop::make() {
    sd_event* event = nullptr;
    if (const int r = sd_event_new(&event); r < 0) return fail_errno(-r, "sd_event_new");
    return EventLoop(event);
}

Result<EventLoop::Watch> EventLoop::on_readable(FdRef fd, std::function<void()> act) {
    return on_events(fd, EPOLLIN, std::move(act));
}

Result<EventLoop::Watch> EventLoop::on_urgent(FdRef fd, std::function<void()> act) {
    return on_events(fd, EPOLLPRI, std::move(act));
}

Result<EventLoop::Watch> EventLoop::on_events(FdRef fd, std::uint32_t events, std::function<void()> act) {
    Watch watch;
    watch.state_.reset(new Watch::State{nullptr, std::move(act)});
    const auto callback = [](sd_event_source*, int, std::uint32_t, void* state) {
        return Watch::State::run(static_cast<Watch::State*>(state));
    };
    if (const int r =
            sd_event_add_io(event_.get(), &watch.state_->source, fd.get(), events, callback, watch.state_.get());
        r < 0)
        return fail_errno(-r, "sd_event_add_io");
    return watch;
}

Result<EventLoop::Watch> EventLoop::at(std::uint64_t monotonic_ns, std::function<void()> act) {
    Watch watch;
    watch.state_.reset(new Watch::State{nullptr, std::move(act)});
    const auto callback = [](sd_event_source*, std::uint64_t, void* state) {
        return Watch::State::run(static_cast<Watch::State*>(state));
    };
    if (const int r = sd_event_add_time(event_.get(), &watch.state_->source, CLOCK_MONOTONIC, monotonic_ns / 1000,
                                        10'000, callback, watch.state_.get());
        r < 0)
        return fail_errno(-r, "sd_event_add_time");
    return watch;
}

Result<EventLoop::Watch> EventLoop::on_signal(int number, std::function<void()> act) {
    Watch watch;
    watch.state_.reset(new Watch::State{nullptr, std::move(act)});
    const auto callback = [](sd_event_source*, const signalfd_siginfo*, void* state) {
        return Watch::State::run(static_cast<Watch::State*>(state));
    };
    if (const int r = sd_event_add_signal(event_.get(), &watch.state_->source, number, callback, watch.state_.get());
        r < 0)
        return fail_errno(-r, "sd_event_add_signal");
    return watch;
}

Result<EventLoop::Watch> EventLoop::before_waiting(std::function<void()> act) {
    Watch watch;
    watch.state_.reset(new Watch::State{nullptr, std::move(act)});
    const auto callback = [](sd_event_source*, void* state) {
        return Watch::State::run(static_cast<Watch::State*>(state));
    };
    // A "defer" source alone would never let the loop wait; "post" runs after others have.
    if (const int r = sd_event_add_post(event_.get(), &watch.state_->source, callback, watch.state_.get()); r < 0)
        return fail_errno(-r, "sd_event_add_post");
    return watch;
}

void EventLoop::keep_watchdog() { (void)sd_event_set_watchdog(event_.get(), 1); }

Result<int> EventLoop::run() {
    const int r = sd_event_loop(event_.get());
    if (r < 0) return fail_errno(-r, "the event loop");
    return r;
}

void EventLoop::stop(int status) { sd_event_exit(event_.get(), status); }

}  // namespace bpfwarden::broker
