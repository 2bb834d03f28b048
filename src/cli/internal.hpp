// SPDX-License-Identifier: Apache-2.0
// What the hidden object `internal` makes from the command table: manual pages and shell completions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "cli/command.hpp"

namespace bpfwarden::cli {

// "bpfwarden.1", "bpfwarden-run.1", …: the overview, then a page for each verb used alone and for each object.
std::vector<std::string> manual_pages();

// A page: `template_text` (man/fragments/PAGE.roff, written by hand) with its marker lines replaced:
//   .\" @heading            the .TH line
//   .\" @synopsis           how each command of the page is called
//   .\" @commands           each command: what it does, its arguments and options
//   .\" @overview           the objects and their verbs
//   .\" @global-options     the options of every command
//   .\" @exit-status        the exit codes
//   .\" @note VERB [--OPTION] … .\" @end    prose added to that command or option
// An error if a marker or note names what is not there: so the prose cannot outlive the table.
Result<std::string> manual_page(std::string_view page, std::string_view template_text);

// Text for roff: nothing in it is taken for markup, but `…` becomes bold.
std::string roff(std::string_view text);

// What a shell can offer for an option's value or an argument.
struct Values {
    enum class Kind { nothing, grant, file, directory, user, process, word, list, command } kind = Kind::nothing;
    std::vector<std::string> words;  // word: one of them; list: several, with commas
    bool once = false;               // not for what follows, though it is the same argument
};
Values values_of(const Option& option);
Values values_of(const Command& command, const Positional& positional);

std::string bash_completions();
std::string zsh_completions();
std::string fish_completions();

}  // namespace bpfwarden::cli
