// SPDX-License-Identifier: Apache-2.0
// `bpfwarden audit query`
#include <fmt/format.h>

#include <deque>

#include "base/text.hpp"
#include "cli/audit.hpp"

namespace bpfwarden::cli {

Result<int> audit_query(const Args& args) {
    const auto filter = BW_TRY(audit_filter(args));
    const auto most = BW_TRY(audit_lines(args));
    auto logs = BW_TRY(open_audit(args, filter));
    std::deque<audit::Event> latest;
    std::uint64_t warnings = 0;
    AuditProgress progress;
    while (auto item = logs.next()) {
        progress.at(logs);
        if (const auto warning = audit_warning(*item, filter)) {
            ++warnings;
            fmt::print(stderr, "bpfwarden audit query: {}\n", *warning);
        }
        auto* event = std::get_if<audit::Event>(&*item);
        if (event == nullptr || !filter.matches(*event)) continue;
        if (!most) {
            fmt::print("{}\n", audit_line(*event, args.json));
            continue;
        }
        latest.push_back(std::move(*event));
        if (latest.size() > *most) latest.pop_front();
    }
    for (const auto& event : latest) fmt::print("{}\n", audit_line(event, args.json));
    if (warnings == 0 || !args.has("--strict")) return 0;
    return fail(
        Error(Code::failed, fmt::format("the log is not complete: {}", join(audit_files(args), ", ")))
            .because(fmt::format("{} place{} where something is missing (above)", warnings, warnings == 1 ? "" : "s")));
}

}  // namespace bpfwarden::cli
