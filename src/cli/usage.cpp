// SPDX-License-Identifier: Apache-2.0
#include "cli/usage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/text.hpp"
#include "cli/help.hpp"

namespace bpfwarden::cli {
namespace {

Error usage(std::string what, std::string why, std::string_view whose) {
    return Error(Code::usage, std::move(what))
        .because(std::move(why))
        .advise(fmt::format("{} --help shows how it is called", whose));
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
    const auto near = nearest(word, known);
    return near ? fmt::format("did you mean {}?", *near) : "";
}

std::vector<std::string_view> names_of(const Command& command) {
    std::vector<std::string_view> names;
    names.reserve(command.positionals.size());
    for (const auto& positional : command.positionals) names.push_back(positional.name);
    return names;
}

}  // namespace

Error unknown_option(std::string_view option, std::span<const std::string_view> known, std::string_view whose) {
    auto near = did_you_mean(option, known);
    if (near.empty()) near = fmt::format("its options are {}", in_words(known));
    return usage(fmt::format("there is no option {}", quoted(option)), std::move(near), whose);
}

Error unknown_command(std::string_view object, std::string_view word) {
    std::vector<std::string_view> known = first_words();
    std::vector<std::string> elsewhere;  // `bpfwarden check`
    if (!object.empty()) known.clear();
    for (const auto* command : visible_commands()) {
        if (!object.empty() && command->object == object) known.push_back(command->verb);
        if (object.empty() && command->verb == word) elsewhere.push_back(full_name(*command));
    }
    auto why = elsewhere.empty() ? did_you_mean(word, known) : fmt::format("did you mean {}?", join(elsewhere, " or "));
    if (why.empty()) why = fmt::format("there {} {}", known.size() == 1 ? "is" : "are", in_words(known));
    return usage(fmt::format("there is no {} {}", object.empty() ? "command" : "verb", quoted(word)), std::move(why),
                 object.empty() ? "bpfwarden" : fmt::format("bpfwarden {}", object));
}

Error no_command(std::string_view object) {
    auto known = first_words();
    if (!object.empty()) {
        known.clear();
        for (const auto* command : visible_commands(object)) known.push_back(command->verb);
    }
    return usage(fmt::format("no {} is given", object.empty() ? "command" : "verb"),
                 fmt::format("there {} {}", known.size() == 1 ? "is" : "are", in_words(known)),
                 object.empty() ? "bpfwarden" : fmt::format("bpfwarden {}", object));
}

Error explain_usage(const Command& command, std::span<const std::string> words, const std::string& parser_says) {
    const auto whose = fmt::format("bpfwarden {}", full_name(command));
    std::vector<std::string_view> known{"--json", "--help", "-h"};
    for (const auto& option : command.options) {
        known.push_back(option.name);
        if (!option.letter.empty()) known.push_back(option.letter);
    }
    std::map<std::string_view, unsigned> given;
    std::vector<std::string> positionals;
    bool only_positionals = false;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (only_positionals || !word.starts_with('-') || word == "-") {
            positionals.emplace_back(word);
            continue;
        }
        if (word == "--") {
            only_positionals = true;
            continue;
        }
        const auto equals = word.find('=');
        const auto name = word.substr(0, equals);
        if (std::ranges::find(known, name) == known.end()) return unknown_option(name, known, whose);
        const auto* option = find_option(command, name);
        const bool takes_value = option != nullptr && !option->value.empty();
        if (!takes_value && equals != std::string_view::npos)
            return usage(fmt::format("{} takes no value", name),
                         fmt::format("it is given {}", quoted(word.substr(equals + 1))), whose);
        const unsigned times = ++given[option != nullptr ? option->name : name];
        if (times > 1 && takes_value && !option->repeated)
            return usage(fmt::format("{} is given more than once", name), "only one can hold", whose);
        if (!takes_value || equals != std::string_view::npos) continue;
        ++i;
        if (i == words.size() || (words[i].starts_with('-') && words[i] != "-"))
            return usage(fmt::format("{} needs a value", name), fmt::format("{}: {}", option->value, option->help),
                         whose);
    }
    for (const auto& option : command.options)
        if (option.required && !given.contains(option.name))
            return usage(fmt::format("{} {} is missing", option.name, option.value), std::string(option.help), whose);
    std::size_t least = 0, most = 0;
    for (const auto& positional : command.positionals) {
        if (command.passes_rest && &positional == &command.positionals.back()) return usage(parser_says, "", whose);
        least += positional.least;
        if (positionals.size() < least)
            return usage(fmt::format("{} is missing", positional.name), std::string(positional.help), whose);
        most = positional.most == many ? many : most + positional.most;
    }
    if (positionals.size() > most)
        return usage(fmt::format("{} is too much", quoted(positionals[most])),
                     most == 0 ? "it takes no arguments" : fmt::format("it takes {}", in_words(names_of(command))),
                     whose);
    return usage(parser_says, "", whose);
}

}  // namespace bpfwarden::cli
