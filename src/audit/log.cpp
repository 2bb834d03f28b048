// SPDX-License-Identifier: Apache-2.0
#include "audit/log.hpp"

#include "audit/json.hpp"
#include "audit/time.hpp"

namespace bpfwarden::audit {

// So that a daemon that is flooded does not grow: some 500 kB of lines.
static constexpr std::size_t most_in_a_batch = 1024;

Log::Log() : batch_(1) {}

void Log::add(std::unique_ptr<Sink> sink) {
    auto& output = outputs_.emplace_back();
    output.status.sink = sink->name();
    output.sink = std::move(sink);
}

void Log::append(Event event) {
    event.seq = next_seq_++;
    if (event.time_ns == 0) event.time_ns = now_ns();
    auto line = to_json(event) + '\n';
    batch_.push_back({std::move(event), std::move(line)});
    if (batch_.size() > most_in_a_batch) flush();
}

LogRecord Log::gap_record(const Output& output) {
    Event gap{.kind = "gap", .time_ns = now_ns(), .seq = output.last_lost, .fields = {}};
    gap.set("where", output.status.sink).set("lost", output.status.untold).set("first_seq", output.first_lost);
    gap.set("since", format_time(output.since_ns));
    if (output.status.problem) gap.set("reason", output.status.problem->why());
    auto line = to_json(gap) + '\n';
    return {std::move(gap), std::move(line)};
}

void Log::write(Output& output) {
    auto& status = output.status;
    const bool has_gap = status.untold > 0;
    if (has_gap) batch_.front() = gap_record(output);
    const auto records = std::span<const LogRecord>(batch_).subspan(has_gap ? 0 : 1);
    if (records.empty()) return;
    auto written = output.sink->write(records);
    status.problem = std::move(written.error);
    if (has_gap && written.count > 0) status.untold = 0;
    const std::size_t events = written.count - (has_gap && written.count > 0 ? 1U : 0U);
    const auto lost = std::span<const LogRecord>(batch_).subspan(1 + events);
    status.written += events;
    if (lost.empty()) return;
    if (status.untold == 0) {
        output.first_lost = lost.front().event.seq;
        output.since_ns = now_ns();
    }
    output.last_lost = lost.back().event.seq;
    status.untold += lost.size();
    status.lost += lost.size();
}

void Log::flush() {
    for (auto& output : outputs_) write(output);
    batch_.resize(1);
}

Result<> Log::reopen() {
    Result<> result;
    for (auto& output : outputs_)
        if (auto done = output.sink->reopen(); !done && result) result = std::move(done);
    return result;
}

std::vector<Log::Status> Log::status() const {
    std::vector<Status> all;
    all.reserve(outputs_.size());
    for (const auto& output : outputs_) all.push_back(output.status);
    return all;
}

}  // namespace bpfwarden::audit
