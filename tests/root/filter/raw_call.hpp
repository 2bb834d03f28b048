// SPDX-License-Identifier: Apache-2.0
// System calls of x86-64 and of i386 as instructions: any number, all argument registers, and the answer as it is.
#pragma once

#include <array>
#include <cstdint>

namespace bpfwarden::test {

using CallArguments = std::array<std::uint64_t, 6>;

// x32 too: its numbers are those with bit 30. -1 … -4095 is an error.
inline long call_64(std::uint32_t number, const CallArguments& arguments) {
    register std::uint64_t r10 asm("r10") = arguments[3];
    register std::uint64_t r8 asm("r8") = arguments[4];
    register std::uint64_t r9 asm("r9") = arguments[5];
    long answer = static_cast<long>(number);
    asm volatile("syscall"
                 : "+a"(answer)
                 : "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return answer;
}

// Faults where the kernel has no i386. It uses 32 bits of each register, but a filter is shown all 64.
inline long call_32(std::uint32_t number, const CallArguments& arguments) {
    long answer = static_cast<long>(number);
    // rbp holds the last argument; whatever the compiler has there is put aside.
    asm volatile(
        "mov %%rbp, %%r12\n\t"
        "mov %[last], %%rbp\n\t"
        "int $0x80\n\t"
        "mov %%r12, %%rbp"
        : "+a"(answer)
        : "b"(arguments[0]), "c"(arguments[1]), "d"(arguments[2]), "S"(arguments[3]),
          "D"(arguments[4]), [last] "r"(arguments[5])
        : "r8", "r9", "r10", "r11", "r12", "memory");
    return answer;
}

}  // namespace bpfwarden::test
