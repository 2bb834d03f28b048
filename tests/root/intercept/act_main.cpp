// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "act.hpp"

int main(int argc, char** argv) {
    using namespace bpfwarden::test;
    const Words words(argv + 1, argv + argc);
    const auto at = words.empty() ? acts().end() : acts().find(words.front());
    if (at == acts().end()) {
        std::fprintf(stderr, "acts: no such act\n");
        return 64;
    }
    const auto said = at->second({words.begin() + 1, words.end()});
    std::fwrite(said.data(), 1, said.size(), stdout);
    std::fflush(stdout);
    // Threads may still be in a call.
    ::_exit(0);
}
