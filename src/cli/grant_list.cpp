// SPDX-License-Identifier: Apache-2.0
// `bpfwarden grant list`
#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/grant.hpp"
#include "cli/grant_json.hpp"

namespace bpfwarden::cli {

Result<int> grant_list(const Args& args) {
    std::vector<ListedGrant> list;
    for (auto& installed : BW_TRY(grant::list_installed(load_options(args)))) {
        ListedGrant one{std::move(installed), false, "", ""};
        if (const auto checked = grant::check_file(one.installed.path, load_options(args)); !checked) {
            one.problem = checked.error().what();
        } else if (checked->grant) {
            one.valid = true;
            one.description = checked->grant->description;
        } else {
            const auto sorted = checked->diagnostics.sorted();
            const auto first = std::ranges::find(sorted, Severity::error, &Diagnostic::severity);
            if (first != sorted.end()) one.problem = fmt::format("{}: {}", first->at.text(), first->what);
        }
        list.push_back(std::move(one));
    }
    if (args.json) {
        print_list_json(list);
        return 0;
    }
    std::size_t width = 4;
    for (const auto& one : list) width = std::max(width, one.installed.name.size());
    for (const auto& one : list)
        fmt::print("{:<{}}  {}{}\n", printable(one.installed.name), width,
                   one.valid ? printable(one.description) : "INVALID: " + printable(one.problem),
                   one.installed.overrides ? " (hides the one in /usr/lib)" : "");
    if (list.empty()) fmt::print(stderr, "no grants are installed\n");
    return 0;
}

}  // namespace bpfwarden::cli
