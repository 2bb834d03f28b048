// SPDX-License-Identifier: Apache-2.0
// eBPF programs and inputs made at random, from a seed: of everything that a filter may use, and mostly such that they
// are accepted.
#pragma once

#include <linux/bpf.h>
#include <linux/seccomp.h>

#include <array>
#include <bit>
#include <cstdint>
#include <random>
#include <vector>

#include "bytecode/program.hpp"
#include "filter/data.hpp"
#include "unit/bytecode/code.hpp"

namespace bpfwarden::filter {

inline std::array<std::uint8_t, 64> context_of(const Data& data) {
    return std::bit_cast<std::array<std::uint8_t, 64>>(data.words);
}

class Random {
  public:
    explicit Random(std::uint64_t seed) : engine_(seed) {}
    std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }
    bool one_in(std::uint64_t count) { return below(count) == 0; }
    std::uint64_t bits() { return engine_(); }

    // Where computations with numbers of some width turn.
    std::uint64_t number() {
        static constexpr std::uint64_t turns[] = {0,          1,          2,      7,          8,          31,
                                                  32,         63,         64,     0x7f,       0x80,       0xff,
                                                  0x7fff,     0x8000,     0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
                                                  1ULL << 32, 1ULL << 63, ~0ULL,  ~0ULL << 31};
        switch (below(4)) {
            case 0:
                return turns[below(std::size(turns))];
            case 1:
                return turns[below(std::size(turns))] + below(5) - 2;
            case 2:
                return below(20);
            default:
                return bits() >> below(64);
        }
    }

    Data data(std::uint32_t arch, std::uint64_t numbers) {
        Data data;
        data[Word::nr] = static_cast<std::uint32_t>(one_in(3) ? number() : below(numbers));
        data[Word::arch] = one_in(8) ? static_cast<std::uint32_t>(number()) : arch;
        for (unsigned at = 1; at < 8; ++at) {
            const std::uint64_t value = number();
            data.words[2 * at] = static_cast<std::uint32_t>(value);
            data.words[2 * at + 1] = static_cast<std::uint32_t>(value >> 32);
        }
        return data;
    }

  private:
    std::mt19937_64 engine_;
};

struct ProgramWish {
    bool maps = true;  // also constant data
    std::size_t length = 24;
};

class ProgramMaker {
  public:
    ProgramMaker(Random& random, ProgramWish wish) : random_(random), wish_(wish) {}

    bytecode::Program make() {
        if (wish_.maps) add_data();
        put(bytecode::insn(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0));
        for (unsigned one : {0U, 2U, 3U, 4U, 5U, 7U, 8U}) load_context(one);
        body(wish_.length);
        finish();
        if (!calls_.empty()) add_function();
        return std::move(program_);
    }

  private:
    using Insn = bpf_insn;
    void put(Insn insn) { program_.code.push_back(insn); }
    unsigned any() {
        static constexpr unsigned numbers[] = {0, 2, 3, 4, 5, 7, 8};
        return numbers[random_.below(std::size(numbers))];
    }
    std::int32_t constant() { return static_cast<std::int32_t>(random_.number()); }
    template <std::size_t n>
    unsigned of(const int (&all)[n]) {
        return static_cast<unsigned>(all[random_.below(n)]);
    }

    void load_context(unsigned to) {
        const unsigned size = of({BPF_B, BPF_H, BPF_W, BPF_DW, BPF_DW, BPF_W});
        const unsigned bytes = size == BPF_B ? 1 : size == BPF_H ? 2 : size == BPF_W ? 4 : 8;
        const bool extends = size != BPF_DW && random_.one_in(4);
        const auto mode = static_cast<unsigned>(extends ? BPF_MEMSX : BPF_MEM);
        put(bytecode::insn(BPF_LDX | mode | size, to, 6, static_cast<int>(bytes * random_.below(64 / bytes)), 0));
    }

    void add_data() {
        auto& bytes = program_.read_only.emplace_back(bytecode::ReadOnly{".rodata", {}}).bytes;
        for (int at = 0; at < 64; ++at) bytes.push_back(static_cast<std::uint8_t>(random_.number()));
        using bytecode::MapKind;
        for (const MapKind kind : {MapKind::hash, MapKind::array, MapKind::lpm_trie}) {
            auto& map = program_.maps.emplace_back();
            map = {.name = "m", .kind = kind, .key_size = kind == MapKind::lpm_trie ? 8U : 4U, .value_size = 4};
            for (std::uint64_t at = 0; at < 1 + random_.below(8); ++at) {
                bytecode::Bytes key = bytecode::bytes_of(kind == MapKind::array ? at : random_.number(), 4);
                if (kind == MapKind::lpm_trie) {
                    const auto length = bytecode::bytes_of(random_.below(33), 4);
                    key.insert(key.begin(), length.begin(), length.end());
                }
                // A kernel's map has no key twice, and a trie no prefix.
                const auto same = kind == MapKind::array ? std::nullopt : map.find(key);
                const auto length = [](const bytecode::Bytes& of) {
                    return bytecode::number_in(std::span(of).first(4));
                };
                if (!same || (kind == MapKind::lpm_trie && length(map.entries[*same].key) != length(key)))
                    map.entries.push_back({key, bytecode::bytes_of(random_.below(4), 4)});
            }
        }
    }

