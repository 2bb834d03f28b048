// SPDX-License-Identifier: Apache-2.0
// `bpfwarden policy diff OLD NEW`
#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/policy.hpp"
#include "cli/policy_json.hpp"

namespace bpfwarden::cli {

using policy::Difference;

static void print_differences(const policy::Diff& diff, Difference::Direction direction, std::string_view title) {
    const auto in = [direction](const Difference& one) { return one.direction == direction; };
    if (std::ranges::none_of(diff.differences, in)) return;
    fmt::print("{}\n", title);
    for (const auto& one : diff.differences) {
        if (!in(one)) continue;
        fmt::print("  {}: {}{}{}", one.domain, one.what, one.example.empty() ? "" : " ", printable(one.example));
        if (!one.was.empty()) fmt::print(": {} -> {}", one.was, one.is);
        if (one.more) fmt::print(", and {} more such {}", one.more, one.more == 1 ? "place" : "places");
        fmt::print("\n");
    }
}

Result<int> policy_diff(const Args& args) {
    if (args.only("OLD") == "-" && args.only("NEW") == "-")
        return fail(Error(Code::usage, "both policies cannot come from standard input"));
    const auto was = BW_TRY(read_policies({args.only("OLD")}));
    const auto is = BW_TRY(read_policies({args.only("NEW")}));
    const auto diff = BW_TRY(policy::diff(was.loaded.policies, is.loaded.policies));
    if (args.json) {
        print_policy_diff_json(diff);
    } else {
        print_differences(diff, Difference::Direction::widens, "widens");
        print_differences(diff, Difference::Direction::narrows, "narrows");
        print_differences(diff, Difference::Direction::neither, "changes only what is told");
        fmt::print("{}\n", diff.widens()              ? "NEW permits something that OLD refuses"
                           : diff.narrows()           ? "NEW permits less than OLD"
                           : diff.differences.empty() ? "NEW and OLD decide the same"
                                                      : "NEW and OLD permit the same");
    }
    return diff.widens() ? 1 : 0;
}

}  // namespace bpfwarden::cli
