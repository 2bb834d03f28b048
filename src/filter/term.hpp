// SPDX-License-Identifier: Apache-2.0
// Values and conditions that a filter computes from seccomp_data, as terms: equal terms are one object, and each is
// kept in a simple form, so that much is decided while it is built.
//
// Values are of 64 bits, modulo 2^64, as eBPF has them: x / 0 is 0 and x % 0 is x. Amounts of shifts are below 64
// (whoever builds a term masks them).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "filter/data.hpp"

namespace bpfwarden::filter {

struct Term {
    std::uint32_t id = 0;
    auto operator<=>(const Term&) const = default;
};
struct Condition {
    std::uint32_t id = 0;
    auto operator<=>(const Condition&) const = default;
};

enum class TermKind : std::uint8_t {
    constant,       // number
    word,           // number: which; 32 bits
    add,            // a + b
    multiply,       //
    divide,         // unsigned
    modulo,         //
    divide_signed,  // truncating; the smallest number / -1 is itself
    modulo_signed,  // its sign is a's
    bit_and,        //
    bit_or,         //
    bit_xor,        //
    shift_left,     // a << b
    shift_right,    //
    shift_right_signed,
    sign_extend,  // of a's lowest `number` bits (8, 16, 32), to 64
    table,        // values[a]; a is always below their number
    select,       // condition ? a : b
};

constexpr bool is_binary(TermKind kind) { return kind >= TermKind::add && kind <= TermKind::shift_right_signed; }

enum class ConditionKind : std::uint8_t {
    never,
    always,
    equal,         // a == b
    below,         // a < b
    below_signed,  //
    one_of,        // a is one of the values, which are sorted and each once
    both,          // c and d
    opposite,      // not c
};

// What a term is. Operands that its kind does not have are of no meaning.
struct TermView {
    TermKind kind{};
    Term a, b;
    std::uint64_t number = 0;
    std::span<const std::uint64_t> values;
    Condition condition;
};
struct ConditionView {
    ConditionKind kind{};
    Term a, b;
    Condition c, d;
    std::span<const std::uint64_t> values;
};

class Terms {
  public:
    Terms();
    Terms(Terms&&) noexcept = default;
    Terms& operator=(Terms&&) noexcept = default;

    Term constant(std::uint64_t value);
    Term word(Word which);
    // A word pair of seccomp_data: instruction_pointer or an argument.
    Term pair(Word low, Word high);
    // Every two-operand kind; operands are put into order, constants are folded, what is known of bits is used.
    Term binary(TermKind kind, Term a, Term b);
    Term subtract(Term a, Term b);
    Term sign_extend(Term a, unsigned bits);
    // `index` must be known to be below values.size() (see bits()).
    Term table(Term index, std::vector<std::uint64_t> values);
    Term select(Condition condition, Term yes, Term no);

    Condition always() const { return {1}; }
    Condition never() const { return {0}; }
    Condition truth(bool value) const { return {value ? 1U : 0U}; }
    Condition equal(Term a, Term b);
    Condition below(Term a, Term b);
    Condition below_signed(Term a, Term b);
    Condition one_of(Term a, std::vector<std::uint64_t> values);
    Condition both(Condition c, Condition d);
    Condition either(Condition c, Condition d) { return opposite(both(opposite(c), opposite(d))); }
    Condition opposite(Condition c);

    TermView operator[](Term term) const;
    ConditionView operator[](Condition condition) const;
    std::optional<std::uint64_t> value(Term term) const;
    // The bits that may be set in it; all others are zero for every input.
    std::uint64_t bits(Term term) const;

    // For one input. What every clever treatment of terms must agree with.
    std::uint64_t evaluate(Term term, const Data& data) const;
    bool holds(Condition condition, const Data& data) const;

    // What a term or condition is made of, by number; that is smaller than its own.
    struct Operands {
        std::array<std::uint32_t, 3> ids{};
        std::size_t count = 0;
        auto begin() const { return ids.begin(); }
        auto end() const { return ids.begin() + count; }
    };
    Operands operands(std::uint32_t id) const;
    bool is_condition(std::uint32_t id) const;

    std::size_t size() const;
    // The words that it is computed from: bit n for word n.
    std::uint16_t words(Term term) const;
    // How much work went into building: whoever evaluates what strangers wrote bounds it. One call does at most about a
    // thousand steps, and goes at most a hundred levels down, which fits into 64 KiB of stack; what that does not
    // suffice for is kept as it was written.
    std::uint64_t work() const;

  private:
    // Left to whoever implements it.
    struct State;
    struct Destroy {
        void operator()(State* state) const;
    };
    std::unique_ptr<State, Destroy> state_;
};

// Calls make(id) for `root` and for what it is made of, operands first, where is_known(id) does not hold; make() sees
// to it that it does afterwards. Without recursion: terms are as deep as programs are long.
template <class IsKnown, class Make>
void make_from_below(const Terms& terms, std::uint32_t root, const IsKnown& is_known, const Make& make) {
    std::vector<std::uint32_t> open{root};
    while (!open.empty()) {
        const std::uint32_t id = open.back();
        if (is_known(id)) {
            open.pop_back();
            continue;
        }
        const std::size_t before = open.size();
        for (const std::uint32_t operand : terms.operands(id))
            if (!is_known(operand)) open.push_back(operand);
        if (open.size() != before) continue;
        make(id);
        open.pop_back();
    }
}

}  // namespace bpfwarden::filter