    void arithmetic() {
        const unsigned width = of({BPF_ALU, BPF_ALU64});
        unsigned op = of({BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_MOD, BPF_XOR,
                          BPF_ARSH, BPF_MOV, BPF_MOV, BPF_NEG, BPF_END});
        const unsigned to = any();
        if (op == BPF_NEG) return put(bytecode::insn(width | BPF_NEG, to, 0, 0, 0));
        if (op == BPF_END) {
            const unsigned code =
                of({BPF_ALU | BPF_END | BPF_TO_LE, BPF_ALU | BPF_END | BPF_TO_BE, BPF_ALU64 | BPF_END | BPF_TO_LE});
            return put(bytecode::insn(code, to, 0, 0, static_cast<int>(of({16, 32, 64}))));
        }
        // 64-bit division by what is not constant is refused.
        const bool divides = op == BPF_DIV || op == BPF_MOD;
        const bool with_register = random_.one_in(2) && !(divides && width == BPF_ALU64);
        int off = 0;
        if (divides && random_.one_in(2)) off = 1;
        if (op == BPF_MOV && with_register && random_.one_in(3))
            off = static_cast<int>(width == BPF_ALU64 ? of({8, 16, 32}) : of({8, 16}));
        std::int32_t imm = constant();
        // Multiplied words are hard for whoever decides about them, not for us.
        if (op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH) imm &= width == BPF_ALU ? 31 : 63;
        if (divides && imm == 0) imm = 3;  // the kernel refuses it
        if (with_register)
            put(bytecode::insn(width | op | BPF_X, to, any(), off, 0));
        else
            put(bytecode::insn(width | op | BPF_K, to, 0, off, imm));
    }

    void memory() {
        const unsigned size = of({BPF_B, BPF_H, BPF_W, BPF_DW});
        const int bytes = size == BPF_B ? 1 : size == BPF_H ? 2 : size == BPF_W ? 4 : 8;
        const int at = -bytes * static_cast<int>(1 + random_.below(16 / static_cast<unsigned>(bytes)));
        if (!stack_is_set_) {
            for (const int slot : {-8, -16}) put(bytecode::insn(BPF_STX | BPF_MEM | BPF_DW, 10, any(), slot, 0));
            stack_is_set_ = true;
        }
        switch (random_.below(3)) {
            case 0:
                return put(bytecode::insn(BPF_STX | BPF_MEM | size, 10, any(), at, 0));
            case 1:
                return put(bytecode::insn(BPF_ST | BPF_MEM | size, 10, 0, at, constant()));
            default:
                return put(bytecode::insn(BPF_LDX | BPF_MEM | size, any(), 10, at, 0));
        }
    }

    void table() {
        // r9 = constant data + (some number & 15) * 4
        put(bytecode::insn(BPF_ALU64 | BPF_MOV | BPF_X, 9, any(), 0, 0));
        put(bytecode::insn(BPF_ALU64 | BPF_AND | BPF_K, 9, 0, 0, 15));
        put(bytecode::insn(BPF_ALU64 | BPF_LSH | BPF_K, 9, 0, 0, 2));
        put(bytecode::insn(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_VALUE, 0, 0));
        put(bytecode::insn(0, 0, 0, 0, 0));
        put(bytecode::insn(BPF_ALU64 | BPF_ADD | BPF_X, 9, 1, 0, 0));
        put(bytecode::insn(BPF_LDX | BPF_MEM | of({BPF_B, BPF_H, BPF_W}), any(), 9, 0, 0));
    }

    void look_up() {
        const auto which = random_.below(program_.maps.size());
        const bool trie = program_.maps[which].kind == bytecode::MapKind::lpm_trie;
        const int at = trie ? -24 : -20;
        put(bytecode::insn(BPF_STX | BPF_MEM | BPF_W, 10, any(), -20, 0));
        if (trie) put(bytecode::insn(BPF_ST | BPF_MEM | BPF_W, 10, 0, -24, static_cast<int>(random_.below(35))));
        put(bytecode::insn(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0));
        put(bytecode::insn(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, at));
        put(bytecode::insn(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, static_cast<int>(which)));
        put(bytecode::insn(0, 0, 0, 0, 0));
        put(bytecode::call(BPF_FUNC_map_lookup_elem));
        put(bytecode::insn(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1, 0));
        put(bytecode::insn(BPF_LDX | BPF_MEM | BPF_W, 0, 0, 0, 0));
        for (const unsigned lost : {2U, 3U, 4U, 5U}) load_context(lost);
    }

