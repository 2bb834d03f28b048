// SPDX-License-Identifier: Apache-2.0
#include "cli/help.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace bpfwarden::cli {

std::span<const Option> global_options() {
    static const Option options[] = {{"--json", "", "print one JSON document on standard output"},
                                     {"--help", "", "print help (also -h), after a command that command's, and exit"},
                                     {"--help-all", "", "print help on every command and exit"},
                                     {"--version", "", "print the version and exit"}};
    return options;
}

std::span<const ExitCode> exit_codes() {
    static constexpr ExitCode codes[] = {
        {0, "done"},
        {static_cast<int>(Code::failed), "it was tried and failed, or a check said no"},
        {static_cast<int>(Code::usage), "the command line means nothing"},
        {static_cast<int>(Code::unsupported), "this kernel or machine lacks what is needed"},
        {static_cast<int>(Code::denied), "not permitted"},
        {static_cast<int>(Code::not_found), "there is no such file, grant, user or process"},
        {static_cast<int>(Code::bad_input), "a file that was given is wrong"},
        {static_cast<int>(Code::no_daemon), "the daemon that is needed does not run"},
    };
    return codes;
}

std::vector<const Command*> visible_commands() {
    std::vector<const Command*> found;
    for (const auto& command : command_table())
        if (!command.hidden) found.push_back(&command);
    return found;
}

std::vector<const Command*> visible_commands(std::string_view object) {
    auto found = visible_commands();
    std::erase_if(found, [&](const Command* command) { return command->object != object; });
    return found;
}

std::vector<std::string_view> first_words() {
    std::vector<std::string_view> words;
    for (const auto* command : visible_commands()) {
        const auto word = command->object.empty() ? command->verb : command->object;
        if (std::ranges::find(words, word) == words.end()) words.push_back(word);
    }
    return words;
}

std::string in_words(std::span<const std::string_view> names) {
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i)
        text += fmt::format("{}{}", i == 0 ? "" : i + 1 == names.size() ? " and " : ", ", names[i]);
    return text;
}

std::vector<std::string> synopsis(const Command& command) {
    std::vector<std::string> parts;
    for (const auto& option : command.options) {
        auto text = option.value.empty() ? std::string(option.name) : fmt::format("{} {}", option.name, option.value);
        if (!option.required) text = fmt::format("[{}]", text);
        if (option.repeated) text += "…";
        parts.push_back(std::move(text));
    }
    for (const auto& positional : command.positionals) {
        if (command.passes_rest && &positional == &command.positionals.back()) {
            parts.push_back(fmt::format("[--] {} [ARG…]", positional.name));
            continue;
        }
        for (unsigned i = 0; i < std::max(positional.least, 1U); ++i) {
            const bool last = i + 1 == std::max(positional.least, 1U);
            const auto name = fmt::format("{}{}", positional.name, last && positional.most == many ? "…" : "");
            parts.push_back(positional.least == 0 ? fmt::format("[{}]", name) : name);
        }
    }
    return parts;
}

namespace {

constexpr std::size_t width = 100, column = 30;

std::size_t columns(std::string_view text) {  // UTF-8 letters, of which ours are one column each
    return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

// `words` after `text`, wrapped, further lines indented.
void wrap(std::string& text, std::size_t at, std::size_t indent, std::span<const std::string> words) {
    bool first = true;
    for (const auto& word : words) {
        if (!first && at + 1 + columns(word) > width) {
            text += "\n" + std::string(indent, ' ');
            at = indent;
        } else if (!first) {
            text += ' ';
            ++at;
        }
        text += word;
        at += columns(word);
        first = false;
    }
    text += '\n';
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    for (const auto word : split(text, ' '))
        if (!word.empty()) words.emplace_back(word);
    return words;
}

void entry(std::string& text, std::string_view name, std::string_view what) {
    text += fmt::format("  {}", name);
    auto at = 2 + columns(name);
    if (at + 2 > column) {
        text += '\n';
        at = 0;
    }
    text += std::string(column - at, ' ');
    wrap(text, column, column, words_of(what));
}

void list_options(std::string& text, std::span<const Option> options) {
    for (const auto& option : options) {
        std::string what(option.help);
        if (option.required) what += " (required)";
        if (option.repeated) what += " (may be repeated)";
        auto name =
            option.letter.empty() ? std::string(option.name) : fmt::format("{}, {}", option.letter, option.name);
        if (!option.value.empty()) name += fmt::format(" {}", option.value);
        entry(text, name, what);
    }
}

// The table's text breaks lines where its source does: paragraphs are filled again.
void paragraphs(std::string& text, std::string_view details) {
    std::string paragraph;
    const auto flush = [&] {
        if (!paragraph.empty()) {
            text += '\n';
            wrap(text, 0, 0, words_of(paragraph));
        }
        paragraph.clear();
    };
    for (const auto line : split(details, '\n')) {
        if (line.empty())
            flush();
        else
            paragraph += fmt::format("{} ", line);
    }
    flush();
}

}  // namespace

std::string help() {
    std::string text =
        "Trusted programs use BPF without root, held to a grant.\n\n"
        "Usage: bpfwarden [--json] OBJECT VERB …\n"
        "       bpfwarden run --grant FILE [--user USER] -- COMMAND [ARG…]\n\n"
        "Subcommands:\n";
    for (const auto* command : visible_commands("")) entry(text, command->verb, command->summary);
    for (const auto& object : all_objects()) {
        std::vector<std::string_view> verbs;
        for (const auto* command : visible_commands(object.name)) verbs.push_back(command->verb);
        if (verbs.empty()) continue;
        entry(text, fmt::format("{} VERB", object.name), fmt::format("{}: {}", object.summary, in_words(verbs)));
    }
    text += "\nOptions:\n";
    list_options(text, global_options());
    text += "\nExit status:\n";
    for (const auto& [code, meaning] : exit_codes()) entry(text, std::to_string(code), meaning);
    text += "  run ends as its COMMAND does, with 128 + signal, or with 125, 126 or 127 when it cannot start it.\n";
    text += "\n`bpfwarden OBJECT --help` and `bpfwarden OBJECT VERB --help` tell more; so does bpfwarden(1).\n";
    return text;
}

std::string help(std::string_view object) {
    const auto found = std::ranges::find(all_objects(), object, &Object::name);
    std::string text = fmt::format("bpfwarden {}: {}\n\nUsage: bpfwarden [--json] {} VERB …\n\nSubcommands:\n", object,
                                   found->summary, object);
    for (const auto& command : command_table())
        if (command.object == object) entry(text, command.verb, command.summary);
    return text + fmt::format("\n`bpfwarden {} VERB --help` tells more; so does bpfwarden-{}(1).\n", object, object);
}

std::string help(const Command& command) {
    std::string text = fmt::format("bpfwarden {}: {}\n\nUsage: bpfwarden {} ", full_name(command), command.summary,
                                   full_name(command));
    const auto indent = columns("Usage: bpfwarden ") + full_name(command).size() + 1;
    wrap(text, indent, indent, synopsis(command));
    if (!command.positionals.empty()) text += "\nArguments:\n";
    for (const auto& positional : command.positionals)
        entry(text, fmt::format("{}{}", positional.name, positional.most == many ? "…" : ""), positional.help);
    text += "\nOptions:\n";
    list_options(text, command.options);
    list_options(text, global_options().first(2));
    paragraphs(text, command.details);
    return text;
}

std::string help_on_everything() {
    std::string text = help();
    for (const auto* command : visible_commands()) text += fmt::format("\n{:-<{}}\n{}", "", width, help(*command));
    return text;
}

}  // namespace bpfwarden::cli
