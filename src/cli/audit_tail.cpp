// SPDX-License-Identifier: Apache-2.0
// `bpfwarden audit tail`
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <deque>

#include "cli/audit.hpp"

namespace bpfwarden::cli {
namespace {

struct Latest {
    std::deque<audit::Event> events;
    std::vector<std::string> warnings;
};

void warn(const std::string& what) { fmt::print(stderr, "bpfwarden audit tail: {}\n", what); }

// Up to `most` events, of those that there are up to the present end.
Latest read_latest(audit::Logs& logs, const audit::Filter& filter, std::size_t most, AuditProgress& progress) {
    Latest latest;
    while (auto item = logs.next()) {
        progress.at(logs);
        if (auto warning = audit_warning(*item, filter)) latest.warnings.push_back(std::move(*warning));
        auto* event = std::get_if<audit::Event>(&*item);
        if (event == nullptr || !filter.matches(*event)) continue;
        latest.events.push_back(std::move(*event));
        if (latest.events.size() > most) latest.events.pop_front();
    }
    return latest;
}

// Until standard output is gone (or a signal ends us).
void follow(audit::Logs& logs, const audit::Filter& filter, bool json) {
    while (true) {
        while (auto item = logs.next()) {
            if (const auto warning = audit_warning(*item, filter)) warn(*warning);
            const auto* event = std::get_if<audit::Event>(&*item);
            if (event != nullptr && filter.matches(*event)) fmt::print("{}\n", audit_line(*event, json));
        }
        // A pipe's reader that went away is noticed without an event to write.
        std::vector<pollfd> polled{{STDOUT_FILENO, 0, 0}};
        for (const auto fd : logs.changed()) polled.push_back({fd.get(), POLLIN, 0});
        const bool all = std::ranges::all_of(polled, [](const pollfd& one) { return one.fd >= 0; });
        if (std::fflush(stdout) != 0) return;
        // The timeout is for a machine without a watch to give, and for what a watch does not see.
        ::poll(polled.data(), polled.size(), all ? 5000 : 250);
        if ((polled[0].revents & (POLLERR | POLLNVAL)) != 0) return;
    }
}

}  // namespace

Result<int> audit_tail(const Args& args) {
    const auto filter = BW_TRY(audit_filter(args));
    const auto most = BW_TRY(audit_lines(args)).value_or(10);
    AuditProgress progress;
    // Most logs are long, and the latest lines are all that is wanted: further back only if too few of them fit.
    for (std::uint64_t window = std::uint64_t{1} << 18;; window *= 8) {
        auto logs = BW_TRY(open_audit(args, filter, window));
        if (args.has("--follow")) logs.watch();
        const auto latest = read_latest(logs, filter, most, progress);
        const auto since = logs.whole_since();
        // Of one log the beginning may be missing where the other has events.
        const bool more = latest.events.size() < most || (most > 0 && latest.events.front().time_ns < since);
        if (more && since > 0) continue;
        for (const auto& warning : latest.warnings) warn(warning);
        for (const auto& event : latest.events) fmt::print("{}\n", audit_line(event, args.json));
        if (args.has("--follow")) follow(logs, filter, args.json);
        return 0;
    }
}

}  // namespace bpfwarden::cli
