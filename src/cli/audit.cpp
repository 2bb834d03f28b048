// SPDX-License-Identifier: Apache-2.0
// `bpfwarden audit …`: the table entries. Each verb is a file of its own.
#include "cli/audit.hpp"

namespace bpfwarden::cli {

static std::vector<Option> with_filters(std::vector<Option> options) {
    options.insert(
        options.end(),
        {{"--session", "SESSION", "only events of this session", true},
         {"--grant", "NAME", "only events under this grant", true},
         {"--verdict", "allowed|refused|denied|would_deny|entered",
          "only operations with this verdict (the last three: of policies)", true},
         {"--domain", "DOMAIN", "only events of this policy domain", true},
         {"--path", "GLOB", "only events of policies about a file with such a path: `/etc/**`", true},
         {"--event", "EVENT", "only this kind of event: operation, policy, session_open, gap and so on", true},
         {"--uid", "UID", "only what this user's processes did (opened the session, sent the request, or met a policy)",
          true},
         {"--operation", "GLOB", "only operations like this: `map_create *`", true},
         {"--since", "TIME", "only events from then on: 2026-03-14T09:26:53Z, or how long ago: 10m"},
         {"--until", "TIME", "only events until then"},
         {"--file", "FILE",
          "the log to read, with FILE.1, FILE.2 and so on before it (default: audit.jsonl and policy.jsonl in "
          "/var/log/bpfwarden, as one)"}});
    return options;
}

std::vector<Command> audit_commands() {
    return {
        {"audit",
         "tail",
         "show the latest events, and those to come",
         "A line for each event, oldest first: time, verdict (or the kind of event), grant or domain, session, and "
         "what happened. "
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
         "count events by verdict, grant, operation and key, and by domain and rule",
         "With how long decisions took: half of them at most p50, 99 of 100 at most p99.",
         {},
         with_filters({}),
         audit_stats},
    };
}

}  // namespace bpfwarden::cli
