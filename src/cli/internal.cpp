// SPDX-License-Identifier: Apache-2.0
// `bpfwarden internal …`: for `make man`, and the check that what it made is up to date. Hidden from people.
#include "cli/internal.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::cli {

static Result<int> print_manual(const Args& args) {
    const auto pages = manual_pages();
    if (args.has("--list")) {
        for (const auto& page : pages) fmt::print("{}\n", page);
        return 0;
    }
    const auto& asked = args.positional("PAGE");
    if (asked.empty()) return fail(Error(Code::usage, "PAGE is missing").advise("--list lists the pages"));
    if (std::ranges::find(pages, asked.front()) == pages.end())
        return fail(Error(Code::not_found, fmt::format("there is no page {}", quoted(asked.front())))
                        .advise(fmt::format("there are {}", join(pages, ", "))));
    const auto path = fmt::format("{}/{}.roff", args.value("--fragments").value_or("man/fragments"), asked.front());
    const auto text = BW_TRY(kernel::read_file(path));
    fmt::print("{}", BW_TRY_WITHIN(manual_page(asked.front(), text), path));
    return 0;
}

static Result<int> print_completions(const Args& args) {
    const auto& shell = args.only("SHELL");
    std::string (*const make)() = shell == "bash"   ? bash_completions
                                  : shell == "zsh"  ? zsh_completions
                                  : shell == "fish" ? fish_completions
                                                    : nullptr;
    if (make == nullptr)
        return fail(Error(Code::usage, fmt::format("there are no completions for {}", quoted(shell)))
                        .advise("there are bash, zsh and fish"));
    fmt::print("{}", make());
    return 0;
}

std::vector<Command> internal_commands() {
    return {
        {.object = "internal",
         .verb = "man",
         .summary = "print a manual page",
         .details = "",
         .positionals = {{.name = "PAGE", .help = "as listed by --list", .least = 0}},
         .options = {{.name = "--list", .value = "", .help = "list the pages"},
                     {.name = "--fragments",
                      .value = "DIR",
                      .help = "the hand-written parts (default: man/fragments)"}},
         .run = print_manual,
         .hidden = true},
        {.object = "internal",
         .verb = "completions",
         .summary = "print shell completions",
         .details = "",
         .positionals = {{.name = "SHELL", .help = "bash, zsh or fish"}},
         .options = {},
         .run = print_completions,
         .hidden = true},
    };
}

}  // namespace bpfwarden::cli
