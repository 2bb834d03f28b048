// SPDX-License-Identifier: Apache-2.0
#include "filter/term.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <limits>
#include <unordered_map>
#include <utility>

namespace bpfwarden::filter {

namespace {

using Number = std::uint64_t;
using Signed = std::int64_t;
constexpr Number all_bits = std::numeric_limits<Number>::max();
constexpr Number sign_bit = Number{1} << 63;

constexpr Number low_bits(unsigned count) { return count >= 64 ? all_bits : (Number{1} << count) - 1; }
// Every number up to the largest with these bits.
constexpr Number all_below(Number bits) { return low_bits(static_cast<unsigned>(std::bit_width(bits))); }

constexpr Number extended(Number value, unsigned bits) {
    const Number kept = value & low_bits(bits);
    return bits < 64 && (kept >> (bits - 1) & 1) != 0 ? kept | ~low_bits(bits) : kept;
}

Number divide_signed(Number a, Number b) {
    if (b == 0) return 0;
    if (b == all_bits) return 0 - a;
    return static_cast<Number>(static_cast<Signed>(a) / static_cast<Signed>(b));
}
Number modulo_signed(Number a, Number b) {
    if (b == 0) return a;
    if (b == all_bits) return 0;
    return static_cast<Number>(static_cast<Signed>(a) % static_cast<Signed>(b));
}

Number compute(TermKind kind, Number a, Number b) {
    switch (kind) {
        case TermKind::add:
            return a + b;
        case TermKind::multiply:
            return a * b;
        case TermKind::divide:
            return b == 0 ? 0 : a / b;
        case TermKind::modulo:
            return b == 0 ? a : a % b;
        case TermKind::divide_signed:
            return divide_signed(a, b);
        case TermKind::modulo_signed:
            return modulo_signed(a, b);
        case TermKind::bit_and:
            return a & b;
        case TermKind::bit_or:
            return a | b;
        case TermKind::bit_xor:
            return a ^ b;
        case TermKind::shift_left:
            return a << (b & 63);
        case TermKind::shift_right:
            return a >> (b & 63);
        case TermKind::shift_right_signed:
            return static_cast<Number>(static_cast<Signed>(a) >> (b & 63));
        default:
            return 0;
    }
}

constexpr bool commutes(TermKind kind) {
    return kind == TermKind::add || kind == TermKind::multiply || kind == TermKind::bit_and ||
           kind == TermKind::bit_or || kind == TermKind::bit_xor;
}

// Terms and conditions in one sequence: what one is made of stands before it.
struct Cell {
    std::uint8_t kind = 0;  // of a condition: from first_condition on
    std::uint32_t a = 0, b = 0, condition = 0;
    Number number = 0;
    std::vector<Number> values = {};

    bool operator==(const Cell&) const = default;
};
constexpr std::uint8_t first_condition = 64;

struct Hash {
    std::size_t operator()(const Cell& cell) const {
        std::size_t hash = cell.kind;
        const auto mix = [&hash](Number value) {
            hash = (hash ^ value) * 0x9e3779b97f4a7c15U;
            hash ^= hash >> 29;
        };
        mix(Number{cell.a} << 32 | cell.b);
        mix(cell.condition);
        mix(cell.number);
        for (const Number value : cell.values) mix(value);
        return hash;
    }
};

}  // namespace

struct Terms::State {
    std::vector<const Cell*> cells;
    std::vector<Number> bits;  // of a term
    std::vector<std::uint16_t> words;
    std::unordered_map<Cell, std::uint32_t, Hash> known;
    std::uint64_t work = 0;
    unsigned depth = 0, left = 0;

    // One call of a function that simplifies and, for that, calls itself. Terms share parts: without a bound the work
    // is exponential in their depth.
    class Call {
      public:
        explicit Call(State& state) : state_(state) {
            if (state_.depth++ == 0) state_.left = most;
            ++state_.work;
            enough_ = state_.left == 0 || state_.depth > deepest;
            if (state_.left != 0) --state_.left;
        }
        ~Call() { --state_.depth; }
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;
        bool enough() const { return enough_; }

      private:
        // A level takes some 400 bytes of stack, and threads of programs that use the library may have little.
        static constexpr unsigned most = 1000, deepest = 100;
        State& state_;
        bool enough_ = false;
    };

