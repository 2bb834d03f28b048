// SPDX-License-Identifier: Apache-2.0
#include "filter/arithmetic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <optional>
#include <ranges>
#include <unordered_map>

#include "bytecode/classic.hpp"

namespace bpfwarden::filter {

using namespace bytecode::classic;

namespace {

using Number = std::uint64_t;
constexpr std::uint32_t all = 0xffffffff, sign = 0x80000000;

constexpr std::uint16_t by_k(int operation) { return static_cast<std::uint16_t>(BPF_ALU | operation | BPF_K); }
constexpr std::uint16_t by_x(int operation) { return static_cast<std::uint16_t>(BPF_ALU | operation | BPF_X); }
constexpr std::uint16_t jump_k(int operation) { return static_cast<std::uint16_t>(BPF_JMP | operation | BPF_K); }
constexpr std::uint16_t jump_x(int operation) { return static_cast<std::uint16_t>(BPF_JMP | operation | BPF_X); }

struct Label {
    std::uint32_t id = 0;
};

// Half of a term.
struct Half {
    Term term;
    bool high = false;
    bool operator==(const Half&) const = default;
};

class Coder {
  public:
    Coder(Terms& terms, unsigned slots) : terms_(terms), free_((1U << slots) - 1) {}

    Result<Steps> value(Term term) {
        compute_from_below(term.id);
        low(term);
        return done();
    }
    Result<Steps> truth(Condition condition) {
        compute_from_below(condition.id);
        const Label yes = label(), no = label(), end = label();
        branch(condition, yes, no);
        place(no);
        put(load_constant, 0);
        go(end);
        place(yes);
        put(load_constant, 1);
        place(end);
        return done();
    }

  private:
    // ---- steps and labels

    Label label() {
        places_.push_back(0);
        return {static_cast<std::uint32_t>(places_.size() - 1)};
    }
    void place(Label label) { places_[label.id] = static_cast<std::uint32_t>(steps_.size()); }
    void put(std::uint16_t code, std::uint32_t k = 0) {
        if (steps_.size() > max_instructions) too_long_ = true;
        if (!too_long_ && !no_scratch_) steps_.push_back({.code = code, .k = k});
    }
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

    Result<Steps> done() {
        if (too_deep_)
            return fail(Error(Code::unsupported,
                              fmt::format("a value is computed from what was computed, more than {} times", deepest))
                            .advise("compute it in fewer steps, or decide on the way"));
        if (too_long_) return fail(Error(Code::unsupported, "a value takes more than 4096 instructions to compute"));
        if (no_scratch_)
            return fail(Error(Code::unsupported, "a value needs more than the 16 words of scratch memory"));
        for (auto& step : steps_)
            if (is_jump(step)) step.yes = places_[step.yes], step.no = places_[step.no];
        while (drop_unread()) continue;
        return std::move(steps_);
    }

    // What a step reads and writes: a bit for each scratch word, for A and for X.
    struct Effect {
        std::uint32_t reads = 0, writes = 0;
    };
    static Effect effect_of(const Step& step) {
        constexpr std::uint32_t a = 1U << 16, x = 1U << 17;
        const std::uint32_t slot = step.k < scratch_words ? 1U << step.k : 0,
                            operand = (step.code & BPF_X) != 0 ? x : 0;
        switch (step.code) {
            case load_word:
            case load_constant:
                return {0, a};
            case load_scratch:
                return {slot, a};
            case load_x_constant:
                return {0, x};
            case load_x_scratch:
                return {slot, x};
            case store:
                return {a, slot};
            case store_x:
                return {x, slot};
            case to_x:
                return {a, x};
            case bytecode::classic::jump:
                return {};
            default:
                return {a | operand, is_jump(step) ? 0 : a};
        }
    }
    // What nothing reads, and jumps to the next step.
    bool drop_unread() {
        const std::size_t count = steps_.size();
        std::vector<std::uint32_t> read(count + 1, 1U << 16);
        std::vector<bool> keep(count, true), target(count + 1, false);
        for (std::size_t i = count; i-- > 0;) {
            const auto& step = steps_[i];
            const auto [reads, writes] = effect_of(step);
            if (is_jump(step)) {
                read[i] = read[step.yes] | read[step.no];
                keep[i] = step.yes != i + 1 || step.no != i + 1;
                target[step.yes] = target[step.no] = true;
            } else {
                read[i] = read[i + 1];
                keep[i] = (read[i] & writes) != 0;
            }
            if (keep[i]) read[i] = (read[i] & ~writes) | reads;
        }
        // What is read right after it was stored is in A.
        for (std::size_t i = 0; i + 1 < count; ++i)
            if (steps_[i].code == store && steps_[i + 1].code == load_scratch && steps_[i].k == steps_[i + 1].k &&
                !target[i + 1])
                keep[i + 1] = false;
        std::vector<std::uint32_t> now(count + 1, 0);
        for (std::size_t i = 0; i < count; ++i) now[i + 1] = now[i] + (keep[i] ? 1 : 0);
        if (now[count] == count) return false;
        Steps kept;
        for (std::size_t i = 0; i < count; ++i) {
            if (!keep[i]) continue;
            kept.push_back(steps_[i]);
            if (is_jump(kept.back())) kept.back().yes = now[kept.back().yes], kept.back().no = now[kept.back().no];
        }
        steps_ = std::move(kept);
        return true;
    }

