// SPDX-License-Identifier: Apache-2.0
// What --help prints, made from the command table.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.hpp"

namespace bpfwarden::cli {

std::string help();                         // bpfwarden --help
std::string help(std::string_view object);  // bpfwarden grant --help
std::string help(const Command& command);   // bpfwarden grant check --help
std::string help_on_everything();           // bpfwarden --help-all

// Options that every command takes, told once.
std::span<const Option> global_options();

// The commands that people see: all, or those of one object.
std::vector<const Command*> visible_commands();
std::vector<const Command*> visible_commands(std::string_view object);
// What can follow `bpfwarden`: verbs used alone, and objects.
std::vector<std::string_view> first_words();

struct ExitCode {
    int code;
    std::string_view meaning;
};
std::span<const ExitCode> exit_codes();

// The parts of a command's synopsis: "[--root DIR]", "FILE…".
std::vector<std::string> synopsis(const Command& command);
// "a, b and c".
std::string in_words(std::span<const std::string_view> names);

}  // namespace bpfwarden::cli
