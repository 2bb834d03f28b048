// SPDX-License-Identifier: Apache-2.0
// The daemon's audit log: numbers events, hands them to the sinks, and says in each sink what that sink lost.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/event.hpp"
#include "audit/sink.hpp"
#include "base/result.hpp"

namespace bpfwarden::audit {

// Every event gets the next `seq`, from 1 at each start of the daemon, so in a sink numbers are missing only where
// events are. What a sink could not take is counted, and before the next thing that it can take stands
//   gap {where: SINK, lost: N, first_seq: A, since: TIME, reason: WHY}   with the last lost event's number as its own,
// so it stands for the numbers from A to that. Other sinks, which lost nothing, do not get it.
class Log {
  public:
    Log();

    void add(std::unique_ptr<Sink> sink);
    // Takes an event in; its time becomes now if it has none. It is safe after flush().
    void append(Event event);
    // Hands on what was taken in, and tries again where a gap is still to be told. Cannot fail: what goes wrong is
    // counted, and is in status().
    void flush();
    // After SIGHUP. All sinks are tried; the first error is returned.
    Result<> reopen();

    std::uint64_t last_seq() const { return next_seq_ - 1; }

    struct Status {
        std::string_view sink;
        std::uint64_t written = 0;
        std::uint64_t lost = 0;        // in all
        std::uint64_t untold = 0;      // of them, those that no gap event in the sink tells yet
        std::optional<Error> problem;  // of the last write
    };
    std::vector<Status> status() const;

  private:
    struct Output {
        std::unique_ptr<Sink> sink;
        Status status;
        std::uint64_t first_lost = 0, last_lost = 0, since_ns = 0;  // of the untold
    };
    static LogRecord gap_record(const Output& output);
    void write(Output& output);

    std::vector<Output> outputs_;
    std::uint64_t next_seq_ = 1;
    // The first one is kept free for a sink's gap.
    std::vector<LogRecord> batch_;
};

}  // namespace bpfwarden::audit
