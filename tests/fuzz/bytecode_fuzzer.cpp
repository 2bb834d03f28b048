// SPDX-License-Identifier: Apache-2.0
// Any bytes as instructions: read, put into canonical form, rewritten and read again.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "fuzz/bytecode_fuzz.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (const auto broken = bpfwarden::bytecode::broken_invariant(std::as_bytes(std::span(data, size)));
        !broken.empty()) {
        std::fprintf(stderr, "broken: %s\n", broken.c_str());
        std::abort();
    }
    return 0;
}
