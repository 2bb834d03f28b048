// SPDX-License-Identifier: Apache-2.0
// Command line → table entry → Args. The only file that sees CLI11 (4 s to compile).
#include <CLI/CLI.hpp>
#include <cstdio>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/command.hpp"

#ifndef BPFWARDEN_VERSION
#define BPFWARDEN_VERSION "unknown"
#endif

namespace bpfwarden::cli {

std::optional<std::string> Args::value(std::string_view option) const {
    const auto found = options.find(option);
    if (found == options.end() || found->second.empty()) return std::nullopt;
    return found->second.back();
}

std::vector<std::string> Args::values(std::string_view option) const {
    const auto found = options.find(option);
    return found == options.end() ? std::vector<std::string>{} : found->second;
}

const std::vector<std::string>& Args::positional(std::string_view name) const {
    static const std::vector<std::string> none;
    const auto found = positionals.find(name);
    return found == positionals.end() ? none : found->second;
}

static std::string full_name(const Command& command) {
    return command.object.empty() ? std::string(command.verb) : fmt::format("{} {}", command.object, command.verb);
}

static int usage_error(std::string what, std::string why, std::string hint) {
    fmt::print(stderr, "{}\n",
               Error(Code::usage, std::move(what)).because(std::move(why)).advise(std::move(hint)).text("bpfwarden"));
    return static_cast<int>(Code::usage);
}

static void add_command(CLI::App& parent, const Command& command, Args& args, const Command*& chosen) {
    auto* app = parent.add_subcommand(std::string(command.verb), std::string(command.summary));
    app->footer(std::string(command.details));
    app->add_flag("--json", args.json, "print one JSON document");
    for (const auto& option : command.options) {
        const std::string name(option.name);
        if (option.value.empty()) {
            app->add_flag_callback(name, [&args, name] { args.options[name]; }, std::string(option.help));
            continue;
        }
        auto* added = app->add_option_function<std::vector<std::string>>(
            name, [&args, name](const std::vector<std::string>& values) { args.options[name] = values; },
            std::string(option.help));
        added->type_name(std::string(option.value))->expected(1)->required(option.required);
        added->multi_option_policy(option.repeated ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::Throw);
        if (option.repeated) added->expected(1, 1 << 20)->allow_extra_args(false);
    }
    for (const auto& positional : command.positionals) {
        if (command.passes_rest) break;  // take_rest() has them
        const std::string name(positional.name);
        const int most =
            positional.most == many ? CLI::detail::expected_max_vector_size : static_cast<int>(positional.most);
        app->add_option_function<std::vector<std::string>>(
               name, [&args, name](const std::vector<std::string>& values) { args.positionals[name] = values; },
               std::string(positional.help))
            ->required(positional.least > 0)
            ->expected(static_cast<int>(positional.least), most)
            ->allow_extra_args(positional.most == many)
            ->type_name("");
    }
    app->callback([&chosen, &command] { chosen = &command; });
}

// "did you mean": for a first or second word that is in no table entry.
static std::optional<int> unknown_word(std::span<char*> argv) {
    std::vector<std::string_view> words;
    for (char* arg : argv.subspan(1)) {
        const std::string_view word = arg;
        if (word == "--") break;
        if (word.starts_with('-')) continue;
        words.push_back(word);
        if (words.size() == 2) break;
    }
    if (words.empty()) return std::nullopt;
    std::vector<std::string_view> firsts, seconds;
    for (const auto& command : command_table()) {
        firsts.push_back(command.object.empty() ? command.verb : command.object);
        if (!command.object.empty() && command.object == words[0]) seconds.push_back(command.verb);
    }
    const auto check = [](std::string_view word, std::span<const std::string_view> known,
                          std::string_view kind) -> std::optional<int> {
        if (std::ranges::find(known, word) != known.end()) return std::nullopt;
        const auto near = nearest(word, known);
        return usage_error(fmt::format("there is no {} {}", kind, quoted(word)),
                           near ? fmt::format("did you mean {}?", *near) : "", "bpfwarden --help lists what there is");
    };
    if (const auto status = check(words[0], firsts, "command")) return status;
    if (!seconds.empty() && words.size() == 2)
        return check(words[1], seconds, fmt::format("command \"{}\" with", words[0]));
    return std::nullopt;
}

// Whether the first word that is no option names this command (of no object).
static bool names_command(std::span<char*> argv, const Command& command) {
    for (const char* word : argv.subspan(1))
        if (*word != '-') return command.object.empty() && command.verb == word;
    return false;
}

// Where the command line of another program begins: after "--", or at the first word that is neither an option of ours
// nor an option's value, as with env(1). What is ours stays in `argv`.
static std::vector<std::string> take_rest(const Command& command, std::span<char*>& argv) {
    const auto option = [&](std::string_view word) { return std::ranges::find(command.options, word, &Option::name); };
    std::size_t at = 0;
    while (at < argv.size() && argv[at] != command.verb) ++at;
    for (++at; at < argv.size(); ++at) {
        const std::string_view word = argv[at];
        if (word == "--" || !word.starts_with('-')) break;
        const auto known = option(word);
        if (known != command.options.end() && !known->value.empty()) ++at;
    }
    if (at >= argv.size()) return {};
    const auto from = argv.begin() + static_cast<std::ptrdiff_t>(at);
    std::vector<std::string> rest(std::string_view(*from) == "--" ? from + 1 : from, argv.end());
    argv = argv.first(at);
    return rest;
}

int dispatch(std::span<char*> argv) {
    Args args;
    const Command* chosen = nullptr;
    CLI::App app("Trusted programs use BPF without root, held to a grant.", "bpfwarden");
    app.set_version_flag("--version", "bpfwarden " BPFWARDEN_VERSION);
    app.add_flag("--json", args.json, "print one JSON document");
    app.require_subcommand(1);
    app.set_help_all_flag("--help-all", "help on every command");
    std::map<std::string_view, CLI::App*> objects;
    for (const auto& command : command_table()) {
        CLI::App* parent = &app;
        if (!command.object.empty()) {
            auto& object = objects[command.object];
            if (!object) object = app.add_subcommand(std::string(command.object), "")->require_subcommand(1);
            parent = object;
        }
        add_command(*parent, command, args, chosen);
    }
    if (const auto status = unknown_word(argv)) return *status;
    for (const auto& command : command_table())
        if (command.passes_rest && names_command(argv, command))
            args.positionals[std::string(command.positionals.front().name)] = take_rest(command, argv);
    try {
        app.parse(static_cast<int>(argv.size()), argv.data());
    } catch (const CLI::Success& asked_for_help) {
        return app.exit(asked_for_help);
    } catch (const CLI::ParseError& problem) {
        std::string name;
        for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
            at = at->get_subcommands().front();
            name += " " + at->get_name();
        }
        const int status =
            usage_error(problem.what(), "", fmt::format("bpfwarden{} --help shows how it is called", name));
        return name.starts_with(" run") ? 125 : status;
    }
    const auto status = chosen->run(args);
    if (status) return *status;
    fmt::print(stderr, "{}\n", status.error().text("bpfwarden " + full_name(*chosen)));
    return chosen->error_status ? chosen->error_status : static_cast<int>(status.error().code());
}

}  // namespace bpfwarden::cli
