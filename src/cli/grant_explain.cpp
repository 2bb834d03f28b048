// SPDX-License-Identifier: Apache-2.0
// `bpfwarden grant explain FILE OPERATION…`
#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/grant.hpp"
#include "cli/grant_json.hpp"
#include "grant/enforcement.hpp"

namespace bpfwarden::cli {

static std::string held_by(const std::string& key) {
    std::string out;
    for (const auto way : grant::all_ways) {
        const auto by = grant::enforced_by(key, way);
        out += fmt::format("{}{}: {}", out.empty() ? "" : " · ", name_of(way), name_of(by.by));
        if (!by.note.empty()) out += fmt::format(" ({})", by.note);
    }
    return out;
}

static void print_verdict(const grant::Checked& checked, const grant::Operation& operation,
                          const grant::Verdict& verdict) {
    fmt::print("{}: {}\n  {}\n", verdict.allowed ? "allowed" : "refused", printable(describe(operation)),
               printable(verdict.reason));
    if (!verdict.allowed)
        fmt::print("  a program gets {} ({})\n", strerrorname_np(verdict.error), strerror(verdict.error));
    fmt::print("  {}\n", verdict.at.text());
    if (const auto line = checked.line(verdict.at); !line.empty())
        fmt::print("    {}\n    {:>{}}\n", printable(line), "^", std::min<unsigned>(verdict.at.column, 500));
    fmt::print("  {} is held by {}\n", verdict.key, held_by(verdict.key));
}

Result<int> grant_explain(const Args& args) {
    // "prog_load xdp" in one argument is as good as in two.
    std::vector<std::string> words;
    for (const auto& argument : args.positional("OPERATION"))
        for (const auto word : split(argument, ' '))
            if (!word.empty()) words.emplace_back(word);
    const auto operation = BW_TRY(grant::parse_operation(words));
    const auto checked = BW_TRY(read_valid(args.only("FILE"), args));
    const auto verdict = grant::check(*checked.grant, operation);
    if (args.json)
        print_explain_json(*checked.grant, operation, verdict);
    else
        print_verdict(checked, operation, verdict);
    return verdict.allowed ? 0 : 1;
}

}  // namespace bpfwarden::cli
