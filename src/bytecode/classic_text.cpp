// SPDX-License-Identifier: Apache-2.0
#include "bytecode/classic_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace bpfwarden::bytecode {

using namespace classic;

std::string word_name(std::uint32_t offset) {
    if (offset >= data_bytes || offset % 4 != 0) return fmt::format("[{}]", offset);
    if (offset == nr_offset) return "nr";
    if (offset == arch_offset) return "arch";
    const char* half = offset % 8 == 0 ? "low" : "high";
    if (offset < 16) return fmt::format("ip {}", half);
    return fmt::format("args[{}] {}", (offset - 16) / 8, half);
}

static const char* arithmetic_name(unsigned operation) {
    switch (operation) {
        case BPF_ADD:
            return "add";
        case BPF_SUB:
            return "sub";
        case BPF_MUL:
            return "mul";
        case BPF_DIV:
            return "div";
        case BPF_AND:
            return "and";
        case BPF_OR:
            return "or";
        case BPF_XOR:
            return "xor";
        case BPF_LSH:
            return "lsh";
        case BPF_RSH:
            return "rsh";
        default:
            return nullptr;
    }
}
static const char* jump_name(unsigned operation) {
    switch (operation) {
        case BPF_JEQ:
            return "jeq";
        case BPF_JGT:
            return "jgt";
        case BPF_JGE:
            return "jge";
        case BPF_JSET:
            return "jset";
        default:
            return nullptr;
    }
}

std::string assembly(Classic program, std::size_t at) {
    const auto& insn = program[at];
    const auto operand = [&] { return takes_x(insn) ? std::string("x") : fmt::format("#{:#x}", insn.k); };
    switch (insn.code) {
        case load_word:
            return fmt::format("ld [{}]", insn.k);
        case load_constant:
            return fmt::format("ld #{:#x}", insn.k);
        case load_length:
            return "ld #len";
        case load_scratch:
            return fmt::format("ld M[{}]", insn.k);
        case load_x_constant:
            return fmt::format("ldx #{:#x}", insn.k);
        case load_x_length:
            return "ldx #len";
        case load_x_scratch:
            return fmt::format("ldx M[{}]", insn.k);
        case store:
            return fmt::format("st M[{}]", insn.k);
        case store_x:
            return fmt::format("stx M[{}]", insn.k);
        case to_x:
            return "tax";
        case from_x:
            return "txa";
        case negate:
            return "neg";
        case jump:
            return fmt::format("jmp {}", at + 1 + insn.k);
        case return_constant:
            return fmt::format("ret #{:#x}", insn.k);
        case return_a:
            return "ret a";
        default:
            break;
    }
    const bool known_bits = (insn.code & ~(0xf8U | 0x07U)) == 0;
    if (known_bits && class_of(insn) == BPF_ALU)
        if (const char* name = arithmetic_name(operation_of(insn))) return fmt::format("{} {}", name, operand());
    if (known_bits && class_of(insn) == BPF_JMP)
        if (const char* name = jump_name(operation_of(insn)))
            return fmt::format("{} {}, {}, {}", name, operand(), at + 1 + insn.jt, at + 1 + insn.jf);
    return fmt::format(".insn {:#x}, {}, {}, {:#x}", insn.code, insn.jt, insn.jf, insn.k);
}

// What is known of an instruction by itself, and what the caller adds.
static std::string remark_at(Classic program, std::size_t at, const Remark& remark) {
    if (remark)
        if (auto text = remark(at); !text.empty()) return text;
    if (program[at].code == load_word) return word_name(program[at].k);
    return {};
}

std::string as_assembly(Classic program, const Remark& remark) {
    std::string text;
    for (std::size_t at = 0; at < program.size(); ++at) {
        const auto beside = remark_at(program, at, remark);
        if (beside.empty())
            fmt::format_to(std::back_inserter(text), "{:4}: {}\n", at, assembly(program, at));
        else
            fmt::format_to(std::back_inserter(text), "{:4}: {:<32} ; {}\n", at, assembly(program, at), beside);
    }
    return text;
}

std::string as_c(Classic program, std::string_view name, const Remark& remark) {
    auto text = fmt::format("static const struct sock_filter {}[{}] = {{\n", name, program.size());
    for (std::size_t at = 0; at < program.size(); ++at) {
        const auto& insn = program[at];
        const auto beside = remark_at(program, at, remark);
        fmt::format_to(std::back_inserter(text), "    {{{:#04x}, {:3}, {:3}, {:#010x}}},  // {:3}: {}{}{}\n", insn.code,
                       insn.jt, insn.jf, insn.k, at, assembly(program, at), beside.empty() ? "" : "; ", beside);
    }
    return text + "};\n";
}

std::string as_json(Classic program) {
    std::string text = "[";
    for (const auto& insn : program)
        fmt::format_to(std::back_inserter(text), "{}{{\"code\":{},\"jt\":{},\"jf\":{},\"k\":{}}}",
                       text.size() > 1 ? ",\n " : "", insn.code, insn.jt, insn.jf, insn.k);
    return text + "]\n";
}

std::string as_dot(Classic program, const Remark& remark) {
    // Blocks begin where jumps go to, and after what does not just go on.
    std::vector<bool> begins(program.size() + 1, false);
    begins[0] = true;
    const auto mark = [&](std::size_t at) { begins[std::min(at, program.size())] = true; };
    for (std::size_t at = 0; at < program.size(); ++at) {
        const auto& insn = program[at];
        if (is_conditional(insn)) {
            mark(at + 1 + insn.jt);
            mark(at + 1 + insn.jf);
        } else if (insn.code == jump) {
            mark(at + 1 + std::size_t{insn.k});
        }
        if (class_of(insn) == BPF_JMP || is_return(insn)) mark(at + 1);
    }
    std::string text = "digraph filter {\n  node [shape=box, fontname=monospace];\n";
    std::size_t block = 0;
    const auto edge = [&](std::size_t to, const char* label) {
        fmt::format_to(std::back_inserter(text), "  b{} -> b{}{};\n", block, to, label);
    };
    for (std::size_t at = 0; at < program.size(); ++at) {
        if (begins[at]) {
            block = at;
            fmt::format_to(std::back_inserter(text), "  b{} [label=\"", block);
        }
        const auto beside = remark_at(program, at, remark);
        std::string line = fmt::format("{}: {}", at, assembly(program, at));
        if (!beside.empty()) line += " ; " + beside;
        for (const char c : line) {
            if (c == '"' || c == '\\') text += '\\';
            text += c;
        }
        text += "\\l";
        const bool ends = at + 1 == program.size() || begins[at + 1];
        if (!ends) continue;
        text += "\"];\n";
        const auto& insn = program[at];
        if (is_conditional(insn)) {
            edge(at + 1 + insn.jt, " [label=yes]");
            edge(at + 1 + insn.jf, " [label=no]");
        } else if (insn.code == jump) {
            edge(at + 1 + std::size_t{insn.k}, "");
        } else if (!is_return(insn) && at + 1 < program.size()) {
            edge(at + 1, "");
        }
    }
    return text + "}\n";
}

}  // namespace bpfwarden::bytecode