    void call_function() {
        put(bytecode::insn(BPF_ALU64 | BPF_MOV | BPF_X, 1, any(), 0, 0));
        calls_.push_back(program_.code.size());
        put(bytecode::call_own(0));
        for (const unsigned lost : {2U, 3U, 4U, 5U}) load_context(lost);
    }

    void add_function() {
        const auto start = program_.code.size();
        for (const auto at : calls_) program_.code[at].imm = static_cast<int>(start - at - 1);
        put(bytecode::insn(BPF_ALU64 | BPF_MOV | BPF_X, 0, 1, 0, 0));
        put(bytecode::insn(BPF_STX | BPF_MEM | BPF_DW, 10, 2, -8, 0));
        put(bytecode::insn(BPF_JMP | of({BPF_JGT, BPF_JSLT, BPF_JSET}) | BPF_X, 1, 2, 2, 0));
        put(bytecode::insn(BPF_ALU64 | BPF_XOR | BPF_K, 0, 0, 0, constant()));
        put(bytecode::leave());
        put(bytecode::insn(BPF_LDX | BPF_MEM | BPF_W, 0, 10, -4, 0));
        put(bytecode::leave());
    }

    void branch(std::size_t left) {
        const unsigned width = of({BPF_JMP, BPF_JMP32});
        const unsigned op = of(
            {BPF_JEQ, BPF_JNE, BPF_JGT, BPF_JGE, BPF_JLT, BPF_JLE, BPF_JSGT, BPF_JSGE, BPF_JSLT, BPF_JSLE, BPF_JSET});
        const auto at = program_.code.size();
        if (random_.one_in(3))
            put(bytecode::insn(width | op | BPF_X, any(), any(), 0, 0));
        else
            put(bytecode::insn(width | op | BPF_K, any(), 0, 0, constant()));
        const bool stack_was_set = stack_is_set_;
        body(std::min<std::size_t>(left, 1 + random_.below(6)));
        stack_is_set_ = stack_was_set;
        program_.code[at].off = static_cast<__s16>(program_.code.size() - at - 1);
    }

    void loop() {
        // r9 counts
        put(bytecode::insn(BPF_ALU64 | BPF_MOV | BPF_K, 9, 0, 0, 0));
        const auto start = program_.code.size();
        for (std::uint64_t one = 0; one < 1 + random_.below(3); ++one) arithmetic();
        put(bytecode::insn(BPF_ALU64 | BPF_ADD | BPF_K, 9, 0, 0, 1));
        put(bytecode::insn(BPF_JMP | BPF_JLT | BPF_K, 9, 0, 0, static_cast<int>(1 + random_.below(4))));
        program_.code.back().off = static_cast<__s16>(start - program_.code.size());
    }

    void body(std::size_t length) {
        for (std::size_t one = 0; one < length; ++one) switch (random_.below(12)) {
                case 0:
                case 1:
                    branch(length - one);
                    break;
                case 2:
                case 3:
                    memory();
                    break;
                case 4:
                    if (wish_.maps) table();
                    break;
                case 5:
                    if (wish_.maps) look_up();
                    break;
                case 6:
                    call_function();
                    break;
                case 7:
                    loop();
                    break;
                case 8:
                    put(bytecode::insn(BPF_LD | BPF_IMM | BPF_DW, any(), 0, 0, constant()));
                    put(bytecode::insn(0, 0, 0, 0, constant()));
                    break;
                default:
                    arithmetic();
            }
    }

    void finish() {
        const unsigned result = any();
        if (result != 0) put(bytecode::insn(BPF_ALU64 | BPF_MOV | BPF_X, 0, result, 0, 0));
        if (random_.one_in(3)) {
            put(bytecode::insn(BPF_JMP | of({BPF_JSGT, BPF_JGT, BPF_JSET}) | BPF_K, 0, 0, 2, constant()));
            put(bytecode::insn(BPF_ALU | BPF_MOV | BPF_K, 0, 0, 0, SECCOMP_RET_ALLOW));
            put(bytecode::leave());
            put(bytecode::insn(BPF_ALU | BPF_MOV | BPF_K, 0, 0, 0, SECCOMP_RET_ERRNO | 1));
        } else {
            put(bytecode::insn(BPF_ALU | BPF_AND | BPF_K, 0, 0, 0, static_cast<int>(0xffffU >> random_.below(14))));
            put(bytecode::insn(BPF_ALU | BPF_OR | BPF_K, 0, 0, 0,
                               static_cast<int>(of({SECCOMP_RET_ERRNO, SECCOMP_RET_TRAP}))));
        }
        put(bytecode::leave());
    }

    Random& random_;
    ProgramWish wish_;
    bytecode::Program program_;
    std::vector<std::size_t> calls_;
    bool stack_is_set_ = false;
};

}  // namespace bpfwarden::filter
