// SPDX-License-Identifier: Apache-2.0
#include "bytecode/classic.hpp"

namespace bpfwarden::bytecode {

using namespace classic;

namespace {

// DIV by zero is for the caller. Amounts of shifts that are too large are cut, as the eBPF does that it becomes.
std::uint32_t compute(unsigned operation, std::uint32_t a, std::uint32_t b) {
    switch (operation) {
        case BPF_ADD:
            return a + b;
        case BPF_SUB:
            return a - b;
        case BPF_MUL:
            return a * b;
        case BPF_DIV:
            return a / b;
        case BPF_AND:
            return a & b;
        case BPF_OR:
            return a | b;
        case BPF_XOR:
            return a ^ b;
        case BPF_LSH:
            return a << (b & 31);
        case BPF_RSH:
            return a >> (b & 31);
        default:  // BPF_NEG
            return 0 - a;
    }
}

bool holds(unsigned operation, std::uint32_t a, std::uint32_t b) {
    switch (operation) {
        case BPF_JEQ:
            return a == b;
        case BPF_JGT:
            return a > b;
        case BPF_JGE:
            return a >= b;
        default:  // BPF_JSET
            return (a & b) != 0;
    }
}

unsigned converted_steps(const sock_filter& insn, bool taken) {
    return converted_length(insn) - (taken && needs_two_jumps(insn) ? 1 : 0);
}

}  // namespace

Outcome run(Classic program, Words words, std::vector<std::uint32_t>* path) {
    std::uint32_t a = 0, x = 0;
    std::array<std::uint32_t, scratch_words> scratch{};
    Outcome outcome{.converted = converted_prologue};
    for (std::size_t at = 0;; ++at) {
        const auto& insn = program[at];
        ++outcome.executed;
        if (path != nullptr) path->push_back(static_cast<std::uint32_t>(at));
        const std::uint32_t operand = takes_x(insn) ? x : insn.k;
        if (is_conditional(insn)) {
            const bool taken = holds(operation_of(insn), a, operand);
            outcome.converted += converted_steps(insn, taken);
            at += taken ? insn.jt : insn.jf;
            continue;
        }
        if (insn.code == (BPF_ALU | BPF_DIV | BPF_X)) {
            // The whole filter returns 0, which is KILL_THREAD.
            if (x == 0) {
                outcome.converted += 4;
                return outcome;
            }
            a /= x;
            outcome.converted += 3;
            continue;
        }
        outcome.converted += converted_length(insn);
        switch (insn.code) {
            case load_word:
                a = words[insn.k / 4];
                break;
            case load_constant:
                a = insn.k;
                break;
            case load_length:
                a = data_bytes;
                break;
            case load_scratch:
                a = scratch[insn.k];
                break;
            case load_x_constant:
                x = insn.k;
                break;
            case load_x_length:
                x = data_bytes;
                break;
            case load_x_scratch:
                x = scratch[insn.k];
                break;
            case store:
                scratch[insn.k] = a;
                break;
            case store_x:
                scratch[insn.k] = x;
                break;
            case to_x:
                x = a;
                break;
            case from_x:
                a = x;
                break;
            case jump:
                at += insn.k;
                break;
            case return_constant:
                outcome.result = insn.k;
                return outcome;
            case return_a:
                outcome.result = a;
                return outcome;
            default:
                a = compute(operation_of(insn), a, operand);
                break;
        }
    }
}

}  // namespace bpfwarden::bytecode
