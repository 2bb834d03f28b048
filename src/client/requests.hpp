// SPDX-License-Identifier: Apache-2.0
// What can be asked of a session, besides bpf(2) itself (bpf.hpp).
#pragma once

#include <linux/perf_event.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "client/session.hpp"

namespace bpfwarden::client {

struct PerfEvent {
    const perf_event_attr* attr = nullptr;
    pid_t pid = 0;
    int cpu = -1;
    int group_fd = -1;
    unsigned long flags = 0;
};
// The fd, or -errno: the kernel's word.
Result<int> perf_event_open(Session& session, const PerfEvent& event);

enum class EventText : std::uint8_t { id = 0, format = 1 };
Result<std::string> event_text(Session& session, std::string_view tracepoint, EventText what);

struct EventFiles {
    std::string tracepoint, id, format;
};
// Of all tracepoints that the session may open.
Result<std::vector<EventFiles>> event_files(Session& session);

// Whether the filter of a supervised program is to catch updates of maps.
Result<bool> catches_map_updates(Session& session);
// The calls that come out of a seccomp filter's listener are the session's from now on.
Result<> supervise(Session& session, FdRef listener);

struct Refused {
    std::string operation;
    std::uint64_t count = 0;
    std::string key, line, reason;
};
struct Refusals {
    std::vector<Refused> all;
    std::uint64_t more = 0;  // that were not kept
};
Result<Refusals> refusals(Session& session);

// What was done in it, each once, in the order of the first time; nothing unless it was opened to learn.
Result<std::vector<std::string>> operations(Session& session);

// Leaves the signature of a program with the session, for when that is loaded.
Result<> add_signature(Session& session, wire::Bytes signature);

Result<std::unique_ptr<Session>> derive(Session& session, std::string_view grant);

struct Usage {
    std::string what;
    std::uint64_t used = 0;
    std::uint64_t limit = 0;
};
struct Description {
    std::string session, grant, revision;
    std::uint64_t lifetime_ms = 0;
    std::vector<Usage> usage;
};
Result<Description> describe(Session& session);

// Over a socket of the caller's.
Result<> pass(const Session& session, FdRef socket);
Result<std::unique_ptr<Session>> receive_session(FdRef socket);

}  // namespace bpfwarden::client
