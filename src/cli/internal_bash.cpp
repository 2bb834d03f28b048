// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/help.hpp"
#include "cli/internal.hpp"

namespace bpfwarden::cli {
namespace {

// The part that is the same whatever the table says. It needs nothing of the bash-completion package, and uses its
// _command_offset for the rest of `run` if it is there.
constexpr std::string_view program = R"bash(
# Words of a fixed list, one of them or (with a comma) several.
_bpfwarden_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_bpfwarden_list() {
    local before=''
    [[ $cur == *,* ]] && before=${cur%,*},
    mapfile -t COMPREPLY < <(compgen -P "$before" -W "$1" -- "${cur##*,}")
}

_bpfwarden_paths() { # -f or -d
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

# A grant: a file, or the name of an installed one.
_bpfwarden_grants() {
    local file names=''
    for file in /etc/bpfwarden/grants.d/*.toml /usr/lib/bpfwarden/grants.d/*.toml; do
        [[ -e $file ]] || continue
        file=${file##*/}
        names+=" ${file%.toml}"
    done
    _bpfwarden_paths -f
    local files=("${COMPREPLY[@]}")
    _bpfwarden_words "$names"
    COMPREPLY+=("${files[@]}")
}

# One of the kinds that _bpfwarden_value and _bpfwarden_argument print, then its words.
_bpfwarden_offer() {
    case $1 in
    word) _bpfwarden_words "${*:2}" ;;
    list) _bpfwarden_list "${*:2}" ;;
    grant) _bpfwarden_grants ;;
    file) _bpfwarden_paths -f ;;
    directory) _bpfwarden_paths -d ;;
    user) mapfile -t COMPREPLY < <(compgen -u -- "$cur") ;;
    process)
        local pid
        for pid in /proc/[0-9]*; do
            pid=${pid##*/}
            [[ $pid == "$cur"* ]] && COMPREPLY+=("$pid")
        done
        ;;
    esac
}

# Another program's command line, from word $1 on.
_bpfwarden_command() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    else
        _bpfwarden_paths -f
    fi
}

_bpfwarden() {
    local cur=${COMP_WORDS[COMP_CWORD]} object='' verb='' option='' i arguments=0 only_arguments=''
    COMPREPLY=()
    # "--grant=FILE" is three words to readline.
    [[ $cur == '=' ]] && cur=''
    for ((i = 1; i < COMP_CWORD; ++i)); do
        local word=${COMP_WORDS[i]}
        if [[ -n $option ]]; then
            [[ $word == '=' ]] && continue
            option=''
        elif [[ -z $verb ]]; then
            [[ $word == -* ]] && continue
            if [[ -z $object && -n $(_bpfwarden_verbs "$word") ]]; then object=$word; else verb=$word; fi
        elif [[ $word == -- ]]; then
            only_arguments=yes
        elif [[ -z $only_arguments && $word == -?* ]]; then
            [[ -n $(_bpfwarden_value "$object $verb" "$word") ]] && option=$word
        elif [[ $(_bpfwarden_argument "$object $verb" "$arguments") == command ]]; then
            _bpfwarden_command "$i"
            return
        else
            arguments=$((arguments + 1))
        fi
    done
    if [[ -n $option ]]; then
        # shellcheck disable=SC2046
        _bpfwarden_offer $(_bpfwarden_value "$object $verb" "$option")
    elif [[ -z $only_arguments && $cur == -* ]]; then
        _bpfwarden_words "$(_bpfwarden_options "$object $verb")"
    elif [[ -z $verb ]]; then
        _bpfwarden_words "$(_bpfwarden_verbs "$object")"
    elif [[ $(_bpfwarden_argument "$object $verb" "$arguments") == command ]]; then
        _bpfwarden_command "$COMP_CWORD"
    else
        # shellcheck disable=SC2046
        _bpfwarden_offer $(_bpfwarden_argument "$object $verb" "$arguments")
    fi
}

complete -F _bpfwarden bpfwarden
)bash";

std::string_view name_of(Values::Kind kind) {
    static constexpr std::string_view names[] = {"nothing", "grant", "file", "directory", "user",
                                                 "process", "word",  "list", "command"};
    return names[static_cast<std::size_t>(kind)];
}

std::string offer(const Values& values) {
    const bool has_words = values.kind == Values::Kind::word || values.kind == Values::Kind::list;
    return fmt::format("{}{}{}", name_of(values.kind), has_words ? " " : "", has_words ? join(values.words, " ") : "");
}

std::string key(const Command& command) { return fmt::format("{} {}", command.object, command.verb); }

std::string verbs() {
    auto text = fmt::format("_bpfwarden_verbs() {{ # of the object $1\n    case $1 in\n    '') echo '{}' ;;\n",
                            fmt::join(first_words(), " "));
    for (const auto& object : all_objects()) {
        std::vector<std::string_view> names;
        for (const auto* command : visible_commands(object.name)) names.push_back(command->verb);
        if (!names.empty()) text += fmt::format("    {}) echo '{}' ;;\n", object.name, fmt::join(names, " "));
    }
    return text + "    esac\n}\n";
}

std::string options() {
    std::string global, everywhere;
    for (const auto& option : global_options()) global += fmt::format(" {}", option.name);
    for (const auto& option : global_options().first(2)) everywhere += fmt::format(" {}", option.name);
    std::string text = "_bpfwarden_options() { # of the command \"$1\"\n    case $1 in\n";
    for (const auto* command : visible_commands()) {
        text += fmt::format("    '{}') echo '", key(*command));
        for (const auto& option : command->options) text += fmt::format("{} ", option.name);
        text += fmt::format("{}' ;;\n", everywhere.substr(1));
    }
    return text + fmt::format("    *) echo '{}' ;;\n    esac\n}}\n", global.substr(1));
}

std::string option_values() {
    std::string text =
        "_bpfwarden_value() { # of the option $2 of the command \"$1\"; nothing: it takes none\n    case \"$1 $2\" "
        "in\n";
    for (const auto* command : visible_commands())
        for (const auto& option : command->options)
            if (!option.value.empty())
                text +=
                    fmt::format("    {}'{} {}') echo '{}' ;;\n",
                                option.letter.empty() ? "" : fmt::format("'{} {}' | ", key(*command), option.letter),
                                key(*command), option.name, offer(values_of(option)));
    return text + "    esac\n}\n";
}

std::string arguments() {
    std::string text = "_bpfwarden_argument() { # number $2, from 0, of the command \"$1\"\n    case \"$1 $2\" in\n";
    for (const auto* command : visible_commands()) {
        unsigned at = 0;
        for (const auto& positional : command->positionals) {
            const auto values = values_of(*command, positional);
            const bool every = positional.most == many && !values.once;
            if (values.kind != Values::Kind::nothing)
                text += fmt::format("    '{} '{}) echo '{}' ;;\n", key(*command), every ? "*" : std::to_string(at),
                                    offer(values));
            ++at;
        }
    }
    return text + "    esac\n}\n";
}

}  // namespace

std::string bash_completions() {
    return fmt::format(
        "# shellcheck shell=bash\n# SPDX-License-Identifier: Apache-2.0\n"
        "# Completions of bpfwarden(1) for bash. Made by `make man` from the command table: do not edit.\n\n"
        "{}\n{}\n{}\n{}{}",
        verbs(), options(), option_values(), arguments(), program);
}

}  // namespace bpfwarden::cli