    // ---- scratch memory: words that are in use, and values that may be forgotten

    struct Remembered {
        Half half;
        std::uint32_t slot = 0;
        bool operator==(const Remembered&) const = default;
    };

    std::uint32_t take() {
        if (free_ == 0) {
            if (memory_.empty()) {
                no_scratch_ = true;
                return 0;
            }
            // Even if it is put back later: some path may have left before.
            forgotten_.push_back(memory_.front());
            free_ |= 1U << memory_.front().slot;
            memory_.erase(memory_.begin());
        }
        const auto slot = static_cast<std::uint32_t>(std::countr_zero(free_));
        free_ &= ~(1U << slot);
        return slot;
    }
    void give_back(std::uint32_t slot) { free_ |= 1U << slot; }
    std::optional<std::uint32_t> remembered(Half half) const {
        const auto at = std::ranges::find(memory_, half, &Remembered::half);
        if (at == memory_.end()) return std::nullopt;
        return at->slot;
    }
    // That A has it.
    void remember(Half half) {
        if (remembered(half)) return;
        const auto slot = take();
        put(store, slot);
        memory_.push_back({half, slot});
    }
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
    void paths_meet(std::size_t since) {
        for (std::size_t i = since; i < forgotten_.size(); ++i) {
            const auto at = std::ranges::find(memory_, forgotten_[i]);
            if (at == memory_.end()) continue;
            give_back(at->slot);
            memory_.erase(at);
        }
    }

    // ---- halves

    bool has_high(Term term) const { return terms_.bits(term) >> 32 != 0; }
    std::optional<std::uint32_t> constant(Half half) const {
        if (const auto value = terms_.value(half.term))
            return static_cast<std::uint32_t>(half.high ? *value >> 32 : *value);
        if (half.high && !has_high(half.term)) return 0;
        if (!half.high && (terms_.bits(half.term) & all) == 0) return 0;
        return std::nullopt;
    }
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
    void compute_from_below(std::uint32_t root) {
        constexpr unsigned part = deepest / 2;
        std::unordered_map<std::uint32_t, unsigned> heights;
        const auto height = [&](std::uint32_t id) { return heights.at(id); };
        make_from_below(
            terms_, root, [&](std::uint32_t id) { return heights.contains(id); },
            [&](std::uint32_t id) {
                unsigned most = 0;
                for (const auto operand : terms_.operands(id)) most = std::max(most, height(operand));
                heights.emplace(id, most + 1);
            });
        std::vector<Term> stops;
        for (std::uint32_t at = root; height(at) > part;) {
            const auto operands = terms_.operands(at);
            at = *std::ranges::max_element(operands, {}, height);
            if (height(at) % part == 0 && !terms_.is_condition(at)) stops.push_back({at});
        }
        for (const Term stop : std::views::reverse(stops)) {
            low(stop);
            if (has_high(stop)) high(stop);
        }
    }

    // A := it.
    void load(Half half) {
        if (const auto value = constant(half)) return put(load_constant, *value);
        if (const auto slot = remembered(half)) return put(load_scratch, *slot);
        const Level level(*this);
        if (too_deep_) return;
        const auto view = terms_[half.term];
        if (view.kind == TermKind::word) return put(load_word, static_cast<std::uint32_t>(view.number) * 4);
        if (half.high)
            make_high(half.term, view);
        else
            make_low(half.term, view);
        remember(half);
    }

