// SPDX-License-Identifier: Apache-2.0
// Makes code for one value. Only for the files of filter/arithmetic: who wants code calls code_for().
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "bytecode/classic.hpp"
#include "filter/graph.hpp"

namespace bpfwarden::filter {

constexpr std::uint16_t by_k(int operation) { return static_cast<std::uint16_t>(BPF_ALU | operation | BPF_K); }
constexpr std::uint16_t by_x(int operation) { return static_cast<std::uint16_t>(BPF_ALU | operation | BPF_X); }
constexpr std::uint16_t jump_k(int operation) { return static_cast<std::uint16_t>(BPF_JMP | operation | BPF_K); }
constexpr std::uint16_t jump_x(int operation) { return static_cast<std::uint16_t>(BPF_JMP | operation | BPF_X); }

class Coder {
  public:
    Coder(Terms& terms, unsigned slots) : terms_(terms), free_((1U << slots) - 1) {}

    Result<Steps> value(Term term);
    Result<Steps> truth(Condition condition);

  private:
    using Number = std::uint64_t;
    static constexpr std::uint32_t all = 0xffffffff, sign = 0x80000000;

    struct Label {
        std::uint32_t id = 0;
    };
    // Half of a term.
    struct Half {
        Term term;
        bool high = false;
        bool operator==(const Half&) const = default;
    };

    // ---- steps and labels

    Label label() {
        places_.push_back(0);
        return {static_cast<std::uint32_t>(places_.size() - 1)};
    }
    void place(Label label) { places_[label.id] = static_cast<std::uint32_t>(steps_.size()); }
    void put(std::uint16_t code, std::uint32_t k = 0);
    void go(Label to) { put_jump(bytecode::classic::jump, 0, to, to); }
    void put_jump(std::uint16_t code, std::uint32_t k, Label yes, Label no) {
        put(code, k);
        if (!too_long_ && !no_scratch_) steps_.back().yes = yes.id, steps_.back().no = no.id;
    }
    // Goes to `to` if it holds, else on.
    void go_if(std::uint16_t code, std::uint32_t k, Label to) {
        const Label on = label();
        put_jump(code, k, to, on);
        place(on);
    }
    void go_unless(std::uint16_t code, std::uint32_t k, Label to) {
        const Label on = label();
        put_jump(code, k, on, to);
        place(on);
    }
    static bool is_jump(const Step& step) { return (step.code & 0x07U) == BPF_JMP; }

    Result<Steps> done();
    // What a step reads and writes: a bit for each scratch word, for A and for X.
    struct Effect {
        std::uint32_t reads = 0, writes = 0;
    };
    static Effect effect_of(const Step& step);
    // What nothing reads, and jumps to the next step.
    bool drop_unread();

    // ---- scratch memory: words that are in use, and values that may be forgotten

    struct Remembered {
        Half half;
        std::uint32_t slot = 0;
        bool operator==(const Remembered&) const = default;
    };
    std::uint32_t take();
    void give_back(std::uint32_t slot) { free_ |= 1U << slot; }
    std::optional<std::uint32_t> remembered(Half half) const {
        const auto at = std::ranges::find(memory_, half, &Remembered::half);
        if (at == memory_.end()) return std::nullopt;
        return at->slot;
    }
    // That A has it.
    void remember(Half half);
    // What is computed in here, on one of several paths, is not remembered after it; for the other paths everything is
    // as it was before.
    template <class F>
    void on_a_path(F&& code) {
        const auto before = memory_;
        const auto free_before = free_;
        code();
        memory_ = before;
        free_ = free_before;
    }
    // Where paths meet: what one of them has forgotten, since so many had been, is not there.
    void paths_meet(std::size_t since);

    // ---- halves

    bool has_high(Term term) const { return terms_.bits(term) >> 32 != 0; }
    std::optional<std::uint32_t> constant(Half half) const;
    // Loaded by one instruction that leaves X alone.
    bool is_simple(Half half) const {
        return constant(half) || (!half.high && terms_[half.term].kind == TermKind::word) || remembered(half);
    }
    static Half low_of(Term term) { return {term, false}; }
    static Half high_of(Term term) { return {term, true}; }
    void low(Term term) { load(low_of(term)); }
    void high(Term term) { load(high_of(term)); }

    // ---- depth: the code for a term is made by recursion, and stacks may be small

    // Levels, each of some 700 bytes of stack.
    static constexpr unsigned deepest = 128;
    class Level {
      public:
        explicit Level(Coder& coder) : coder_(coder) {
            if (++coder_.depth_ > deepest) coder_.too_deep_ = true;
        }
        ~Level() { --coder_.depth_; }
        Level(const Level&) = delete;
        Level& operator=(const Level&) = delete;

      private:
        Coder& coder_;
    };
    // Long chains are computed from their lower end, in parts that are remembered: what they are at every so many
    // steps.
    void compute_from_below(std::uint32_t root);

    // ---- values

    // A := it.
    void load(Half half);
    // Puts one into X and the other into A.
    void load_both(Half a, Half x);
    // A := a operation b
    void combine(int operation, Half a, Half b);
    void keep(std::uint32_t slot) { put(bytecode::classic::store, slot); }
    void with(std::uint32_t slot, int operation) {
        put(bytecode::classic::load_x_scratch, slot);
        put(by_x(operation));
    }

    void make_low(Term term, const TermView& view);
    void make_high(Term term, const TermView& view);
    void make_half(Term term, const TermView& view, bool high);
    // A := all ones if its uppermost bit is set, else 0.
    void fill_with_sign() {
        put(by_k(BPF_RSH), 31);
        put(bytecode::classic::negate);
    }
    void extend_low(Term of, unsigned bits);

    // ---- add and multiply: arithmetic_words.cpp

    void add_high(Term a, Term b);
    void negate_high(Term a);
    void multiply_high(Term a, Term b);

    // ---- shifts: arithmetic_words.cpp

    void shift_signed(unsigned by);
    void shift(TermKind kind, Term a, unsigned by, bool high_half);
    void join(Half one, int operation, unsigned amount, Half other, int other_operation, unsigned other_amount);
    void shift(TermKind kind, Term a, Term by, bool high_half);
    void load_shifted(Half half, int toward, std::uint32_t amount, bool is_signed, std::uint32_t part);

    // ---- division: arithmetic_division.cpp

    void divide(Term term, Term a, Term b, bool modulo, bool high_half);
    void divide_words(Term a, Term b, bool modulo);
    void divide_by_small(Term a, std::uint32_t d, bool modulo, bool high_half);
    void divide_bitwise(Term term, Term a, Term b, bool modulo, bool high_half);
    Term by_magnitudes(const TermView& view);

    // ---- tables and choices: arithmetic_conditions.cpp

    void look_up(Term index, const std::vector<Number>& values, bool high_half);
    void choose(Condition condition, Term yes, Term no, bool high_half);

    // ---- conditions: arithmetic_conditions.cpp

    void branch(Condition condition, Label yes, Label no);
    void test(Condition condition, Label yes, Label no);
    void compare(int operation, Half a, Half b, Label yes, Label no);
    void below(Term a, Term b, bool is_signed, Label yes, Label no);
    void one_of(Term term, const std::vector<Number>& values, Label yes, Label no);

    Terms& terms_;
    std::uint32_t free_;
    Steps steps_;
    std::vector<std::uint32_t> places_;  // of labels
    std::vector<Remembered> memory_;     // oldest first
    std::vector<Remembered> forgotten_;  // on some path
    unsigned depth_ = 0;
    bool too_long_ = false, no_scratch_ = false, too_deep_ = false;
};

}  // namespace bpfwarden::filter
