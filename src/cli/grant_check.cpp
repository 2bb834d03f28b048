// SPDX-License-Identifier: Apache-2.0
// `bpfwarden grant check FILE…`
#include <fmt/format.h>

#include "cli/diagnostics.hpp"
#include "cli/grant.hpp"
#include "cli/grant_json.hpp"

namespace bpfwarden::cli {

static void print_report(const CheckedFile& file) {
    const auto name = Position{file.checked ? file.checked->file : file.asked, 0, 0}.text();
    if (!file.checked) {
        fmt::print(stderr, "{}\n", file.checked.error().text("bpfwarden grant check"));
        return;
    }
    print_diagnostics(file.checked->diagnostics, file.checked->file, stdout);
    const auto& diagnostics = file.checked->diagnostics;
    const auto warnings = diagnostics.warnings() ? ", " + count_of(diagnostics.warnings(), "warning") : "";
    fmt::print("{}: {}{}\n", name, diagnostics.ok() ? "OK" : count_of(diagnostics.errors(), "error"), warnings);
}

Result<int> grant_check(const Args& args) {
    std::vector<CheckedFile> files;
    for (const auto& file : args.positional("FILE"))
        files.push_back({file, grant::check_file(file, load_options(args))});
    int status = 0;
    for (const auto& file : files) {
        if (!args.json) print_report(file);
        // A file that cannot be read is told apart from one that is wrong.
        if (!file.checked)
            status = static_cast<int>(file.checked.error().code());
        else if (!file.checked->diagnostics.ok() && status == 0)
            status = 1;
    }
    if (args.json) print_check_json(files);
    return status;
}

}  // namespace bpfwarden::cli