    // Puts one into X and the other into A.
    void load_both(Half a, Half x) {
        if (const auto value = constant(x)) {
            load(a);
            return put(load_x_constant, *value);
        }
        if (const auto slot = remembered(x)) {
            load(a);
            if (remembered(x) == slot) return put(load_x_scratch, *slot);
        }
        load(x);
        if (is_simple(a)) {
            put(to_x);
            return load(a);
        }
        const auto slot = take();
        put(store, slot);
        load(a);
        put(load_x_scratch, slot);
        give_back(slot);
    }
    // A := a operation b
    void combine(int operation, Half a, Half b) {
        if (const auto value = constant(b)) {
            load(a);
            const bool nothing = operation == BPF_AND ? *value == all : *value == 0;
            if (operation == BPF_MUL || !nothing) put(by_k(operation), *value);
            return;
        }
        if (operation != BPF_SUB && is_simple(b)) std::swap(a, b);
        if (const auto value = constant(b)) return combine(operation, a, b);
        load_both(a, b);
        put(by_x(operation));
    }
    void keep(std::uint32_t slot) { put(store, slot); }
    void with(std::uint32_t slot, int operation) {
        put(load_x_scratch, slot);
        put(by_x(operation));
    }

    void make_low(Term term, const TermView& view) {
        const Half a = low_of(view.a), b = low_of(view.b);
        switch (view.kind) {
            case TermKind::add:
                return combine(BPF_ADD, a, b);
            case TermKind::multiply:
                if (terms_.value(view.b) == ~Number{0}) {
                    load(a);
                    return put(negate);
                }
                return combine(BPF_MUL, a, b);
            case TermKind::bit_and:
                return combine(BPF_AND, a, b);
            case TermKind::bit_or:
                return combine(BPF_OR, a, b);
            case TermKind::bit_xor:
                return combine(BPF_XOR, a, b);
            case TermKind::sign_extend:
                return extend_low(view.a, static_cast<unsigned>(view.number));
            default:
                make_half(term, view, false);
        }
    }
    void make_high(Term term, const TermView& view) {
        const Half a = high_of(view.a), b = high_of(view.b);
        switch (view.kind) {
            case TermKind::add:
                return add_high(view.a, view.b);
            case TermKind::multiply:
                if (terms_.value(view.b) == ~Number{0}) return negate_high(view.a);
                return multiply_high(view.a, view.b);
            case TermKind::bit_and:
                return combine(BPF_AND, a, b);
            case TermKind::bit_or:
                return combine(BPF_OR, a, b);
            case TermKind::bit_xor:
                return combine(BPF_XOR, a, b);
            case TermKind::sign_extend:
                low(view.a);
                if (view.number < 32) put(by_k(BPF_LSH), static_cast<std::uint32_t>(32 - view.number));
                return fill_with_sign();
            default:
                make_half(term, view, true);
        }
    }
    void make_half(Term term, const TermView& view, bool high) {
        switch (view.kind) {
            case TermKind::divide:
            case TermKind::modulo:
                return divide(term, view.a, view.b, view.kind == TermKind::modulo, high);
            case TermKind::divide_signed:
            case TermKind::modulo_signed:
                return load({by_magnitudes(view), high});
            case TermKind::shift_left:
            case TermKind::shift_right:
            case TermKind::shift_right_signed:
                if (const auto amount = terms_.value(view.b))
                    return shift(view.kind, view.a, static_cast<unsigned>(*amount), high);
                return shift(view.kind, view.a, view.b, high);
            case TermKind::table:
                return look_up(view.a, {view.values.begin(), view.values.end()}, high);
            case TermKind::select:
                return choose(view.condition, view.a, view.b, high);
            default:
                return;
        }
    }

    // A := all ones if its uppermost bit is set, else 0.
    void fill_with_sign() {
        put(by_k(BPF_RSH), 31);
        put(negate);
    }
    void extend_low(Term of, unsigned bits) {
        low(of);
        if (bits >= 32) return;
        const std::uint32_t half = 1U << (bits - 1);
        if ((terms_.bits(of) & ~((Number{1} << bits) - 1) & all) != 0) put(by_k(BPF_AND), (half << 1) - 1);
        put(by_k(BPF_XOR), half);
        put(by_k(BPF_SUB), half);
    }

    // ---- add and multiply

