// SPDX-License-Identifier: Apache-2.0
#include "filter/reason.hpp"

#include <algorithm>
#include <bit>
#include <optional>

namespace bpfwarden::filter {

namespace {

using Number = std::uint64_t;
constexpr Number all_bits = std::numeric_limits<Number>::max();
// Terms share parts: without a bound the work is exponential in their depth.
constexpr int deepest = 8;

bool is_empty(Range range) { return range.low > range.high; }
Range both(Range one, Range other) { return {std::max(one.low, other.low), std::min(one.high, other.high)}; }
bool is_low_mask(Number mask) { return mask != 0 && (mask & (mask + 1)) == 0; }

std::optional<Range> sum(Range a, Range b) {
    Number low = 0, high = 0;
    const bool low_wraps = __builtin_add_overflow(a.low, b.low, &low);
    const bool high_wraps = __builtin_add_overflow(a.high, b.high, &high);
    if (low_wraps != high_wraps) return std::nullopt;
    return Range{low, high};
}

}  // namespace

void Reasoner::exclude(std::vector<Range> numbers, std::vector<Range> architectures) {
    numbers_ = std::move(numbers);
    architectures_ = std::move(architectures);
}

const std::vector<Range>* Reasoner::excluded(Term term) const {
    const auto view = terms_[term];
    if (view.kind != TermKind::word || view.number > 1) return nullptr;
    return view.number == static_cast<Number>(Word::nr) ? &numbers_ : &architectures_;
}

bool Reasoner::is_excluded(Term term, Range range) const {
    if (is_empty(range)) return true;
    const auto* none = excluded(term);
    if (none == nullptr) return false;
    const auto at = std::ranges::lower_bound(*none, range.low, {}, &Range::high);
    return at != none->end() && at->low <= range.low && range.high <= at->high;
}

Range Reasoner::of_kind(const Facts& facts, Term term, int depth) {
    const auto view = terms_[term];
    const auto of = [&](Term part) { return range(facts, part, depth + 1); };
    const auto second = [&] { return terms_.value(view.b); };
    switch (view.kind) {
        case TermKind::word: {
            Range whole{0, 0xffffffff};
            const auto* none = excluded(term);
            if (none == nullptr || none->empty()) return whole;
            if (none->front().low == 0) whole.low = none->front().high + 1;
            if (none->back().high == whole.high) whole.high = none->back().low - 1;
            return whole;
        }
        case TermKind::add:
            return sum(of(view.a), of(view.b)).value_or(Range{});
        case TermKind::bit_or:
            if ((terms_.bits(view.a) & terms_.bits(view.b)) == 0) return sum(of(view.a), of(view.b)).value_or(Range{});
            return {std::max(of(view.a).low, of(view.b).low), all_bits};
        case TermKind::bit_and: {
            const auto mask = second();
            const Range whole = of(view.a);
            if (!mask) return {0, std::min(whole.high, of(view.b).high)};
            // Without its lowest bits, and without those above all that differ: order stays.
            if (const Number filled = *mask | (*mask - 1); *mask != 0 && is_low_mask(filled)) {
                const int bits = std::popcount(filled);
                if (bits == 64 || whole.low >> bits == whole.high >> bits)
                    return {whole.low & *mask, whole.high & *mask};
            }
            return {0, std::min(whole.high, *mask)};
        }
        case TermKind::multiply: {
            const Range a = of(view.a), b = of(view.b);
            Number high = 0;
            if (__builtin_mul_overflow(a.high, b.high, &high)) return {};
            return {a.low * b.low, high};
        }
        case TermKind::shift_left:
            if (const auto by = second(); by && *by < 64) {
                const Range a = of(view.a);
                if ((a.high << *by) >> *by == a.high) return {a.low << *by, a.high << *by};
            }
            return {};
        case TermKind::shift_right:
            if (const auto by = second(); by && *by < 64) {
                const Range a = of(view.a);
                return {a.low >> *by, a.high >> *by};
            }
            return {0, of(view.a).high};
        case TermKind::divide:
            if (const auto by = second(); by && *by != 0) {
                const Range a = of(view.a);
                return {a.low / *by, a.high / *by};
            }
            return {0, of(view.a).high};
        case TermKind::modulo: {
            const Range a = of(view.a);
            if (const auto by = second(); by && *by != 0) return a.high < *by ? a : Range{0, *by - 1};
            return {0, a.high};
        }
        case TermKind::sign_extend: {
            const Range a = of(view.a);
            return a.high >> (view.number - 1) == 0 ? a : Range{};
        }
        case TermKind::select: {
            const Range a = of(view.a), b = of(view.b);
            return {std::min(a.low, b.low), std::max(a.high, b.high)};
        }
        case TermKind::table: {
            const Range index = of(view.a);
            Range values{all_bits, 0};
            work += view.values.size() / 16;
            for (Number at = index.low; at <= index.high && at < view.values.size(); ++at) {
                values.low = std::min(values.low, view.values[at]);
                values.high = std::max(values.high, view.values[at]);
            }
            return is_empty(values) ? Range{} : values;
        }
        default:
            return {};
    }
}

Range Reasoner::range(const Facts& facts, Term term, int depth) {
    ++work;
    if (const auto known = terms_.value(term)) return {*known, *known};
    looked_at |= terms_.words(term) & 3U;
    Range range{0, terms_.bits(term)};
    const auto fact = std::ranges::lower_bound(facts, term, {}, &Facts::value_type::first);
    if (fact != facts.end() && fact->first == term) range = both(range, fact->second);
    if (depth < deepest)
        if (const auto also = both(range, of_kind(facts, term, depth)); !is_empty(also)) range = also;
    return range;
}

Condition Reasoner::simplify(const Facts& facts, Condition condition, int depth) {
    const auto view = terms_[condition];
    switch (view.kind) {
        case ConditionKind::never:
        case ConditionKind::always:
            return condition;
        case ConditionKind::opposite: {
            const Condition inner = simplify(facts, view.c, depth);
            return inner == view.c ? condition : terms_.opposite(inner);
        }
        case ConditionKind::both: {
            if (depth >= deepest) return condition;
            const Condition c = simplify(facts, view.c, depth + 1);
            if (c == terms_.never()) return c;
            const Condition d = simplify(facts, view.d, depth + 1);
            return c == view.c && d == view.d ? condition : terms_.both(c, d);
        }
        case ConditionKind::equal: {
            const Range a = range(facts, view.a), b = range(facts, view.b);
            if (is_empty(both(a, b))) return terms_.never();
            if (a.low == a.high && a == b) return terms_.always();
            if (b.low == b.high && is_excluded(view.a, b)) return terms_.never();
            return condition;
        }
        case ConditionKind::below: {
            const Range a = range(facts, view.a), b = range(facts, view.b);
            if (a.high < b.low) return terms_.always();
            if (a.low >= b.high) return terms_.never();
            if (b.low == b.high) {
                if (is_excluded(view.a, {a.low, b.low - 1})) return terms_.never();
                if (is_excluded(view.a, {b.low, a.high})) return terms_.always();
            }
            return condition;
        }
        case ConditionKind::below_signed: {
            const Range a = range(facts, view.a), b = range(facts, view.b);
            if (((a.high | b.high) >> 63) != 0) return condition;
            return simplify(facts, terms_.below(view.a, view.b), depth + 1);
        }
        case ConditionKind::one_of: {
            const Range a = range(facts, view.a);
            work += view.values.size() / 16;
            std::vector<Number> left;
            for (const Number one : view.values)
                if (a.contains(one) && !is_excluded(view.a, {one, one})) left.push_back(one);
            if (!left.empty() && a.high - a.low == left.size() - 1) return terms_.always();
            return left.size() == view.values.size() ? condition : terms_.one_of(view.a, std::move(left));
        }
    }
    return condition;
}

bool Reasoner::narrow(Facts& facts, Term term, Range to, int depth) {
    const Range before = range(facts, term);
    const Range now = both(before, to);
    if (is_empty(now)) return false;
    if (now == before || depth >= deepest || terms_.value(term)) return true;
    const auto at = std::ranges::lower_bound(facts, term, {}, &Facts::value_type::first);
    if (at != facts.end() && at->first == term)
        at->second = now;
    else
        facts.insert(at, {term, now});

    // And so for what it is made of.
    const auto view = terms_[term];
    const auto part = [&](Term of, Range range) { return narrow(facts, of, range, depth + 1); };
    const auto second = terms_.value(view.b);
    switch (view.kind) {
        case TermKind::bit_or: {
            const Number a = terms_.bits(view.a), b = terms_.bits(view.b);
            if ((a & b) != 0) return true;
            const Term high = a > b ? view.a : view.b, low = a > b ? view.b : view.a;
            const auto bits = static_cast<int>(std::bit_width(std::min(a, b)));
            if (bits == 64 || (terms_.bits(high) & ((Number{1} << bits) - 1)) != 0) return true;
            const Number mask = (Number{1} << bits) - 1;
            if (!part(high, {now.low & ~mask, now.high & ~mask})) return false;
            return now.low >> bits != now.high >> bits || part(low, {now.low & mask, now.high & mask});
        }
        case TermKind::add:
            if (!second || now.low - *second > now.high - *second) return true;
            return part(view.a, {now.low - *second, now.high - *second});
        case TermKind::bit_and: {
            if (!second || !is_low_mask(*second)) return true;
            if (range(facts, view.a).high <= *second) return part(view.a, now);
            // A sum of narrower numbers, cut to their width.
            const auto inner = terms_[view.a];
            if (inner.kind != TermKind::add) return true;
            const auto more = terms_.value(inner.b);
            if (!more || (terms_.bits(inner.a) & ~*second) != 0) return true;
            const Range summand{(now.low - *more) & *second, (now.high - *more) & *second};
            return is_empty(summand) || part(inner.a, summand);
        }
        case TermKind::shift_left:
            if (!second) return true;
            return part(view.a,
                        {(now.low >> *second) + ((now.low >> *second) << *second != now.low), now.high >> *second});
        case TermKind::shift_right:
            if (!second || (now.high << *second) >> *second != now.high) return true;
            return part(view.a, {now.low << *second, now.high << *second | ((Number{1} << *second) - 1)});
        case TermKind::sign_extend:
            return now.high >> (view.number - 1) != 0 || part(view.a, now);
        default:
            return true;
    }
}

bool Reasoner::assume(Facts& facts, Condition condition, bool holds, int depth) {
    const auto view = terms_[condition];
    switch (view.kind) {
        case ConditionKind::never:
            return !holds;
        case ConditionKind::always:
            return holds;
        case ConditionKind::opposite:
            return assume(facts, view.c, !holds, depth);
        case ConditionKind::both: {
            if (depth >= deepest) return true;
            if (holds) return assume(facts, view.c, true, depth + 1) && assume(facts, view.d, true, depth + 1);
            const Condition c = simplify(facts, view.c), d = simplify(facts, view.d);
            if (c == terms_.always()) return assume(facts, view.d, false, depth + 1);
            return d != terms_.always() || assume(facts, view.c, false, depth + 1);
        }
        case ConditionKind::equal: {
            const Range a = range(facts, view.a), b = range(facts, view.b);
            if (holds) return narrow(facts, view.a, b, 0) && narrow(facts, view.b, a, 0);
            if (b.low != b.high) return true;
            if (a.low == b.low) return a.low != a.high && narrow(facts, view.a, {a.low + 1, a.high}, 0);
            return a.high != b.low || narrow(facts, view.a, {a.low, a.high - 1}, 0);
        }
        case ConditionKind::below: {
            const Range a = range(facts, view.a), b = range(facts, view.b);
            if (!holds) return narrow(facts, view.a, {b.low, all_bits}, 0) && narrow(facts, view.b, {0, a.high}, 0);
            if (b.high == 0 || a.low == all_bits) return false;
            return narrow(facts, view.a, {0, b.high - 1}, 0) && narrow(facts, view.b, {a.low + 1, all_bits}, 0);
        }
        case ConditionKind::below_signed:
            return true;
        case ConditionKind::one_of: {
            if (holds) return narrow(facts, view.a, {view.values.front(), view.values.back()}, 0);
            Range a = range(facts, view.a);
            for (auto at = std::ranges::lower_bound(view.values, a.low); at != view.values.end() && *at == a.low; ++at)
                if (a.low++ == a.high) return false;
            return narrow(facts, view.a, a, 0);
        }
    }
    return true;
}

}  // namespace bpfwarden::filter
