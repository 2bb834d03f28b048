// SPDX-License-Identifier: Apache-2.0
// Any bytes as a filter: read, verified, evaluated, and what is accepted run on the interpreter.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "fuzz/filter_elf_fuzz.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (const auto broken = bpfwarden::filter::broken_invariant({data, size}); !broken.empty()) {
        std::fprintf(stderr, "broken: %s\n", broken.c_str());
        std::abort();
    }
    return 0;
}