    void add_high(Term a, Term b) {
        if (constant(low_of(b)) == 0U || constant(low_of(a)) == 0U) return combine(BPF_ADD, high_of(a), high_of(b));
        const auto carry = take();
        const Label none = label(), over = label(), end = label();
        // The sum is less than what was added if it went over.
        load_both(low_of(a), low_of(b));
        put(by_x(BPF_ADD));
        put_jump(jump_x(BPF_JGE), 0, none, over);
        place(over);
        put(load_constant, 1);
        go(end);
        place(none);
        put(load_constant, 0);
        place(end);
        keep(carry);
        combine(BPF_ADD, high_of(a), high_of(b));
        with(carry, BPF_ADD);
        give_back(carry);
    }
    // 0 - a: one more is borrowed unless the lower half is 0.
    void negate_high(Term a) {
        const auto borrow = take();
        const Label some = label(), end = label();
        low(a);
        // A is 0 where there is nothing to borrow.
        put_jump(jump_equal, 0, end, some);
        place(some);
        put(load_constant, 1);
        place(end);
        keep(borrow);
        high(a);
        put(negate);
        with(borrow, BPF_SUB);
        give_back(borrow);
    }

    void multiply_high(Term a, Term b) {
        // Of the lower halves, in pieces of 16 bits: a1 a0 × b1 b0.
        const auto x = take(), y = take(), t = take(), sum = take();
        low(a);
        keep(x);
        low(b);
        keep(y);
        const auto piece = [&](std::uint32_t slot, bool upper) {
            put(load_scratch, slot);
            if (upper)
                put(by_k(BPF_RSH), 16);
            else
                put(by_k(BPF_AND), 0xffff);
        };
        const auto product = [&](bool upper_x, bool upper_y) {
            piece(x, upper_x);
            put(to_x);
            piece(y, upper_y);
            put(by_x(BPF_MUL));
        };
        product(false, false);
        put(by_k(BPF_RSH), 16);
        keep(t);
        product(true, false);
        with(t, BPF_ADD);
        keep(t);  // a1 b0 + carry
        put(by_k(BPF_RSH), 16);
        keep(sum);
        put(load_scratch, t);
        put(by_k(BPF_AND), 0xffff);
        keep(t);
        product(false, true);
        with(t, BPF_ADD);
        put(by_k(BPF_RSH), 16);
        with(sum, BPF_ADD);
        keep(sum);
        product(true, true);
        with(sum, BPF_ADD);
        keep(sum);
        give_back(x);
        give_back(y);
        give_back(t);
        const auto cross = [&](Half one, Half other) {
            if (constant(one) == 0U || constant(other) == 0U) return;
            combine(BPF_MUL, one, other);
            with(sum, BPF_ADD);
            keep(sum);
        };
        cross(low_of(a), high_of(b));
        cross(high_of(a), low_of(b));
        put(load_scratch, sum);
        give_back(sum);
    }

    // ---- shifts

    // A := A >> by, with its sign.
    void shift_signed(unsigned by) {
        if (by == 0) return;
        put(by_k(BPF_XOR), sign);
        put(by_k(BPF_RSH), by);
        put(by_k(BPF_SUB), sign >> by);
    }
    void shift(TermKind kind, Term a, unsigned by, bool high_half) {
        const bool is_signed = kind == TermKind::shift_right_signed;
        const auto move = [&](int operation, unsigned amount) {
            if (amount != 0) put(by_k(operation), amount);
        };
        if (kind == TermKind::shift_left) {
            if (!high_half) {
                if (by >= 32) return put(load_constant, 0);
                low(a);
                return move(BPF_LSH, by);
            }
            if (by >= 32) {
                low(a);
                return move(BPF_LSH, by - 32);
            }
            return join(high_of(a), BPF_LSH, by, low_of(a), BPF_RSH, 32 - by);
        }
        if (high_half) {
            high(a);
            if (is_signed) return by >= 32 ? fill_with_sign() : shift_signed(by);
            return by >= 32 ? put(load_constant, 0) : move(BPF_RSH, by);
        }
        if (by >= 32) {
            high(a);
            return is_signed ? shift_signed(by - 32) : move(BPF_RSH, by - 32);
        }
        join(low_of(a), BPF_RSH, by, high_of(a), BPF_LSH, 32 - by);
    }
    // A := (one operation amount) | (other operation amount); `amount` of the first is 1 to 31.
    void join(Half one, int operation, unsigned amount, Half other, int other_operation, unsigned other_amount) {
        if (constant(other) == 0U) {
            load(one);
            return put(by_k(operation), amount);
        }
        if (constant(one) == 0U) {
            load(other);
            return put(by_k(other_operation), other_amount);
        }
        const auto slot = take();
        load(one);
        put(by_k(operation), amount);
        keep(slot);
        load(other);
        put(by_k(other_operation), other_amount);
        with(slot, BPF_OR);
        give_back(slot);
    }