    std::uint32_t keep(Cell cell, Number bits_of_it) {
        const auto [at, is_new] = known.try_emplace(std::move(cell), static_cast<std::uint32_t>(cells.size()));
        if (is_new) {
            // Operands that a kind does not have are 0, which reads nothing.
            const Cell& kept = at->first;
            unsigned read = kept.kind == static_cast<std::uint8_t>(TermKind::word) ? 1U << kept.number : 0U;
            if (!cells.empty())
                for (const std::uint32_t operand : {kept.a, kept.b, kept.condition}) read |= words[operand];
            cells.push_back(&kept);  // keys of an unordered_map stay where they are
            bits.push_back(bits_of_it);
            words.push_back(static_cast<std::uint16_t>(read));
        }
        return at->second;
    }
    Term keep(TermKind kind, Cell cell, Number bits_of_it) {
        cell.kind = static_cast<std::uint8_t>(kind);
        return {keep(std::move(cell), bits_of_it)};
    }
    Condition keep(ConditionKind kind, Cell cell) {
        cell.kind = static_cast<std::uint8_t>(first_condition + static_cast<std::uint8_t>(kind));
        return {keep(std::move(cell), 0)};
    }
};

void Terms::Destroy::operator()(State* state) const { delete state; }

Terms::Terms() : state_(new State) {
    (void)state_->keep(ConditionKind::never, {});
    (void)state_->keep(ConditionKind::always, {});
}

std::size_t Terms::size() const { return state_->cells.size(); }
std::uint16_t Terms::words(Term term) const { return state_->words[term.id]; }
std::uint64_t Terms::work() const { return state_->work; }

TermView Terms::operator[](Term term) const {
    const Cell& cell = *state_->cells[term.id];
    return {static_cast<TermKind>(cell.kind), {cell.a}, {cell.b}, cell.number, cell.values, {cell.condition}};
}
ConditionView Terms::operator[](Condition condition) const {
    const Cell& cell = *state_->cells[condition.id];
    return {
        static_cast<ConditionKind>(cell.kind - first_condition), {cell.a}, {cell.b}, {cell.a}, {cell.b}, cell.values};
}

std::optional<Number> Terms::value(Term term) const {
    const Cell& cell = *state_->cells[term.id];
    if (cell.kind != static_cast<std::uint8_t>(TermKind::constant)) return std::nullopt;
    return cell.number;
}
Number Terms::bits(Term term) const { return state_->bits[term.id]; }

// ---- values

Term Terms::constant(Number value) { return state_->keep(TermKind::constant, {.number = value}, value); }
Term Terms::word(Word which) {
    return state_->keep(TermKind::word, {.number = static_cast<Number>(which)}, low_bits(32));
}
Term Terms::pair(Word low, Word high) {
    return binary(TermKind::bit_or, word(low), binary(TermKind::shift_left, word(high), constant(32)));
}
Term Terms::subtract(Term a, Term b) {
    if (a == b) return constant(0);
    return binary(TermKind::add, a, binary(TermKind::multiply, b, constant(all_bits)));
}

static Number bits_after(TermKind kind, Number a, Number b, std::optional<Number> second) {
    switch (kind) {
        case TermKind::bit_and:
            return a & b;
        case TermKind::bit_or:
        case TermKind::bit_xor:
            return a | b;
        case TermKind::shift_left:
            return second ? a << *second : all_bits;
        case TermKind::shift_right:
            return second ? a >> *second : all_below(a);
        case TermKind::add: {
            Number sum = 0;
            return __builtin_add_overflow(all_below(a), all_below(b), &sum) ? all_bits : all_below(sum);
        }
        case TermKind::multiply: {
            Number product = 0;
            return __builtin_mul_overflow(all_below(a), all_below(b), &product) ? all_bits : all_below(product);
        }
        case TermKind::divide:
            return all_below(a);
        case TermKind::modulo:
            return second && *second != 0 ? all_below(*second - 1) & all_below(a) : all_below(a);
        default:
            return all_bits;
    }
}

Term Terms::binary(TermKind kind, Term a, Term b) {
    bool first = value(a).has_value(), second = value(b).has_value();
    if (first && second) return constant(compute(kind, *value(a), *value(b)));
    if (commutes(kind) && (first || (!second && b < a))) {
        std::swap(a, b);
        std::swap(first, second);
    }
    const State::Call call(*state_);
    if (call.enough()) return state_->keep(kind, {.a = a.id, .b = b.id}, bits_after(kind, bits(a), bits(b), value(b)));
    const auto x = (*this)[a];
    const Number may = bits(a);
    // A constant second operand of `a`; only looked at where there is one.
    const bool has_two = x.kind > TermKind::word && x.kind < TermKind::sign_extend;
    const auto second_of_a = has_two ? value(x.b) : std::nullopt;
    const bool inner = second_of_a.has_value();
    const Number inner_number = second_of_a.value_or(0);
    const auto again = [&](TermKind outer, Term left, Number right) { return binary(outer, left, constant(right)); };

    if (second) {
        const Number k = value(b).value_or(0);
        // What is a table or a choice stays one.
        if (x.kind == TermKind::table) {
            std::vector<Number> values(x.values.begin(), x.values.end());
            for (auto& one : values) one = compute(kind, one, k);
            return table(x.a, std::move(values));
        }
        if (x.kind == TermKind::select && (value(x.a) || value(x.b))) {
            const auto condition = x.condition;
            const Term yes = binary(kind, x.a, b), no = binary(kind, x.b, b);
            return select(condition, yes, no);
        }
        switch (kind) {
            case TermKind::bit_and: {
                if ((may & ~k) == 0) return a;
                if ((may & k) == 0) return constant(0);
                if (k != (k & may)) return again(kind, a, k & may);
                if (x.kind == TermKind::bit_and && inner) return again(kind, x.a, inner_number & k);
                if (x.kind == TermKind::bit_or || x.kind == TermKind::bit_xor) {
                    const Term left = again(kind, x.a, k), right = again(kind, x.b, k);
                    return binary(x.kind, left, right);
                }
                if (x.kind == TermKind::shift_left && inner)
                    return again(TermKind::shift_left, again(kind, x.a, k >> inner_number), inner_number);
                break;
            }
            case TermKind::bit_or:
                if (k == 0) return a;
                if ((may & ~k) == 0) return b;
                break;
            case TermKind::bit_xor:
                if (k == 0) return a;
                if (x.kind == TermKind::bit_xor && inner) return again(kind, x.a, inner_number ^ k);
                break;
            case TermKind::add:
                if (k == 0) return a;
                if (x.kind == TermKind::add && inner) return again(kind, x.a, inner_number + k);
                if ((may & k) == 0) return again(TermKind::bit_or, a, k);
                break;
            case TermKind::multiply:
                if (k == 0) return b;
                if (k == 1) return a;
                if (x.kind == TermKind::multiply && inner) return again(kind, x.a, inner_number * k);
                if (std::has_single_bit(k))
                    return again(TermKind::shift_left, a, static_cast<Number>(std::countr_zero(k)));
                break;
            case TermKind::divide:
                if (k == 0) return constant(0);
                if (all_below(may) < k) return constant(0);
                if (std::has_single_bit(k))
                    return again(TermKind::shift_right, a, static_cast<Number>(std::countr_zero(k)));
                break;
            case TermKind::modulo:
                if (k == 0 || all_below(may) < k) return a;
                if (std::has_single_bit(k)) return again(TermKind::bit_and, a, k - 1);
                break;
            case TermKind::divide_signed:
                if (k == 0) return constant(0);
                if (((may | k) & sign_bit) == 0) return again(TermKind::divide, a, k);
                break;
            case TermKind::modulo_signed:
                if (k == 0) return a;
                if (((may | k) & sign_bit) == 0) return again(TermKind::modulo, a, k);
                break;
            case TermKind::shift_left: {
                if (k == 0) return a;
                if ((may << k) == 0) return constant(0);
                if (x.kind == TermKind::shift_left && inner)
                    return inner_number + k < 64 ? again(kind, x.a, inner_number + k) : constant(0);
                if (x.kind == TermKind::bit_or) {
                    const Term left = again(kind, x.a, k), right = again(kind, x.b, k);
                    return binary(TermKind::bit_or, left, right);
                }
                if (const Number kept = all_bits >> k; (may & ~kept) != 0)
                    return again(kind, again(TermKind::bit_and, a, kept), k);
                break;
            }
            case TermKind::shift_right_signed:
                if (k == 0) return a;
                if ((may & sign_bit) == 0) return again(TermKind::shift_right, a, k);
                break;
            case TermKind::shift_right:
                if (k == 0) return a;
                if (may >> k == 0) return constant(0);
                if (x.kind == TermKind::bit_or || x.kind == TermKind::bit_xor) {
                    const Term left = again(kind, x.a, k), right = again(kind, x.b, k);
                    return binary(x.kind, left, right);
                }
                // Bits that were shifted out are none: shift_left masks what it is given.
                if (x.kind == TermKind::shift_left && inner)
                    return k >= inner_number ? again(kind, x.a, k - inner_number)
                                             : again(TermKind::shift_left, x.a, inner_number - k);
                if (x.kind == TermKind::shift_right && inner)
                    return inner_number + k < 64 ? again(kind, x.a, inner_number + k) : constant(0);
                if (x.kind == TermKind::bit_and && inner)
                    return again(TermKind::bit_and, again(kind, x.a, k), inner_number >> k);
                break;
            default:
                break;
        }
    } else if (first) {
        // Only kinds that do not commute. 0 stays 0.
        const Number k = value(a).value_or(0);
        if (k == 0) return a;
        // Few amounts: a table of all results.
        const Number most = bits(b);
        if (most < 64) {
            std::vector<Number> values;
            for (Number amount = 0; amount <= most; ++amount) values.push_back(compute(kind, k, amount));
            return table(b, std::move(values));
        }
    } else {
        if (a == b) {
            if (kind == TermKind::bit_and || kind == TermKind::bit_or) return a;
            if (kind == TermKind::bit_xor) return constant(0);
        }
        if (kind == TermKind::bit_and && (may & bits(b)) == 0) return constant(0);
        if ((kind == TermKind::add || kind == TermKind::bit_xor) && (may & bits(b)) == 0)
            return binary(TermKind::bit_or, a, b);
        // x + -1 * x, as subtract() leaves it.
        if (kind == TermKind::add) {
            const auto y = (*this)[b];
            const auto negates = [&](const TermView& view, Term other) {
                return view.kind == TermKind::multiply && value(view.b) == all_bits && view.a == other;
            };
            if (negates(x, b) || negates(y, a)) return constant(0);
        }
    }
    return state_->keep(kind, {.a = a.id, .b = b.id}, bits_after(kind, may, bits(b), value(b)));
}

Term Terms::sign_extend(Term a, unsigned count) {
    if (const auto known = value(a)) return constant(extended(*known, count));
    a = binary(TermKind::bit_and, a, constant(low_bits(count)));
    if (const auto known = value(a)) return constant(extended(*known, count));
    if (count >= 64 || (bits(a) >> (count - 1) & 1) == 0) return a;
    const State::Call call(*state_);
    const auto x = (*this)[a];
    if (call.enough()) return state_->keep(TermKind::sign_extend, {.a = a.id, .number = count}, all_bits);
    if (x.kind == TermKind::table) {
        std::vector<Number> values(x.values.begin(), x.values.end());
        for (auto& one : values) one = extended(one, count);
        return table(x.a, std::move(values));
    }
    if (x.kind == TermKind::select && (value(x.a) || value(x.b))) {
        const auto condition = x.condition;
        const Term yes = sign_extend(x.a, count), no = sign_extend(x.b, count);
        return select(condition, yes, no);
    }
    return state_->keep(TermKind::sign_extend, {.a = a.id, .number = count}, all_bits);
}

Term Terms::table(Term index, std::vector<Number> values) {
    assert(!values.empty() && bits(index) < values.size());
    if (const auto known = value(index)) return constant(values[*known]);
    // Entries that the index cannot name are made alike, so that equal tables are equal.
    values.resize(bits(index) + 1);
    std::optional<Number> one;
    bool all_alike = true;
    Number may = 0;
    for (Number at = 0; at < values.size(); ++at) {
        if ((at & ~bits(index)) != 0) {
            values[at] = 0;
            continue;
        }
        all_alike &= !one || *one == values[at];
        one = values[at];
        may |= values[at];
    }
    if (all_alike) return constant(*one);
    return state_->keep(TermKind::table, {.a = index.id, .values = std::move(values)}, may);
}

Term Terms::select(Condition condition, Term yes, Term no) {
    if (condition == always() || yes == no) return yes;
    if (condition == never()) return no;
    if (const auto view = (*this)[condition]; view.kind == ConditionKind::opposite) return select(view.c, no, yes);
    return state_->keep(TermKind::select, {.a = yes.id, .b = no.id, .condition = condition.id}, bits(yes) | bits(no));
}

// ---- conditions

Condition Terms::opposite(Condition c) {
    if (c == always()) return never();
    if (c == never()) return always();
    if (const auto view = (*this)[c]; view.kind == ConditionKind::opposite) return view.c;
    return state_->keep(ConditionKind::opposite, {.a = c.id});
}

Condition Terms::both(Condition c, Condition d) {
    if (c == never() || d == never()) return never();
    if (c == always() || c == d) return d;
    if (d == always()) return c;
    if (opposite(c) == d) return never();
    return state_->keep(ConditionKind::both, {.a = c.id, .b = d.id});
}

Condition Terms::equal(Term a, Term b) {
    if (a == b) return always();
    if (value(a) && value(b)) return never();
    if (value(a) || (!value(b) && b < a)) std::swap(a, b);
    const State::Call call(*state_);
    if (call.enough()) return state_->keep(ConditionKind::equal, {.a = a.id, .b = b.id});
    const auto known = value(b);
    if (!known) {
        if ((bits(a) & bits(b)) == 0) return both(equal(a, constant(0)), equal(b, constant(0)));
        return state_->keep(ConditionKind::equal, {.a = a.id, .b = b.id});
    }
    const Number k = *known, may = bits(a);
    if ((k & ~may) != 0) return never();
    const auto x = (*this)[a];
    const auto is = [&](Term term, Number number) { return equal(term, constant(number)); };
    switch (x.kind) {
        case TermKind::bit_or:
            if ((bits(x.a) & bits(x.b)) == 0) {
                // The upper half first: it decides for most values.
                const bool swap = bits(x.a) < bits(x.b);
                const Term high = swap ? x.b : x.a, low = swap ? x.a : x.b;
                const Condition c = is(high, k & bits(high));
                if (c == never()) return c;
                return both(c, is(low, k & bits(low)));
            }
            break;
        case TermKind::bit_xor:
            if (const auto with = value(x.b)) return is(x.a, k ^ *with);
            break;
        case TermKind::add:
            if (const auto more = value(x.b)) return is(x.a, k - *more);
            // a - b == 0
            if (const auto y = (*this)[x.b]; k == 0 && y.kind == TermKind::multiply && value(y.b) == all_bits)
                return equal(x.a, y.a);
            if (const auto y = (*this)[x.a]; k == 0 && y.kind == TermKind::multiply && value(y.b) == all_bits)
                return equal(x.b, y.a);
            break;
        case TermKind::shift_left:
            // What was shifted out is none.
            if (const auto by = value(x.b)) return is(x.a, k >> *by);
            break;
        case TermKind::shift_right:
            if (const auto by = value(x.b)) {
                const Number upper = all_bits << *by;
                return (k << *by) >> *by == k ? is(binary(TermKind::bit_and, x.a, constant(upper)), k << *by) : never();
            }
            break;
        case TermKind::bit_and: {
            const auto mask = value(x.b);
            if (!mask) break;
            const auto y = (*this)[x.a];
            if (y.kind == TermKind::shift_right)
                if (const auto by = value(y.b); by && (*mask << *by) >> *by == *mask)
                    return is(binary(TermKind::bit_and, y.a, constant(*mask << *by)), k << *by);
            // Modulo a power of two: as the sum was of numbers that small.
            if (y.kind == TermKind::add && std::has_single_bit(*mask + 1))
                if (const auto more = value(y.b); more && (bits(y.a) & ~*mask) == 0)
                    return is(y.a, (k - *more) & *mask);
            break;
        }
        case TermKind::sign_extend: {
            const auto count = static_cast<unsigned>(x.number);
            return extended(k, count) == k ? is(x.a, k & low_bits(count)) : never();
        }
        case TermKind::table: {
            std::vector<Number> at;
            for (Number i = 0; i < x.values.size(); ++i)
                if (x.values[i] == k && (i & ~bits(x.a)) == 0) at.push_back(i);
            return one_of(x.a, std::move(at));
        }
        case TermKind::select: {
            const Condition yes = is(x.a, k), no = is(x.b, k);
            const auto decided = [&](Condition c) { return c == always() || c == never(); };
            if (!decided(yes) && !decided(no)) break;
            return either(both(x.condition, yes), both(opposite(x.condition), no));
        }
        default:
            break;
    }
    return state_->keep(ConditionKind::equal, {.a = a.id, .b = b.id});
}

Condition Terms::below(Term a, Term b) {
    const auto first = value(a), second = value(b);
    if (first && second) return truth(*first < *second);
    if (a == b) return never();
    const State::Call call(*state_);
    if (call.enough()) return state_->keep(ConditionKind::below, {.a = a.id, .b = b.id});
    if (first) return *first == all_bits ? never() : opposite(below(b, constant(*first + 1)));
    if (!second) return state_->keep(ConditionKind::below, {.a = a.id, .b = b.id});
    const Number k = *second, may = bits(a);
    if (k == 0) return never();
    if (may < k) return always();
    if (k == 1) return equal(a, constant(0));
    const auto x = (*this)[a];
    switch (x.kind) {
        case TermKind::table: {
            std::vector<Number> at;
            for (Number i = 0; i < x.values.size(); ++i)
                if (x.values[i] < k && (i & ~bits(x.a)) == 0) at.push_back(i);
            return one_of(x.a, std::move(at));
        }
        case TermKind::select: {
            const Condition yes = below(x.a, b), no = below(x.b, b);
            const auto decided = [&](Condition c) { return c == always() || c == never(); };
            if (!decided(yes) && !decided(no)) break;
            return either(both(x.condition, yes), both(opposite(x.condition), no));
        }
        case TermKind::shift_right:
            if (const auto by = value(x.b); by && (k << *by) >> *by == k) return below(x.a, constant(k << *by));
            break;
        case TermKind::shift_left:
            // What was shifted out is none; rounded up.
            if (const auto by = value(x.b))
                return below(x.a, constant((k >> *by) + ((k & low_bits(static_cast<unsigned>(*by))) != 0)));
            break;
        default:
            break;
    }
    return state_->keep(ConditionKind::below, {.a = a.id, .b = b.id});
}

Condition Terms::below_signed(Term a, Term b) {
    if (a == b) return never();
    const auto first = value(a), second = value(b);
    if (((bits(a) | bits(b)) & sign_bit) == 0) return below(a, b);
    if (first && second) return truth(static_cast<Signed>(*first) < static_cast<Signed>(*second));
    if (first) return *first == sign_bit - 1 ? never() : opposite(below_signed(b, constant(*first + 1)));
    if (!second) return state_->keep(ConditionKind::below_signed, {.a = a.id, .b = b.id});
    const Number k = *second;
    const auto x = (*this)[a];
    // Of n bits, by unsigned comparisons: the negative ones are the upper half.
    const auto split = [&](Term term, unsigned count) {
        const Number half = Number{1} << (count - 1);
        const Condition negative = opposite(below(term, constant(half)));
        const Condition smaller = below(term, constant(k & low_bits(count)));
        return (k & sign_bit) == 0 ? either(negative, smaller) : both(negative, smaller);
    };
    if (x.kind == TermKind::sign_extend) {
        const auto count = static_cast<unsigned>(x.number);
        const auto most = static_cast<Signed>(low_bits(count - 1));
        if (static_cast<Signed>(k) > most) return always();
        if (static_cast<Signed>(k) <= -most - 1) return never();
        return split(x.a, count);
    }
    return split(a, 64);
}

Condition Terms::one_of(Term a, std::vector<Number> values) {
    std::ranges::sort(values);
    values.erase(std::ranges::unique(values).begin(), values.end());
    if (const auto known = value(a)) return truth(std::ranges::binary_search(values, *known));
    std::erase_if(values, [may = bits(a)](Number one) { return (one & ~may) != 0; });
    if (values.empty()) return never();
    if (values.size() == 1) return equal(a, constant(values.front()));
    const Number count = values.size();
    if (values.back() - values.front() == count - 1) {
        const Condition not_less = opposite(below(a, constant(values.front())));
        const Condition not_more = values.back() == all_bits ? always() : below(a, constant(values.back() + 1));
        return both(not_less, not_more);
    }
    // All that its bits can make.
    const auto may = static_cast<unsigned>(std::popcount(bits(a)));
    if (may < 32 && count == Number{1} << may) return always();
    return state_->keep(ConditionKind::one_of, {.a = a.id, .values = std::move(values)});
}

// ---- for one input

namespace {

Terms::Operands operands_of(const Cell& cell) {
    if (cell.kind >= first_condition) {
        switch (static_cast<ConditionKind>(cell.kind - first_condition)) {
            case ConditionKind::never:
            case ConditionKind::always:
                return {};
            case ConditionKind::one_of:
            case ConditionKind::opposite:
                return {{cell.a}, 1};
            default:
                return {{cell.a, cell.b}, 2};
        }
    }
    switch (static_cast<TermKind>(cell.kind)) {
        case TermKind::constant:
        case TermKind::word:
            return {};
        case TermKind::sign_extend:
        case TermKind::table:
            return {{cell.a}, 1};
        case TermKind::select:
            return {{cell.condition, cell.a, cell.b}, 3};
        default:
            return {{cell.a, cell.b}, 2};
    }
}

// What `root` is made of, itself last.
std::vector<std::uint32_t> parts_of(const std::vector<const Cell*>& cells, std::uint32_t root) {
    std::vector<std::uint32_t> found{root}, open{root};
    std::vector<bool> seen(root + 1, false);
    seen[root] = true;
    while (!open.empty()) {
        const Cell& cell = *cells[open.back()];
        open.pop_back();
        for (const std::uint32_t id : operands_of(cell)) {
            if (seen[id]) continue;
            seen[id] = true;
            found.push_back(id);
            open.push_back(id);
        }
    }
    std::ranges::sort(found);
    return found;
}

Number value_of(const Cell& cell, const Data& data, const auto& at) {
    if (cell.kind >= first_condition) {
        switch (static_cast<ConditionKind>(cell.kind - first_condition)) {
            case ConditionKind::never:
                return 0;
            case ConditionKind::always:
                return 1;
            case ConditionKind::equal:
                return at(cell.a) == at(cell.b);
            case ConditionKind::below:
                return at(cell.a) < at(cell.b);
            case ConditionKind::below_signed:
                return static_cast<Signed>(at(cell.a)) < static_cast<Signed>(at(cell.b));
            case ConditionKind::one_of:
                return std::ranges::binary_search(cell.values, at(cell.a));
            case ConditionKind::both:
                return at(cell.a) & at(cell.b);
            case ConditionKind::opposite:
                return at(cell.a) ^ 1;
        }
        return 0;
    }
    const auto kind = static_cast<TermKind>(cell.kind);
    switch (kind) {
        case TermKind::constant:
            return cell.number;
        case TermKind::word:
            return data.words[cell.number];
        case TermKind::sign_extend:
            return extended(at(cell.a), static_cast<unsigned>(cell.number));
        case TermKind::table:
            return cell.values[at(cell.a)];
        case TermKind::select:
            return at(cell.condition) != 0 ? at(cell.a) : at(cell.b);
        default:
            return compute(kind, at(cell.a), at(cell.b));
    }
}

Number evaluate_cell(const std::vector<const Cell*>& cells, std::uint32_t root, const Data& data) {
    const auto parts = parts_of(cells, root);
    std::unordered_map<std::uint32_t, Number> values;
    for (const auto id : parts)
        values.emplace(id, value_of(*cells[id], data, [&](std::uint32_t of) { return values.at(of); }));
    return values.at(root);
}

}  // namespace

Terms::Operands Terms::operands(std::uint32_t id) const { return operands_of(*state_->cells[id]); }
bool Terms::is_condition(std::uint32_t id) const { return state_->cells[id]->kind >= first_condition; }

Number Terms::evaluate(Term term, const Data& data) const { return evaluate_cell(state_->cells, term.id, data); }
bool Terms::holds(Condition condition, const Data& data) const {
    return evaluate_cell(state_->cells, condition.id, data) != 0;
}

}  // namespace bpfwarden::filter
