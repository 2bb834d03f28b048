// SPDX-License-Identifier: Apache-2.0
// The state of an eBPF program whose input is not known, and what one instruction does to it. It is the verifier too:
// what is not safe for every input is refused here.
#pragma once

#include <linux/bpf.h>

#include <array>
#include <cstdint>
#include <vector>

#include "base/result.hpp"
#include "bytecode/program.hpp"
#include "filter/reason.hpp"
#include "filter/term.hpp"

namespace bpfwarden::filter {

enum class ValueKind : std::uint8_t {
    unset,
    number,
    missing,  // the 0 that a lookup returns; `object` is the map
    context,
    stack,      // `object` is the frame
    read_only,  // `object` is the section
    map,
    map_value,  // `object` is the map
};

// A number, or a pointer to byte `term` of some object. Of a stack that is counted from its end.
struct Value {
    ValueKind kind = ValueKind::unset;
    std::uint32_t object = 0;
    Term term = {};
    Term entry = {};  // of map_value
    bool operator==(const Value&) const = default;

    bool is_number() const { return kind == ValueKind::number || kind == ValueKind::missing; }
    bool is_pointer() const { return kind >= ValueKind::context; }
    bool same_object(const Value& other) const {
        return kind == other.kind && object == other.object && entry == other.entry;
    }
};

struct Slot {
    std::int32_t at = 0;
    std::int32_t size = 0;
    Value value;
    bool operator==(const Slot&) const = default;
};

struct Frame {
    std::uint32_t return_to = 0;
    bool lends_stack = false;    // the function that it called got a pointer to some stack
    std::array<Value, 4> saved;  // r6 to r9 of the caller
    std::vector<Slot> stack;     // what was written, ascending; they do not overlap
};

inline constexpr std::size_t most_frames = 8;  // as the kernel has it

struct State {
    std::uint32_t at = 0;
    std::array<Value, 11> registers;
    std::vector<Frame> frames;
    Facts facts;

    void point_to_stack(Term zero) {
        registers[10] = {
            .kind = ValueKind::stack, .object = static_cast<std::uint32_t>(frames.size() - 1), .term = zero};
    }
};

// Tables of more entries are refused: they do not fit into a filter anyway.
inline constexpr std::uint64_t most_entries = 4096;

class Machine {
  public:
    Machine(const bytecode::Program& program, Terms& terms, Reasoner& reasoner);

    // What the words of seccomp_data are: constants where they are given.
    std::array<Term, word_count> words;

    State start() const;
    Value number(std::uint64_t value) const { return {.kind = ValueKind::number, .term = terms_.constant(value)}; }

    // Arithmetic, moves, loads, stores, 64-bit loads: what neither branches nor calls. Goes on to the next.
    Result<> compute(State& state, const bpf_insn& insn);
    // When a conditional jump is taken, and what is compared.
    struct Comparison {
        Condition condition;
        Term a, b;
    };
    Result<Comparison> compare(const State& state, const bpf_insn& insn);
    // Adds what follows for the operands themselves: the condition may have been brought into terms of their parts.
    // False: it cannot be.
    bool assume(Facts& facts, const bpf_insn& insn, const Comparison& comparison, bool taken);
    Result<Value> load(const State& state, const Value& pointer, std::int64_t offset, std::uint32_t size);

  private:
    Result<Value> arithmetic(const State& state, const bpf_insn& insn);
    Result<Value> with_pointer(const bpf_insn& insn, const Value& a, const Value& b);
    Result<Term> divide(const State& state, TermKind kind, Term a, Term b);
    Result<Value> move(const State& state, const bpf_insn& insn);
    Result<Value> wide(const State& state, const bpf_insn& insn);
    Value swap(const bpf_insn& insn, Term a);
    Result<> store(State& state, const bpf_insn& insn);

    Result<Value> load_context(const State& state, Term offset, std::uint32_t size);
    Result<Value> load_stack(const State& state, const Value& pointer, Term offset, std::uint32_t size);
    Result<Value> load_bytes(const State& state, std::span<const std::uint8_t> bytes, std::string_view name,
                             Term offset, std::uint32_t size);
    Result<Term> pick(const State& state, std::span<const std::uint8_t> bytes, Term offset, std::uint32_t size);
    Result<Term> entry_of(const State& state, std::span<const std::uint8_t> bytes, std::uint64_t base,
                          std::uint64_t stride, Term index, std::uint32_t size);
    Result<Value> read(const State& state, unsigned which) const;
    Result<Value> source(const State& state, const bpf_insn& insn) const;
    std::string name_of(const Value& value) const;

    Term binary(TermKind kind, Term a, Term b) { return terms_.binary(kind, a, b); }
    Term constant(std::uint64_t value) const { return terms_.constant(value); }
    Term low(Term a, unsigned bits);

    const bytecode::Program& program_;
    Terms& terms_;
    Reasoner& reasoner_;
    std::vector<bytecode::Bytes> values_;  // of each map: of all entries, one after the other
};

}  // namespace bpfwarden::filter