    // By an amount that is not known, below 64.
    void shift(TermKind kind, Term a, Term by, bool high_half) {
        const bool left = kind == TermKind::shift_left, is_signed = kind == TermKind::shift_right_signed;
        const auto amount = take(), part = take();
        const bool at_end = left != high_half;  // the low half of <<, the high half of >>
        // One that is computed on a path is not there on the other.
        if (!at_end) load(low_of(a));
        if (!at_end || is_signed) load(high_of(a));
        low(by);
        const bool may_be_large = (terms_.bits(by) & 32) != 0;
        const Label large = label(), end = label();
        keep(amount);
        const std::size_t since = forgotten_.size();
        const int toward = left ? BPF_LSH : BPF_RSH, back = left ? BPF_RSH : BPF_LSH;
        const Half near = high_half ? high_of(a) : low_of(a);   // what stays in its half
        const Half other = high_half ? low_of(a) : high_of(a);  // what comes in, if it is not at the end
        if (may_be_large) go_if(jump_k(BPF_JSET), 32, large);
        const Half end_half = left ? low_of(a) : high_of(a);
        on_a_path([&] {
            if (at_end) {
                load_shifted(end_half, toward, amount, is_signed, part);
            } else {
                // x >> 1 >> (31 - n): none for n = 0.
                put(load_scratch, amount);
                put(by_k(BPF_XOR), 31);
                put(to_x);
                const auto inverse = take();
                put(store_x, inverse);
                load(other);
                put(by_k(back), 1);
                put(load_x_scratch, inverse);
                put(by_x(back));
                give_back(inverse);
                keep(part);
                load(near);
                put(load_x_scratch, amount);
                put(by_x(toward));
                with(part, BPF_OR);
            }
        });
        if (may_be_large) {
            go(end);
            place(large);
            on_a_path([&] {
                if (!at_end) {
                    put(load_scratch, amount);
                    put(by_k(BPF_AND), 31);
                    keep(amount);
                    load_shifted(other, toward, amount, is_signed, part);
                } else if (is_signed) {
                    high(a);
                    fill_with_sign();
                } else {
                    put(load_constant, 0);
                }
            });
            place(end);
        }
        paths_meet(since);
        give_back(amount);
        give_back(part);
    }
    void load_shifted(Half half, int toward, std::uint32_t amount, bool is_signed, std::uint32_t part) {
        if (!is_signed) {
            load(half);
            put(load_x_scratch, amount);
            return put(by_x(toward));
        }
        put(load_constant, sign);
        put(load_x_scratch, amount);
        put(by_x(BPF_RSH));
        keep(part);
        load(half);
        put(by_k(BPF_XOR), sign);
        put(load_x_scratch, amount);
        put(by_x(BPF_RSH));
        put(load_x_scratch, part);
        put(by_x(BPF_SUB));
    }

    // ---- division

