// SPDX-License-Identifier: Apache-2.0
// Objects, tables and inputs for the tests of sources.
#pragma once

#include <gtest/gtest.h>
#include <linux/audit.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "bytecode/interpret.hpp"
#include "filter/action.hpp"
#include "filter/evaluate.hpp"
#include "filter/object.hpp"
#include "unit/filter/random_program.hpp"

namespace bpfwarden::filter {

inline std::vector<std::uint8_t> bytes_of_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file) << path;
    return {std::istreambuf_iterator<char>(file), {}};
}

inline std::vector<std::uint32_t> numbers_below(std::uint32_t limit) {
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t one = 0; one < limit; ++one) numbers.push_back(one);
    return numbers;
}

inline EvaluateOptions small_tables(std::uint32_t limit = 26) {
    auto numbers = numbers_below(limit);
    numbers.push_back(1000);
    auto with_x32 = numbers;
    with_x32.push_back(0x40000000);
    with_x32.push_back(0x40000201);
    EvaluateOptions options;
    options.architectures = {{AUDIT_ARCH_X86_64, "x86_64", with_x32}, {AUDIT_ARCH_I386, "i386", numbers}};
    return options;
}

// How often the function and the interpreter agree on inputs at random; stops at the first difference.
inline std::size_t agreements(const bytecode::Program& program, const Function& function, Random& random,
                              std::size_t count, std::uint64_t numbers) {
    for (std::size_t one = 0; one < count; ++one) {
        Data data = random.data(random.one_in(4) ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64, numbers);
        if (random.one_in(16)) data[Word::nr] = 1000;
        const auto context = context_of(data);
        const auto plain = bytecode::interpret(program, context);
        if (!plain) {
            ADD_FAILURE() << "accepted, and not safe: " << plain.error().what();
            return one;
        }
        const auto expected = normalized(static_cast<std::uint32_t>(*plain));
        if (const auto got = function.evaluate(data); got != expected) {
            ADD_FAILURE() << "nr " << data[Word::nr] << " arch " << data[Word::arch] << " args[0] " << data.arg(0)
                          << " args[1] " << data.arg(1) << ": " << text(got) << ", and the program returns "
                          << text(expected);
            return one;
        }
    }
    return count;
}

}  // namespace bpfwarden::filter
