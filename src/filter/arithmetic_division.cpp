// SPDX-License-Identifier: Apache-2.0
// Division: of words, by few bits, bit by bit, and with signs.
#include <bit>

#include "filter/arithmetic_coder.hpp"

namespace bpfwarden::filter {

using namespace bytecode::classic;

// ---- division

void Coder::divide(Term term, Term a, Term b, bool modulo, bool high_half) {
    const auto divisor = terms_.value(b);
    if (!has_high(a) && !has_high(b)) {
        if (high_half) return put(load_constant, 0);
        return divide_words(a, b, modulo);
    }
    if (divisor && *divisor != 0 && *divisor <= 0xffff)
        return divide_by_small(a, static_cast<std::uint32_t>(*divisor), modulo, high_half);
    divide_bitwise(term, a, b, modulo, high_half);
}

void Coder::divide_words(Term a, Term b, bool modulo) {
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
void Coder::divide_by_small(Term a, std::uint32_t d, bool modulo, bool high_half) {
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
void Coder::divide_bitwise(Term term, Term a, Term b, bool modulo, bool high_half) {
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
Term Coder::by_magnitudes(const TermView& view) {
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

}  // namespace bpfwarden::filter