    void divide(Term term, Term a, Term b, bool modulo, bool high_half) {
        const auto divisor = terms_.value(b);
        if (!has_high(a) && !has_high(b)) {
            if (high_half) return put(load_constant, 0);
            return divide_words(a, b, modulo);
        }
        if (divisor && *divisor != 0 && *divisor <= 0xffff)
            return divide_by_small(a, static_cast<std::uint32_t>(*divisor), modulo, high_half);
        divide_bitwise(term, a, b, modulo, high_half);
    }
    void divide_words(Term a, Term b, bool modulo) {
        const Label zero = label(), end = label();
        const bool known = terms_.value(b).has_value();
        const auto x = take(), y = take();
        low(b);
        keep(y);
        low(a);
        keep(x);
        if (!known) {
            put(load_scratch, y);
            go_if(jump_equal, 0, zero);
        }
        put(load_x_scratch, y);
        put(load_scratch, x);
        put(by_x(BPF_DIV));
        if (modulo) {
            put(load_x_scratch, y);
            put(by_x(BPF_MUL));
            keep(y);
            put(load_scratch, x);
            with(y, BPF_SUB);
        }
        if (!known) {
            go(end);
            place(zero);
            if (modulo)
                put(load_scratch, x);
            else
                put(load_constant, 0);
            place(end);
        }
        give_back(x);
        give_back(y);
    }
    // As on paper, with digits of 16 bits.
    void divide_by_small(Term a, std::uint32_t d, bool modulo, bool high_half) {
        const auto rest = take(), part = take(), low_half = take(), quotient = take();
        low(a);
        keep(low_half);
        high(a);
        keep(part);
        put(by_k(BPF_DIV), d);
        if (high_half && !modulo) {
            give_back(rest), give_back(part), give_back(low_half), give_back(quotient);
            return;
        }
        const auto set_rest = [&] {  // of what is in `part`, whose quotient is in A
            put(by_k(BPF_MUL), d);
            keep(rest);
            put(load_scratch, part);
            with(rest, BPF_SUB);
            keep(rest);
        };
        set_rest();
        for (const bool upper : {true, false}) {
            put(load_scratch, rest);
            put(by_k(BPF_LSH), 16);
            keep(rest);
            put(load_scratch, low_half);
            if (upper)
                put(by_k(BPF_RSH), 16);
            else
                put(by_k(BPF_AND), 0xffff);
            with(rest, BPF_OR);
            keep(part);
            put(by_k(BPF_DIV), d);
            if (upper) {
                keep(quotient);
                set_rest();
            } else if (modulo) {
                set_rest();
            } else {
                keep(part);
                put(load_scratch, quotient);
                put(by_k(BPF_LSH), 16);
                with(part, BPF_OR);
            }
        }
        if (modulo) {
            if (high_half)
                put(load_constant, 0);
            else
                put(load_scratch, rest);
        }
        give_back(rest), give_back(part), give_back(low_half), give_back(quotient);
    }
    // Bit by bit: what fits into 4096 instructions once.
    void divide_bitwise(Term term, Term a, Term b, bool modulo, bool high_half) {
        const auto nh = take(), nl = take(), dh = take(), dl = take(), rh = take(), rl = take(), t = take();
        const Label zero = label(), end = label();
        const auto set = [&](std::uint32_t slot, Half half) {
            load(half);
            keep(slot);
        };
        set(dl, low_of(b));
        set(dh, high_of(b));
        set(nl, low_of(a));
        set(nh, high_of(a));
        const bool known = terms_.value(b).has_value();
        if (!known) {
            put(load_scratch, dl);
            put(load_x_scratch, dh);
            put(by_x(BPF_OR));
            go_if(jump_equal, 0, zero);
        }
        put(load_constant, 0);
        keep(rh);
        keep(rl);
        const auto width = static_cast<unsigned>(std::bit_width(terms_.bits(a)));
        const bool may_go_over = terms_.bits(b) >> 63 != 0;
        const auto get = [&](std::uint32_t slot) { put(load_scratch, slot); };
        const auto in_x = [&](std::uint32_t slot) { put(load_x_scratch, slot); };
        const auto doubled = [&](std::uint32_t slot, std::uint32_t below) {  // with the uppermost bit of `below`
            get(below);
            put(by_k(BPF_RSH), 31);
            put(to_x);
            get(slot);
            put(by_k(BPF_LSH), 1);
            put(by_x(BPF_OR));
            keep(slot);
        };
        // The bits above the uppermost that may be set are shifted out first.
        if (width <= 32) {
            get(nl);
            if (width < 32) put(by_k(BPF_LSH), 32 - width);
            keep(nh);
            put(load_constant, 0);
            keep(nl);
        } else if (width < 64) {
            get(nl);
            put(by_k(BPF_RSH), width - 32);
            keep(t);
            get(nh);
            put(by_k(BPF_LSH), 64 - width);
            with(t, BPF_OR);
            keep(nh);
            get(nl);
            put(by_k(BPF_LSH), 64 - width);
            keep(nl);
        }
        for (unsigned i = 0; i < width; ++i) {
            const Label subtract = label(), low_first = label(), borrow = label(), no_borrow = label(), next = label();
            if (may_go_over) {
                get(rh);
                keep(t);
            }
            doubled(rh, rl);
            doubled(rl, nh);
            doubled(nh, nl);
            get(nl);
            put(by_k(BPF_LSH), 1);
            keep(nl);
            if (may_go_over) {
                get(t);
                go_if(jump_any_bit, sign, subtract);
            }
            get(rh);
            in_x(dh);
            go_if(jump_x(BPF_JGT), 0, subtract);
            put_jump(jump_x(BPF_JEQ), 0, low_first, next);
            place(low_first);
            get(rl);
            in_x(dl);
            go_unless(jump_x(BPF_JGE), 0, next);
            place(subtract);
            get(rl);
            in_x(dl);
            put_jump(jump_x(BPF_JGE), 0, no_borrow, borrow);
            place(borrow);
            get(rh);
            put(by_k(BPF_SUB), 1);
            keep(rh);
            get(rl);
            place(no_borrow);
            put(by_x(BPF_SUB));
            keep(rl);
            get(rh);
            in_x(dh);
            put(by_x(BPF_SUB));
            keep(rh);
            if (!modulo) {
                get(nl);
                put(by_k(BPF_OR), 1);
                keep(nl);
            }
            place(next);
        }
        const auto result_high = modulo ? rh : nh, result_low = modulo ? rl : nl;
        if (!known) {
            go(end);
            place(zero);
            if (modulo) {
                get(nh);
                keep(rh);
                get(nl);
                keep(rl);
            } else {
                put(load_constant, 0);
                keep(nh);
                keep(nl);
            }
            place(end);
        }
        // Both halves are there: once is enough for both.
        for (const auto slot : {nh, nl, dh, dl, rh, rl, t})
            if (slot != result_high && slot != result_low) give_back(slot);
        memory_.push_back({high_of(term), result_high});
        memory_.push_back({low_of(term), result_low});
        get(high_half ? result_high : result_low);
    }
    // Signed division by that of the magnitudes.
    Term by_magnitudes(const TermView& view) {
        const Term zero = terms_.constant(0);
        const auto negated = [&](Term of) { return terms_.subtract(zero, of); };
        const auto magnitude = [&](Term of) { return terms_.select(terms_.below_signed(of, zero), negated(of), of); };
        const Term a = magnitude(view.a), b = magnitude(view.b);
        // Computed before the signs are looked at: else it would be so for each of them.
        if (view.kind == TermKind::modulo_signed) {
            const Term rest = terms_.binary(TermKind::modulo, a, b);
            low(rest);
            return terms_.select(terms_.below_signed(view.a, zero), negated(rest), rest);
        }
        const Term quotient = terms_.binary(TermKind::divide, a, b);
        low(quotient);
        const Term signs = terms_.binary(TermKind::bit_xor, view.a, view.b);
        return terms_.select(terms_.below_signed(signs, zero), negated(quotient), quotient);
    }

