// SPDX-License-Identifier: Apache-2.0
#include "bytecode/classic.hpp"

namespace bpfwarden::bytecode {

using namespace classic;

unsigned converted_length(const sock_filter& insn) {
    if (insn.code == return_constant) return 2;              // move, exit
    if (insn.code == (BPF_ALU | BPF_DIV | BPF_X)) return 5;  // the test for zero, and what it returns then
    if (!is_conditional(insn)) return 1;
    // eBPF's constants have a sign: one with the uppermost bit goes into a register first.
    const unsigned constant = !takes_x(insn) && (insn.k >> 31) != 0 ? 1 : 0;
    return 1 + constant + (needs_two_jumps(insn) ? 1 : 0);
}

std::size_t converted_length(Classic program) {
    std::size_t length = converted_prologue;
    for (const auto& insn : program) length += converted_length(insn);
    return length;
}

}  // namespace bpfwarden::bytecode
