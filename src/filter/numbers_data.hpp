// SPDX-License-Identifier: Apache-2.0
// The tables behind numbers.hpp, by number. x32's are without its bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "filter/numbers.hpp"

namespace bpfwarden::filter {

struct Call {
    std::uint16_t number;
    Kernel since;
    const char* name;
};

extern const Call calls_x86_64[];
extern const Call calls_x32[];
extern const Call calls_i386[];
extern const Call calls_aarch64[];
extern const std::size_t count_x86_64, count_x32, count_i386, count_aarch64;

}  // namespace bpfwarden::filter
