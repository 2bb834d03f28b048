// SPDX-License-Identifier: Apache-2.0
// `bpfwarden host check`: what this machine offers.
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/host_json.hpp"
#include "kernel/host.hpp"

namespace bpfwarden::cli {

using kernel::HostFact;
using kernel::Presence;

// Escape sequences for a terminal, none for a pipe or a file, or when NO_COLOR is set (no-color.org).
struct Style {
    std::string_view good, bad, dim, bold, end;
    static Style of_stdout() {
        const char* no = std::getenv("NO_COLOR");
        if (::isatty(STDOUT_FILENO) == 0 || (no != nullptr && *no != '\0')) return {};
        return {"\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[1m", "\x1b[0m"};
    }
};

static void print_fact(const HostFact& fact, const Style& style) {
    static constexpr std::string_view words[] = {"yes", "no", "?"};
    const auto state = words[static_cast<std::size_t>(fact.state)];
    const auto colour = fact.concern ? style.bad : fact.state == Presence::present ? style.good : std::string_view{};
    fmt::print("{} {}{:<4}{}{:<27}{}\n", fact.concern ? '!' : ' ', colour, state, style.end, fact.id, fact.title);
    const auto line = [&](std::string_view label, const std::string& text) {
        for (const auto part : split(text, '\n')) {
            fmt::print("{:6}{}{:<11}{}{}\n", "", style.dim, label, style.end, part);
            label = {};
        }
    };
    line("seen", fact.detail);
    line("how", fact.how);
    line("needed by", fact.needed_by);
    if (fact.concern || fact.state != Presence::present) line("remedy", fact.remedy);
}

static void print_summary(const std::vector<HostFact>& facts) {
    const auto count = [&](Presence state) { return std::ranges::count(facts, state, &HostFact::state); };
    std::vector<std::string> concerns;
    for (const auto& fact : facts)
        if (fact.concern) concerns.push_back(fact.id);
    fmt::print("\n{} facts: {} present, {} absent, {} unknown\n", facts.size(), count(Presence::present),
               count(Presence::absent), count(Presence::unknown));
    if (!concerns.empty()) fmt::print("not as bpfwarden would have it (!): {}\n", join(concerns, ", "));
}

static void print_report(const std::vector<HostFact>& facts) {
    struct utsname name{};
    ::uname(&name);
    const Style style = Style::of_stdout();
    fmt::print("Linux {} {}\n", name.release, name.machine);
    for (const auto group : kernel::all_host_groups) {
        bool first = true;
        for (const auto& fact : facts) {
            if (fact.group != group) continue;
            if (first) fmt::print("\n{}{}{}\n", style.bold, describe(group), style.end);
            first = false;
            print_fact(fact, style);
        }
    }
    print_summary(facts);
}

static Result<> check_ids(const std::vector<std::string>& ids) {
    const auto known = kernel::host_fact_ids();
    for (const auto& id : ids) {
        if (std::ranges::find(known, id) != known.end()) continue;
        const auto close = nearest(id, known);
        return fail(Error(Code::usage, fmt::format("there is no fact {}", quoted(id)))
                        .because(close ? fmt::format("the nearest is {}", *close) : "")
                        .advise("`bpfwarden host check` without arguments lists them all"));
    }
    return {};
}

// One line, once, if it takes longer than it should: a person must not wonder.
static std::function<void(std::string_view)> progress() {
    return [start = std::chrono::steady_clock::now(), said = false](std::string_view id) mutable {
        if (said || std::chrono::steady_clock::now() - start < std::chrono::seconds(2)) return;
        said = true;
        fmt::print(stderr, "bpfwarden host check: still looking, now at {}\n", id);
    };
}

static Result<int> run_check(const Args& args) {
    std::vector<std::string> required;
    for (const auto& value : args.values("--require"))
        for (const auto id : split(value, ',')) required.emplace_back(id);
    std::vector<std::string> ids;
    if (args.positionals.contains("ID")) ids = args.positional("ID");
    BW_TRY(check_ids(ids));
    BW_TRY(check_ids(required));
    ids.insert(ids.end(), required.begin(), required.end());

    const auto facts = kernel::check_host(ids, progress());
    args.json ? print_host_json(facts) : print_report(facts);

    std::vector<std::string> missing;
    for (const auto& fact : facts)
        if (fact.state != Presence::present && std::ranges::find(required, fact.id) != required.end())
            missing.push_back(fmt::format("{} ({})", fact.id, word(fact.state)));
    if (missing.empty()) return 0;
    return fail(Error(Code::unsupported, "what is required is not here")
                    .because(join(missing, ", "))
                    .advise("the report says for each how to get it"));
}

std::vector<Command> host_commands() {
    return {{
        .object = "host",
        .verb = "check",
        .summary = "say what this machine offers, and how that was found out",
        .details = "Tries each feature that some part of bpfwarden uses, or reads what the kernel says of itself; no "
                   "version is\n"
                   "ever compared. Each fact is reported with what was seen, how, what needs it, and how to get it. "
                   "Nothing is\n"
                   "left behind. Works for any user; what only root can try is then \"?\".\n"
                   "\n"
                   "A mark ! is put before facts that are not as bpfwarden would have them. With IDs, only those are "
                   "looked at.\n"
                   "\n"
                   "The exit status is 0 whatever was found; with --require it is 3 if a fact named there is absent or "
                   "unknown.\n",
        .positionals = {{.name = "ID", .help = "the facts to look at (default: all)", .least = 0, .most = many}},
        .options = {{.name = "--require",
                     .value = "ID[,ID]",
                     .help = "look at these too; exit 3 unless all are present",
                     .repeated = true}},
        .run = run_check,
    }};
}

}  // namespace bpfwarden::cli
