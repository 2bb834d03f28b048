// SPDX-License-Identifier: Apache-2.0
// Any bytes as a signature of a program, and as an ELF file with functions.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "fuzz/parser_fuzz.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto content = std::as_bytes(std::span(data, size));
    if (const auto broken = bpfwarden::test::broken_parser(content); !broken.empty()) {
        std::fprintf(stderr, "broken: %s\n", broken.c_str());
        std::abort();
    }
    return 0;
}
