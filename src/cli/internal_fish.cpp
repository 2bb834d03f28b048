// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/help.hpp"
#include "cli/internal.hpp"

namespace bpfwarden::cli {
namespace {

std::string quote(std::string_view text) {
    std::string made = "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') made += '\\';
        made += c;
    }
    return made + "'";
}

// What follows `complete -c bpfwarden … `, for a value or an argument.
std::string offer(const Values& values) {
    switch (values.kind) {
        case Values::Kind::nothing:
            return "-x";
        case Values::Kind::grant:
            return "-F -a '(__bpfwarden_grants)'";
        case Values::Kind::file:
            return "-F";
        case Values::Kind::directory:
            return "-x -a '(__fish_complete_directories)'";
        case Values::Kind::user:
            return "-x -a '(__fish_complete_users)'";
        case Values::Kind::process:
            return "-x -a '(__fish_complete_pids)'";
        case Values::Kind::word:
            return fmt::format("-x -a {}", quote(join(values.words, " ")));
        case Values::Kind::list:
            return fmt::format("-x -a {}", quote(fmt::format("(__fish_complete_list , 'string split \" \" \"{}\"')",
                                                             join(values.words, " "))));
        case Values::Kind::command:
            break;  // command_offer() has it
    }
    return "-x";
}

std::string line(std::string_view condition, const std::string& rest) {
    return fmt::format("complete -c bpfwarden -n {} {}\n", quote(condition), rest);
}

std::string command_offer(const Command& command) {
    auto call = fmt::format("(__bpfwarden_command {} {}", command.verb, command.positionals.size() - 1);
    for (const auto& option : command.options)
        if (!option.value.empty())
            call += option.letter.empty() ? fmt::format(" {}", option.name)
                                          : fmt::format(" {} {}", option.letter, option.name);
    return fmt::format("-x -a {}", quote(call + ")"));
}

std::string command_lines(const Command& command) {
    const auto at = fmt::format("__bpfwarden_at {}", full_name(command));
    std::string text;
    for (const auto& option : command.options)
        text += line(
            at,
            fmt::format("{}-l {} {}-d {}", option.letter.empty() ? "" : fmt::format("-s {} ", option.letter.substr(1)),
                        option.name.substr(2), option.value.empty() ? "" : "-r " + offer(values_of(option)) + " ",
                        quote(option.help)));
    for (const auto& positional : command.positionals) {
        const auto values = values_of(command, positional);
        text += line(at, values.kind == Values::Kind::command ? command_offer(command) : offer(values));
    }
    return text;
}

// `run` passes the rest of the line on: it is completed as a command line of its own.
constexpr std::string_view command_line = R"fish(
# The command that a verb is to start, and its arguments. Given: the verb, how many words of its own come before the command,
# and its options that have a value.
function __bpfwarden_command
    set -l words (commandline -opc)
    set -l own $argv[2]
    set -l rest
    set -l skip no
    for word in $words[(math (contains -i $argv[1] $words) + 1)..]
        if set -q rest[1]
            set -a rest (string escape -- $word)
        else if test $skip = yes
            set skip no
        else if contains -- $word $argv[3..]
            set skip yes
        else if string match -q -- '-*' $word
            continue
        else if test $own -gt 0
            set own (math $own - 1)
        else
            set -a rest (string escape -- $word)
        end
    end
    test $own -gt 0; or complete -C (string join -- ' ' $rest (commandline -ct))
end
)fish";

}  // namespace

std::string fish_completions() {
    std::string text = R"fish(# SPDX-License-Identifier: Apache-2.0
# Completions of bpfwarden(1) for fish. Made by `make man` from the command table: do not edit.

# The words so far that are no options, and whether they begin with, or are, those of a command.
function __bpfwarden_words
    string match -v -- '-*' (commandline -opc)[2..] | string join ' '
end
function __bpfwarden_at
    set -l words (__bpfwarden_words)
    string match -q -- "$argv *" "$words "
end
function __bpfwarden_is
    set -l words (__bpfwarden_words)
    test "$words" = "$argv"
end

# The names of installed grants.
function __bpfwarden_grants
    for file in /etc/bpfwarden/grants.d/*.toml /usr/lib/bpfwarden/grants.d/*.toml
        path change-extension '' (path basename $file)
    end
end
)fish";
    text += std::string(command_line) + "\ncomplete -c bpfwarden -f\n";
    for (const auto& option : global_options()) {
        const auto everywhere = option.name == "--json" || option.name == "--help";
        text += fmt::format("complete -c bpfwarden {}-l {} -d {}\n", everywhere ? "" : "-n __bpfwarden_is ",
                            option.name.substr(2), quote(option.help));
    }
    for (const auto* command : visible_commands(""))
        text += line("__bpfwarden_is", fmt::format("-a {} -d {}", command->verb, quote(command->summary)));
    for (const auto& object : all_objects()) {
        const auto verbs = visible_commands(object.name);
        if (verbs.empty()) continue;
        text += line("__bpfwarden_is", fmt::format("-a {} -d {}", object.name, quote(object.summary)));
        for (const auto* verb : verbs)
            text += line(fmt::format("__bpfwarden_is {}", object.name),
                         fmt::format("-a {} -d {}", verb->verb, quote(verb->summary)));
    }
    for (const auto* command : visible_commands()) text += command_lines(*command);
    return text;
}

}  // namespace bpfwarden::cli
