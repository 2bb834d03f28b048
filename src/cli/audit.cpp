// SPDX-License-Identifier: Apache-2.0
// `bpfwarden audit …`: the table entries. Each verb is a file of its own.
#include "cli/audit.hpp"

namespace bpfwarden::cli {

static std::vector<Option> with_filters(std::vector<Option> options) {
    options.insert(
        options.end(),
        {{"--session", "SESSION", "only events of this session", true},
         {"--grant", "NAME", "only events under this grant", true},
         {"--verdict", "allowed|refused", "only operations with this verdict", true},
         {"--event", "EVENT", "only this kind of event: operation, session_open, gap and so on", true},
         {"--uid", "UID", "only what this user's processes did (opened the session, or sent the request)", true},
         {"--operation", "GLOB", "only operations like this: `map_create *`", true},
         {"--since", "TIME", "only events from then on: 2026-03-14T09:26:53Z, or how long ago: 10m"},
         {"--until", "TIME", "only events until then"},
         {"--file", "FILE",
          "the log to read, with FILE.1, FILE.2 and so on before it (default: /var/log/bpfwarden/audit.jsonl)"}});
    return options;
}

std::vector<Command> audit_commands() {
    return {
        {"audit",
         "tail",
         "show the latest events, and those to come",
         "A line for each event, oldest first: time, verdict (or the kind of event), grant, session, and what "
         "happened. "
         "With --json each line is the event as a JSON object. Filters of different kinds must all fit; of one given "
         "more than once, any. Events that are missing are told on standard error.",
         {},
         with_filters({{"--follow", "", "go on with events as they are written, until interrupted"},
                       {"--lines", "N", "how many of the latest to show (default: 10)"}}),
         audit_tail},
        {"audit",
         "query",
         "search the log, old files included",
         "Prints as `audit tail` does. Every event has a number, so what is missing is known: each gap, hole and line "
         "that cannot be read, in the time that is asked about, is told on standard error whatever the other filters "
         "say.",
         {},
         with_filters({{"--lines", "N", "only the latest N of what fits"},
                       {"--strict", "", "exit 1 if anything is missing from the log"}}),
         audit_query},
        {"audit",
         "stats",
         "count events by verdict, grant, operation and key",
         "With how long decisions took: half of them at most p50, 99 of 100 at most p99.",
         {},
         with_filters({}),
         audit_stats},
    };
}

}  // namespace bpfwarden::cli
