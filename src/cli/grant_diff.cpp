// SPDX-License-Identifier: Apache-2.0
// `bpfwarden grant diff OLD NEW`
#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/grant.hpp"
#include "cli/grant_json.hpp"

namespace bpfwarden::cli {

static void print_changes(const grant::Diff& diff, grant::Direction direction, std::string_view title) {
    const auto in = [direction](const grant::Change& one) { return one.direction == direction; };
    if (std::ranges::none_of(diff.changes, in)) return;
    fmt::print("{}\n", title);
    for (const auto& one : diff.changes)
        if (in(one))
            fmt::print("  {:<21} {:<34} {}\n", one.key, printable(one.what), one.implied ? "(implied)" : one.at.text());
}

Result<int> grant_diff(const Args& args) {
    if (args.only("OLD") == "-" && args.only("NEW") == "-")
        return fail(Error(Code::usage, "both grants cannot come from standard input"));
    const auto was = BW_TRY(read_valid(args.only("OLD"), args));
    const auto is = BW_TRY(read_valid(args.only("NEW"), args));
    const auto diff = grant::diff(*was.grant, *is.grant);
    if (args.json) {
        print_diff_json(*was.grant, *is.grant, diff);
    } else {
        print_changes(diff, grant::Direction::widens, "widens");
        print_changes(diff, grant::Direction::narrows, "narrows");
        print_changes(diff, grant::Direction::neither, "changes nothing that is allowed");
        fmt::print("{}\n", diff.widens()          ? "NEW allows something that OLD refuses"
                           : diff.narrows()       ? "NEW allows less than OLD"
                           : diff.changes.empty() ? "NEW and OLD allow the same"
                                                  : "NEW and OLD allow the same operations");
    }
    return diff.widens() ? 1 : 0;
}

}  // namespace bpfwarden::cli
