// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/help.hpp"
#include "cli/internal.hpp"

namespace bpfwarden::cli {
namespace {

// Inside '…' of zsh, in a place where _arguments and _describe read : and [ ] themselves.
std::string safe(std::string_view text) {
    std::string made;
    for (const char c : text) {
        if (c == '\'')
            made += "'\\''";
        else if (c == ':' || c == '[' || c == ']' || c == '\\')
            made += fmt::format("\\{}", c);
        else
            made += c;
    }
    return made;
}

std::string action(const Values& values) {
    switch (values.kind) {
        case Values::Kind::nothing:
            return " ";
        case Values::Kind::grant:
            return "_bpfwarden_grants";
        case Values::Kind::file:
            return "_files";
        case Values::Kind::directory:
            return "_files -/";
        case Values::Kind::user:
            return "_users";
        case Values::Kind::process:
            return "_pids";
        case Values::Kind::word:
            return fmt::format("({})", join(values.words, " "));
        case Values::Kind::list:
            return fmt::format(" _values -s , key {}", join(values.words, " "));
        case Values::Kind::command:
            return "_normal";
    }
    return " ";
}

std::string option_spec(const Option& option) {
    // Without *, an option is offered once.
    auto text = fmt::format("'{}{}{}[{}]", option.repeated ? "*" : "", option.name, option.value.empty() ? "" : "=",
                            safe(option.help));
    if (!option.value.empty()) text += fmt::format(":{}:{}", safe(lower(option.value)), action(values_of(option)));
    return text + "'";
}

std::string command_function(const Command& command) {
    auto text = fmt::format("_bpfwarden_{}_{}() {{\n    _arguments -s -S", command.object, command.verb);
    const auto line = [&](const std::string& spec) { text += fmt::format(" \\\n        {}", spec); };
    for (const auto& option : command.options) line(option_spec(option));
    for (const auto& option : global_options().first(2)) line(option_spec(option));
    unsigned at = 1;
    for (const auto& positional : command.positionals) {
        const auto values = values_of(command, positional);
        if (values.kind == Values::Kind::command)
            line("'*::command:_normal'");
        else if (positional.most == many && !values.once)
            line(fmt::format("'*:{}:{}'", lower(positional.name), action(values)));
        else
            line(fmt::format("'{}:{}:{}'", at++, lower(positional.name), action(values)));
        if (values.once) line("'*: : '");
    }
    return text + "\n}\n\n";
}

std::string described(std::string_view name, std::string_view summary) {
    return fmt::format("        '{}:{}'\n", name, safe(summary));
}

// Chooses among the verbs of an object, then leaves the line to the verb's function.
std::string object_function(std::string_view function, const std::string& entries, const std::string& cases) {
    return fmt::format(R"zsh({}() {{
    local -a commands=(
{}    )
    local context state state_descr line
    typeset -A opt_args
    _arguments -C '--json[print one JSON document]' '(- *)--help[print help]' '1:command:->command' '*::argument:->argument'
    case $state in
    command) _describe -t commands command commands ;;
    argument)
        case $words[1] in
{}        esac
        ;;
    esac
}}

)zsh",
                       function, entries, cases);
}

}  // namespace

std::string zsh_completions() {
    std::string text =
        "#compdef bpfwarden\n# SPDX-License-Identifier: Apache-2.0\n"
        "# Completions of bpfwarden(1) for zsh. Made by `make man` from the command table: do not edit.\n\n"
        "# A grant: a file, or the name of an installed one.\n"
        "_bpfwarden_grants() {\n"
        "    local -a installed=({/etc,/usr/lib}/bpfwarden/grants.d/*.toml(N:t:r))\n"
        "    _alternative 'files:file:_files' \"installed:installed grant:($installed)\"\n"
        "}\n\n";
    for (const auto* command : visible_commands()) text += command_function(*command);
    std::string entries, cases;
    for (const auto* command : visible_commands("")) {
        entries += described(command->verb, command->summary);
        cases += fmt::format("        {}) _bpfwarden__{} ;;\n", command->verb, command->verb);
    }
    for (const auto& object : all_objects()) {
        const auto verbs = visible_commands(object.name);
        if (verbs.empty()) continue;
        entries += described(object.name, object.summary);
        cases += fmt::format("        {}) _bpfwarden_{} ;;\n", object.name, object.name);
        std::string below_entries, below_cases;
        for (const auto* verb : verbs) {
            below_entries += described(verb->verb, verb->summary);
            below_cases += fmt::format("        {}) _bpfwarden_{}_{} ;;\n", verb->verb, object.name, verb->verb);
        }
        text += object_function(fmt::format("_bpfwarden_{}", object.name), below_entries, below_cases);
    }
    return text + object_function("_bpfwarden", entries, cases) + "_bpfwarden \"$@\"\n";
}

}  // namespace bpfwarden::cli