    // ---- tables and choices

    void look_up(Term index, const std::vector<Number>& values, bool high_half) {
        struct Piece {
            std::uint32_t first, value;
        };
        std::vector<Piece> pieces;
        for (std::uint32_t i = 0; i < values.size(); ++i) {
            const auto value = static_cast<std::uint32_t>(high_half ? values[i] >> 32 : values[i]);
            if (pieces.empty() || pieces.back().value != value) pieces.push_back({i, value});
        }
        low(index);
        const Label end = label();
        const std::function<void(std::size_t, std::size_t)> tree = [&](std::size_t from, std::size_t to) {
            if (to - from == 1) {
                put(load_constant, pieces[from].value);
                return go(end);
            }
            const std::size_t middle = (from + to) / 2;
            const Label right = label();
            go_if(jump_not_less, pieces[middle].first, right);
            tree(from, middle);
            place(right);
            tree(middle, to);
        };
        tree(0, pieces.size());
        place(end);
    }
    void choose(Condition condition, Term yes, Term no, bool high_half) {
        const Label at_yes = label(), at_no = label(), end = label();
        const std::size_t since = forgotten_.size();
        branch(condition, at_yes, at_no);
        place(at_yes);
        on_a_path([&] { load({yes, high_half}); });
        go(end);
        place(at_no);
        on_a_path([&] { load({no, high_half}); });
        place(end);
        paths_meet(since);
    }

    // ---- conditions

