// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <exception>

#include "cli/command.hpp"

int main(int argc, char** argv) {
    try {
        return bpfwarden::cli::dispatch({argv, static_cast<std::size_t>(argc)});
    } catch (const std::exception& problem) {
        // Ours throw nothing; a library (or a lack of memory) can.
        std::fprintf(stderr, "bpfwarden: internal error: %s\n", problem.what());
        return 1;
    }
}
