// SPDX-License-Identifier: Apache-2.0
// Command line → table entry → Args. The only file that sees CLI11 (4 s to compile).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/command.hpp"
#include "cli/help.hpp"
#include "cli/usage.hpp"

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

namespace {

int print_error(const Error& error, std::string_view whose) {
    fmt::print(stderr, "{}\n", error.text(whose));
    return static_cast<int>(error.code());
}

int print_help(const std::string& text) {
    fmt::print("{}", text);
    return 0;
}

void describe(CLI::App& app, const Command& command, Args& args) {
    app.add_flag("--json", args.json)->disable_flag_override();
    for (const auto& option : command.options) {
        const std::string name(option.name);
        if (option.value.empty()) {
            app.add_flag_callback(name, [&args, name] { args.options[name]; })->disable_flag_override();
            continue;
        }
        auto* added = app.add_option_function<std::vector<std::string>>(
            option.letter.empty() ? name : fmt::format("{},{}", option.letter, name),
            [&args, name](const std::vector<std::string>& values) { args.options[name] = values; });
        // One value each time, or it would take the positionals that come after it.
        added->expected(1)->allow_extra_args(false)->required(option.required);
        added->multi_option_policy(option.repeated ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::Throw);
    }
    for (const auto& positional : command.positionals) {
        if (command.passes_rest && &positional == &command.positionals.back()) break;  // take_rest() has it
        const std::string name(positional.name);
        const int most =
            positional.most == many ? CLI::detail::expected_max_vector_size : static_cast<int>(positional.most);
        app.add_option_function<std::vector<std::string>>(
               name, [&args, name](const std::vector<std::string>& values) { args.positionals[name] = values; })
            ->required(positional.least > 0)
            ->expected(static_cast<int>(std::max(positional.least, 1U)), most)
            ->allow_extra_args(positional.most == many);
    }
}

// Where the command line of another program begins: after "--", or at the first word that is neither an option of ours
// nor an option's value nor one of our own positionals, as with env(1). What is ours stays in `words`.
std::vector<std::string> take_rest(const Command& command, std::vector<std::string>& words) {
    std::size_t at = 0, own = command.positionals.size() - 1;
    for (; at < words.size(); ++at) {
        const std::string_view word = words[at];
        if (word == "--") break;
        if (!word.starts_with('-') || word == "-") {
            if (own == 0) break;
            --own;
            continue;
        }
        const auto* known = find_option(command, word);
        if (known != nullptr && !known->value.empty()) ++at;
    }
    if (at >= words.size()) return {};
    const auto from = words.begin() + static_cast<std::ptrdiff_t>(at);
    std::vector<std::string> rest(*from == "--" ? from + 1 : from, words.end());
    words.erase(from, words.end());
    return rest;
}

// `words`: what follows the verb.
int run(const Command& command, std::vector<std::string> words, Args& args) {
    const auto whose = fmt::format("bpfwarden {}", full_name(command));
    const auto failed = [&](const Error& error) {
        const int status = print_error(error, whose);
        return command.error_status ? command.error_status : status;
    };
    if (command.passes_rest) args.positionals[std::string(command.positionals.back().name)] = take_rest(command, words);
    const bool json = args.json;  // given before the verb
    CLI::App app;
    describe(app, command, args);
    try {
        app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // CLI11 takes them from the back
    } catch (const CLI::CallForHelp&) {
        return print_help(help(command));
    } catch (const CLI::ParseError& problem) {
        return failed(explain_usage(command, words, problem.what()));
    }
    args.json |= json;
    const auto status = command.run(args);
    return status ? *status : failed(status.error());
}

}  // namespace

int dispatch(std::span<char*> argv) {
    Args args;
    std::string_view object;
    for (std::size_t at = 1; at < argv.size(); ++at) {
        const std::string_view word = argv[at];
        const std::string whose = object.empty() ? "bpfwarden" : fmt::format("bpfwarden {}", object);
        if (word == "--json") {
            args.json = true;
        } else if (word == "--help" || word == "-h") {
            return print_help(object.empty() ? help() : help(object));
        } else if (word == "--help-all") {
            return print_help(help_on_everything());
        } else if (word == "--version") {
            return print_help("bpfwarden " BPFWARDEN_VERSION "\n");
        } else if (word.starts_with('-')) {
            std::vector<std::string_view> known;
            for (const auto& option : global_options()) known.push_back(option.name);
            return print_error(unknown_option(word, known, whose), whose);
        } else if (object.empty() && std::ranges::find(all_objects(), word, &Object::name) != all_objects().end()) {
            object = word;
        } else {
            for (const auto& command : command_table())
                if (command.object == object && command.verb == word)
                    return run(command, {argv.begin() + static_cast<std::ptrdiff_t>(at) + 1, argv.end()}, args);
            return print_error(unknown_command(object, word), whose);
        }
    }
    return print_error(no_command(object), object.empty() ? "bpfwarden" : fmt::format("bpfwarden {}", object));
}

}  // namespace bpfwarden::cli
