// SPDX-License-Identifier: Apache-2.0
// Everything of bpfwarden.hpp and filter.hpp once, with whichever result type this standard has.
#pragma once

#include <bpfwarden/bpfwarden.hpp>
#include <bpfwarden/filter.hpp>

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
    auto filter = bpfw::Filter::build({});
    if (filter || filter.error().number != EINVAL) return 9;
    if (bpfw::Filter::build_file("", {.bad_arch = "ALLOW", .sets = {{"s", {1}}}})) return 10;
    if (filter) {
        bpfw::Filter moved(std::move(*filter));
        moved = std::move(*filter);
        const bool all =
            moved.install() && moved.compare(moved) && moved.proven() && moved.program().size() > moved.flags();
        return all && moved.warnings().empty() ? 11 : 12;
    }
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
