// SPDX-License-Identifier: Apache-2.0
// Sums, products and shifts of 64 bits, by halves.
#include <utility>

#include "filter/arithmetic_coder.hpp"

namespace bpfwarden::filter {

using namespace bytecode::classic;

// ---- add and multiply

void Coder::add_high(Term a, Term b) {
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
void Coder::negate_high(Term a) {
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

void Coder::multiply_high(Term a, Term b) {
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
void Coder::shift_signed(unsigned by) {
    if (by == 0) return;
    put(by_k(BPF_XOR), sign);
    put(by_k(BPF_RSH), by);
    put(by_k(BPF_SUB), sign >> by);
}

void Coder::shift(TermKind kind, Term a, unsigned by, bool high_half) {
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
void Coder::join(Half one, int operation, unsigned amount, Half other, int other_operation, unsigned other_amount) {
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
void Coder::shift(TermKind kind, Term a, Term by, bool high_half) {
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

void Coder::load_shifted(Half half, int toward, std::uint32_t amount, bool is_signed, std::uint32_t part) {
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

}  // namespace bpfwarden::filter
