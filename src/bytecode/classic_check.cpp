// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cerrno>

#include "bytecode/classic.hpp"

namespace bpfwarden::bytecode {

using namespace classic;

namespace {

enum class Shape : std::uint8_t { refused, plain, word, scratch, amount, divisor, jump, conditional, leave };

// The opcodes that both checks take. What socket filters have and seccomp not: MOD, loads of bytes and half words and
// relative to X, ancillary data; RET X is in neither.
constexpr std::array<Shape, 256> make_shapes() {
    std::array<Shape, 256> shapes{};
    const auto put = [&](int code, Shape shape) { shapes[static_cast<std::size_t>(code)] = shape; };
    put(load_word, Shape::word);
    for (const int code : {load_constant, load_length, load_x_constant, load_x_length, to_x, from_x, negate})
        put(code, Shape::plain);
    for (const int code : {load_scratch, load_x_scratch, store, store_x}) put(code, Shape::scratch);
    for (const int source : {BPF_K, BPF_X}) {
        for (const int op : {BPF_ADD, BPF_SUB, BPF_MUL, BPF_AND, BPF_OR, BPF_XOR})
            put(BPF_ALU | op | source, Shape::plain);
        put(BPF_ALU | BPF_DIV | source, source == BPF_K ? Shape::divisor : Shape::plain);
        for (const int op : {BPF_LSH, BPF_RSH})
            put(BPF_ALU | op | source, source == BPF_K ? Shape::amount : Shape::plain);
        for (const int op : {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET}) put(BPF_JMP | op | source, Shape::conditional);
    }
    put(classic::jump, Shape::jump);
    put(return_constant, Shape::leave);
    put(return_a, Shape::leave);
    return shapes;
}
constexpr std::array<Shape, 256> shapes = make_shapes();

Failure refuse(std::size_t at, std::string_view flaw) {
    return fail(Error::from_errno(EINVAL, fmt::format("instruction {}: {}", at, flaw)).with_code(Code::bad_input));
}

// Each by itself.
const char* misuse(Classic program, std::size_t at) {
    const auto& insn = program[at];
    const std::size_t after = program.size() - at - 1;  // instructions that follow
    switch (insn.code < shapes.size() ? shapes[insn.code] : Shape::refused) {
        case Shape::refused:
            return "seccomp has no such opcode";
        case Shape::word:
            if (insn.k >= data_bytes) return "a load from outside struct seccomp_data";
            if (insn.k % 4 != 0) return "a load from an offset that is not a multiple of four";
            return nullptr;
        case Shape::scratch:
            return insn.k >= scratch_words ? "there are 16 scratch words" : nullptr;
        case Shape::divisor:
            return insn.k == 0 ? "a division by zero" : nullptr;
        case Shape::amount:
            return insn.k >= 32 ? "a shift by more than 31" : nullptr;
        case Shape::jump:
            return insn.k >= after ? "a jump out of the program" : nullptr;
        case Shape::conditional:
            return insn.jt >= after || insn.jf >= after ? "a jump out of the program" : nullptr;
        case Shape::plain:
        case Shape::leave:
            return nullptr;
    }
    return nullptr;
}

// Every scratch word is written before it is read, the way the kernel sees it (check_load_and_stores): what stands
// after a return goes on with what was written before that return, though nothing comes from there.
Result<> check_scratch(Classic program) {
    std::vector<std::uint16_t> at_target(program.size(), 0xffff);
    std::uint16_t written = 0;
    for (std::size_t at = 0; at < program.size(); ++at) {
        const auto& insn = program[at];
        written &= at_target[at];
        const auto jumps_to = [&](std::size_t distance) { at_target[at + 1 + distance] &= written; };
        switch (insn.code < shapes.size() ? shapes[insn.code] : Shape::refused) {
            case Shape::scratch: {
                const auto bit = static_cast<std::uint16_t>(1U << insn.k);
                if (class_of(insn) == BPF_ST || class_of(insn) == BPF_STX)
                    written |= bit;
                else if ((written & bit) == 0)
                    return refuse(at, fmt::format("scratch word {} may not have been written before", insn.k));
                break;
            }
            case Shape::jump:
                jumps_to(insn.k);
                written = 0xffff;
                break;
            case Shape::conditional:
                jumps_to(insn.jt);
                jumps_to(insn.jf);
                written = 0xffff;
                break;
            default:
                break;
        }
    }
    return {};
}

}  // namespace

Result<> check(Classic program) {
    if (program.empty() || program.size() > max_instructions)
        return fail(Error::from_errno(EINVAL, fmt::format("a filter of {} instructions", program.size()))
                        .because("the kernel takes 1 to 4096")
                        .with_code(Code::bad_input));
    for (std::size_t at = 0; at < program.size(); ++at)
        if (const char* flaw = misuse(program, at)) return refuse(at, flaw);
    if (!is_return(program.back())) return refuse(program.size() - 1, "the last one is no return");
    return check_scratch(program);
}

}  // namespace bpfwarden::bytecode