    // Goes to one of the two; what was remembered before and is after is so at both.
    void branch(Condition condition, Label yes, Label no) {
        const std::size_t since = forgotten_.size();
        on_a_path([&] { test(condition, yes, no); });
        paths_meet(since);
    }
    void test(Condition condition, Label yes, Label no) {
        const Level level(*this);
        if (too_deep_) return;
        const auto view = terms_[condition];
        switch (view.kind) {
            case ConditionKind::never:
                return go(no);
            case ConditionKind::always:
                return go(yes);
            case ConditionKind::opposite:
                return test(view.c, no, yes);
            case ConditionKind::both: {
                const Label second = label();
                branch(view.c, second, no);
                place(second);
                return test(view.d, yes, no);
            }
            case ConditionKind::equal: {
                if (has_high(view.a) || has_high(view.b)) {
                    const Label second = label();
                    compare(BPF_JEQ, high_of(view.a), high_of(view.b), second, no);
                    place(second);
                }
                return compare(BPF_JEQ, low_of(view.a), low_of(view.b), yes, no);
            }
            case ConditionKind::below:
                return below(view.a, view.b, false, yes, no);
            case ConditionKind::below_signed:
                return below(view.a, view.b, true, yes, no);
            case ConditionKind::one_of:
                return one_of(view.a, {view.values.begin(), view.values.end()}, yes, no);
        }
    }
    void compare(int operation, Half a, Half b, Label yes, Label no) {
        if (const auto value = constant(b)) {
            load(a);
            return put_jump(jump_k(operation), *value, yes, no);
        }
        load_both(a, b);
        put_jump(jump_x(operation), 0, yes, no);
    }
    void below(Term a, Term b, bool is_signed, Label yes, Label no) {
        if (is_signed || has_high(a) || has_high(b)) {
            const Label equal_or_less = label(), equal = label();
            if (is_signed) {
                const auto slot = take();
                high(b);
                put(by_k(BPF_XOR), sign);
                keep(slot);
                high(a);
                put(by_k(BPF_XOR), sign);
                put(load_x_scratch, slot);
                give_back(slot);
            } else {
                load_both(high_of(a), high_of(b));
            }
            put_jump(jump_x(BPF_JGT), 0, no, equal_or_less);
            place(equal_or_less);
            put_jump(jump_x(BPF_JEQ), 0, equal, yes);
            place(equal);
        }
        compare(BPF_JGE, low_of(a), low_of(b), no, yes);
    }
    void one_of(Term term, const std::vector<Number>& values, Label yes, Label no) {
        const auto tree = [&](const std::vector<std::uint32_t>& sorted, const std::vector<Label>& to) {
            const std::function<void(std::size_t, std::size_t)> search = [&](std::size_t from, std::size_t end) {
                if (end - from == 1) return put_jump(jump_equal, sorted[from], to[from], no);
                const std::size_t middle = (from + end) / 2;
                const Label right = label();
                go_if(jump_not_less, sorted[middle], right);
                search(from, middle);
                place(right);
                search(middle, end);
            };
            search(0, sorted.size());
        };
        std::vector<std::uint32_t> highs;
        std::vector<std::vector<std::uint32_t>> lows;
        for (const Number value : values) {
            const auto upper = static_cast<std::uint32_t>(value >> 32);
            if (highs.empty() || highs.back() != upper) {
                highs.push_back(upper);
                lows.emplace_back();
            }
            lows.back().push_back(static_cast<std::uint32_t>(value));
        }
        if (!has_high(term)) {
            low(term);
            return tree(lows.front(), std::vector<Label>(lows.front().size(), yes));
        }
        std::vector<Label> groups;
        for (std::size_t i = 0; i < highs.size(); ++i) groups.push_back(label());
        // The lower half is computed before: in each group it would be once more.
        low(term);
        high(term);
        tree(highs, groups);
        for (std::size_t i = 0; i < highs.size(); ++i) {
            place(groups[i]);
            on_a_path([&] {
                low(term);
                tree(lows[i], std::vector<Label>(lows[i].size(), yes));
            });
        }
    }

    Terms& terms_;
    std::uint32_t free_;
    Steps steps_;
    std::vector<std::uint32_t> places_;  // of labels
    std::vector<Remembered> memory_;     // oldest first
    std::vector<Remembered> forgotten_;  // on some path
    unsigned depth_ = 0;
    bool too_long_ = false, no_scratch_ = false, too_deep_ = false;
};

}  // namespace

Result<Steps> code_for(Terms& terms, Term term, unsigned slots) { return Coder(terms, slots).value(term); }
Result<Steps> code_for(Terms& terms, Condition condition, unsigned slots) {
    return Coder(terms, slots).truth(condition);
}

}  // namespace bpfwarden::filter
