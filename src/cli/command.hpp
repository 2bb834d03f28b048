// SPDX-License-Identifier: Apache-2.0
// The command table: what `bpfwarden OBJECT VERB …` can be, once. The parser, --help, the man pages and the shell
// completions are all made from it.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::cli {

struct Option {
    std::string_view name;   // "--user"
    std::string_view value;  // "USER", or empty for a flag
    std::string_view help;
    bool repeated = false;
    bool required = false;
    std::string_view letter = {};  // "-o", the same in short, or empty
};

struct Positional {
    std::string_view name;  // "FILE"
    std::string_view help;
    unsigned least = 1;
    unsigned most = 1;  // many for "FILE…"
};
inline constexpr unsigned many = ~0U;

// What was given on the command line, already checked against the command's table entry.
class Args {
  public:
    bool has(std::string_view option) const { return options.contains(std::string(option)); }
    std::optional<std::string> value(std::string_view option) const;  // the last one given
    std::vector<std::string> values(std::string_view option) const;
    const std::vector<std::string>& positional(std::string_view name) const;
    const std::string& only(std::string_view name) const { return positional(name).front(); }

    bool json = false;  // --json: one document on stdout
    std::map<std::string, std::vector<std::string>, std::less<>> options;
    std::map<std::string, std::vector<std::string>, std::less<>> positionals;
};

struct Command {
    std::string_view object;  // "grant", or empty for a verb used alone ("run")
    std::string_view verb;
    std::string_view summary;  // one line, no full stop
    std::string_view details;  // paragraphs for --help and the man page
    std::vector<Positional> positionals;
    std::vector<Option> options;
    // Prints to stdout what was asked for and returns the exit status; an Error is printed by the caller.
    Result<int> (*run)(const Args&);
    // The exit status of an Error, where the command has its own convention (`run` uses 125).
    int error_status = 0;
    // Everything from the first positional on belongs to another program ("-- CMD ARG…").
    bool passes_rest = false;
    // Left out of --help, the manual and completions: for the build, not for people.
    bool hidden = false;
};

// By its name or its letter; null: it has none such.
const Option* find_option(const Command& command, std::string_view word);

// "grant check", or "run".
std::string full_name(const Command& command);

// What a command's `object` can be.
struct Object {
    std::string_view name;
    std::string_view summary;
};
std::span<const Object> all_objects();

// Each returns the commands of one object; command_table() joins them in the order of the manual.
std::vector<Command> audit_commands();
std::vector<Command> guard_commands();
std::vector<Command> host_commands();
std::vector<Command> grant_commands();
std::vector<Command> filter_commands();
std::vector<Command> policy_commands();
std::vector<Command> session_commands();
std::vector<Command> run_commands();
std::vector<Command> internal_commands();
const std::vector<Command>& command_table();

// Parses argv against the table and runs the command. Returns the exit status.
int dispatch(std::span<char*> argv);

}  // namespace bpfwarden::cli
