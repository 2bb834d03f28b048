// SPDX-License-Identifier: Apache-2.0
// `bpfwarden audit tail`
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

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

// Up to `most` events, of those that `reader` has up to the present end.
Latest read_latest(audit::Reader& reader, const audit::Filter& filter, std::size_t most, AuditProgress& progress) {
    Latest latest;
    while (auto item = reader.next()) {
        progress.at(reader);
        if (auto warning = audit_warning(*item, filter)) latest.warnings.push_back(std::move(*warning));
        auto* event = std::get_if<audit::Event>(&*item);
        if (event == nullptr || !filter.matches(*event)) continue;
        latest.events.push_back(std::move(*event));
        if (latest.events.size() > most) latest.events.pop_front();
    }
    return latest;
}

// Until standard output is gone (or a signal ends us).
void follow(audit::Reader& reader, const audit::Filter& filter, bool json) {
    while (true) {
        while (auto item = reader.next()) {
            if (const auto warning = audit_warning(*item, filter)) warn(*warning);
            const auto* event = std::get_if<audit::Event>(&*item);
            if (event != nullptr && filter.matches(*event)) fmt::print("{}\n", audit_line(*event, json));
        }
        // A pipe's reader that went away is noticed without an event to write.
        pollfd polled[] = {{reader.changed().get(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
        if (std::fflush(stdout) != 0) return;
        // The timeout is for a machine without a watch to give, and for what a watch does not see.
        ::poll(polled, 2, reader.changed().get() < 0 ? 250 : 5000);
        if ((polled[1].revents & (POLLERR | POLLNVAL)) != 0) return;
    }
}

}  // namespace

Result<int> audit_tail(const Args& args) {
    const auto filter = BW_TRY(audit_filter(args));
    const auto most = BW_TRY(audit_lines(args)).value_or(10);
    AuditProgress progress;
    // Most logs are long, and the latest lines are all that is wanted: further back only if too few of them fit.
    for (std::uint64_t window = std::uint64_t{1} << 18;; window *= 8) {
        auto reader = BW_TRY(open_audit(args, filter, window));
        if (args.has("--follow")) reader.watch();
        const auto latest = read_latest(reader, filter, most, progress);
        if (latest.events.size() < most && !reader.is_whole()) continue;
        for (const auto& warning : latest.warnings) warn(warning);
        for (const auto& event : latest.events) fmt::print("{}\n", audit_line(event, args.json));
        if (args.has("--follow")) follow(reader, filter, args.json);
        return 0;
    }
}

}  // namespace bpfwarden::cli
