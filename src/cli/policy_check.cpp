// SPDX-License-Identifier: Apache-2.0
// `bpfwarden policy check FILE…`
#include <limits.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "cli/diagnostics.hpp"
#include "cli/policy.hpp"
#include "cli/policy_json.hpp"
#include "policy/lint.hpp"

namespace bpfwarden::cli {

static std::optional<std::string> link_of(const std::string& path) {
    char target[PATH_MAX];
    const auto length = ::readlink(path.c_str(), target, sizeof target);
    if (length < 0) return std::nullopt;
    return std::string(target, static_cast<std::size_t>(length));
}

Result<int> policy_check(const Args& args) {
    const auto& files = args.positional("FILE");
    auto loaded = BW_TRY(policy::load(files));
    auto& diagnostics = loaded.diagnostics;
    if (diagnostics.ok()) policy::compile(loaded.policies, diagnostics);
    if (diagnostics.ok()) policy::lint(loaded.policies, link_of, diagnostics);
    if (args.json) {
        print_policy_check_json(files, diagnostics);
        return diagnostics.ok() ? 0 : 1;
    }
    print_diagnostics(diagnostics, files.front(), stdout);
    for (const auto& file : files) {
        const std::string called = file == "-" ? "<stdin>" : file;
        const auto in_file = [&](Severity severity) {
            return static_cast<std::size_t>(std::ranges::count_if(diagnostics.all(), [&](const Diagnostic& one) {
                return one.at.file == called && one.severity == severity;
            }));
        };
        const auto errors = in_file(Severity::error), warnings = in_file(Severity::warning);
        // A problem of the set is told of one file; the others are not right either as long as it is there.
        const auto verdict = errors             ? count_of(errors, "error")
                             : diagnostics.ok() ? std::string("OK")
                                                : std::string("no error of its own");
        fmt::print("{}: {}{}\n", Position{called, 0, 0}.text(), verdict,
                   warnings ? ", " + count_of(warnings, "warning") : "");
    }
    return diagnostics.ok() ? 0 : 1;
}

}  // namespace bpfwarden::cli
