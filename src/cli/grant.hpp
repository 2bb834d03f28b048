// SPDX-License-Identifier: Apache-2.0
// What the verbs of `bpfwarden grant` share.
#pragma once

#include <string>

#include "cli/command.hpp"
#include "grant/load.hpp"

namespace bpfwarden::cli {

Result<int> grant_check(const Args& args);
Result<int> grant_show(const Args& args);
Result<int> grant_explain(const Args& args);
Result<int> grant_diff(const Args& args);
Result<int> grant_list(const Args& args);
Result<int> grant_init(const Args& args);
Result<int> grant_digest(const Args& args);
Result<int> grant_learn(const Args& args);

// A file that must not exist yet; nothing is left of one that could not be written whole.
Result<> write_new(const std::string& path, std::string_view text);
grant::LoadOptions load_options(const Args& args);
// The grant for a command that needs a valid one: its problems go to stderr and the error is bad_input.
Result<grant::Checked> read_valid(const std::string& what, const Args& args);

}  // namespace bpfwarden::cli
