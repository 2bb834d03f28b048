// SPDX-License-Identifier: Apache-2.0
#include "cli/command.hpp"

namespace bpfwarden::cli {

const std::vector<Command>& command_table() {
    static const std::vector<Command> table = [] {
        std::vector<Command> all;
        for (auto part : {run_commands(), grant_commands(), host_commands()})
            for (auto& command : part) all.push_back(std::move(command));
        return all;
    }();
    return table;
}

}  // namespace bpfwarden::cli
