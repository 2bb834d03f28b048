// SPDX-License-Identifier: Apache-2.0
// What is wrong with a command line, said better than a parser can: it knows the table.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "cli/command.hpp"

namespace bpfwarden::cli {

// For `words` (after the verb) that the parser refused with `parser_says`.
Error explain_usage(const Command& command, std::span<const std::string> words, const std::string& parser_says);

// "--jsno" where none of `known` is meant. `whose`: "bpfwarden grant check", for the hint.
Error unknown_option(std::string_view option, std::span<const std::string_view> known, std::string_view whose);
// A first word (`object` empty) or a second one that is in no table entry.
Error unknown_command(std::string_view object, std::string_view word);
// Nothing follows `bpfwarden`, or the object.
Error no_command(std::string_view object);

}  // namespace bpfwarden::cli
