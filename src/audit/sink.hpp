// SPDX-License-Identifier: Apache-2.0
// Where events end up: a file, the journal.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "audit/event.hpp"
#include "base/result.hpp"

namespace bpfwarden::audit {

// An event with its sequence number, and its JSON line with the newline: made once for all sinks.
struct LogRecord {
    Event event;
    std::string line;
};

struct Written {
    std::size_t count = 0;       // of records, from the first on; the rest is not written, not even in part
    std::optional<Error> error;  // why not all; or what else went wrong though all is written
};

class Sink {
  public:
    Sink() = default;
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;
    Sink(Sink&&) = delete;
    Sink& operator=(Sink&&) = delete;
    virtual ~Sink() = default;

    virtual std::string_view name() const = 0;  // "file", "journal"
    virtual Written write(std::span<const LogRecord> batch) = 0;
    // After SIGHUP: somebody may have moved the file away.
    virtual Result<> reopen() { return {}; }
};

}  // namespace bpfwarden::audit
