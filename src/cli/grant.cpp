// SPDX-License-Identifier: Apache-2.0
#include "cli/command.hpp"
namespace bpfwarden::cli {
std::vector<Command> grant_commands() { return {}; }
}  // namespace bpfwarden::cli
