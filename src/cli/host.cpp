// SPDX-License-Identifier: Apache-2.0
#include "cli/command.hpp"
namespace bpfwarden::cli {
std::vector<Command> host_commands() { return {}; }
}  // namespace bpfwarden::cli
