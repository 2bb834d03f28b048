// SPDX-License-Identifier: Apache-2.0
// Everything of bpfwarden.hpp once, with whichever result type this standard has.
#pragma once

#include <bpfwarden/bpfwarden.hpp>

union bpf_attr {
    int field;
};
struct perf_event_attr {
    int field;
};

static inline int use_all() {
    auto session = bpfw::Session::open("no/name");
    if (session.has_value() || session.error().number != EINVAL || session.error().text.empty()) return 1;
    if (session.error().refused()) return 2;
    if (bpfw::Session::adopt(-1)) return 3;
    if (bpfw::Session::adopt(bpfw::Fd(::dup(0)))) return 4;
    if (bpfw::Session::receive(-1)) return 5;
    bpf_attr attr{};
    perf_event_attr event{};
    // Never called, but compiled.
    if (session) {
        auto derived = session->derive("format = 1");
        bpfw::Session moved(std::move(*derived));
        moved = std::move(*session);
        moved.set_timeout(5);
        moved.use();
        const bool all = moved.pass(moved.fd()) && moved.bpf(0, attr) && moved.perf_event_open(event, 0, -1) &&
                         moved.tracepoint_id("a/b") && moved.tracepoint_format("a/b") && moved.describe();
        return all ? moved.bpf(0, attr).value_or(7) : 8;
    }
    return 0;
}
