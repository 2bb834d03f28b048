// SPDX-License-Identifier: Apache-2.0
#include "filter/arithmetic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <ranges>
#include <unordered_map>

#include "filter/arithmetic_coder.hpp"

namespace bpfwarden::filter {

using namespace bytecode::classic;

Result<Steps> Coder::value(Term term) {
    compute_from_below(term.id);
    low(term);
    return done();
}
Result<Steps> Coder::truth(Condition condition) {
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

// ---- steps and labels

void Coder::put(std::uint16_t code, std::uint32_t k) {
    if (steps_.size() > max_instructions) too_long_ = true;
    if (!too_long_ && !no_scratch_) steps_.push_back({.code = code, .k = k});
}

Result<Steps> Coder::done() {
    if (too_deep_)
        return fail(Error(Code::unsupported,
                          fmt::format("a value is computed from what was computed, more than {} times", deepest))
                        .advise("compute it in fewer steps, or decide on the way"));
    if (too_long_) return fail(Error(Code::unsupported, "a value takes more than 4096 instructions to compute"));
    if (no_scratch_) return fail(Error(Code::unsupported, "a value needs more than the 16 words of scratch memory"));
    for (auto& step : steps_)
        if (is_jump(step)) step.yes = places_[step.yes], step.no = places_[step.no];
    while (drop_unread()) continue;
    return std::move(steps_);
}

Coder::Effect Coder::effect_of(const Step& step) {
    constexpr std::uint32_t a = 1U << 16, x = 1U << 17;
    const std::uint32_t slot = step.k < scratch_words ? 1U << step.k : 0, operand = (step.code & BPF_X) != 0 ? x : 0;
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

bool Coder::drop_unread() {
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

// ---- scratch memory

std::uint32_t Coder::take() {
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

void Coder::remember(Half half) {
    if (remembered(half)) return;
    const auto slot = take();
    put(store, slot);
    memory_.push_back({half, slot});
}

void Coder::paths_meet(std::size_t since) {
    for (std::size_t i = since; i < forgotten_.size(); ++i) {
        const auto at = std::ranges::find(memory_, forgotten_[i]);
        if (at == memory_.end()) continue;
        give_back(at->slot);
        memory_.erase(at);
    }
}

// ---- halves

std::optional<std::uint32_t> Coder::constant(Half half) const {
    if (const auto value = terms_.value(half.term))
        return static_cast<std::uint32_t>(half.high ? *value >> 32 : *value);
    if (half.high && !has_high(half.term)) return 0;
    if (!half.high && (terms_.bits(half.term) & all) == 0) return 0;
    return std::nullopt;
}

// ---- depth

void Coder::compute_from_below(std::uint32_t root) {
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

void Coder::load(Half half) {
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

void Coder::load_both(Half a, Half x) {
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

void Coder::combine(int operation, Half a, Half b) {
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

void Coder::make_low(Term term, const TermView& view) {
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

void Coder::make_high(Term term, const TermView& view) {
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

void Coder::make_half(Term term, const TermView& view, bool high) {
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

void Coder::extend_low(Term of, unsigned bits) {
    low(of);
    if (bits >= 32) return;
    const std::uint32_t half = 1U << (bits - 1);
    if ((terms_.bits(of) & ~((Number{1} << bits) - 1) & all) != 0) put(by_k(BPF_AND), (half << 1) - 1);
    put(by_k(BPF_XOR), half);
    put(by_k(BPF_SUB), half);
}

Result<Steps> code_for(Terms& terms, Term term, unsigned slots) { return Coder(terms, slots).value(term); }
Result<Steps> code_for(Terms& terms, Condition condition, unsigned slots) {
    return Coder(terms, slots).truth(condition);
}

}  // namespace bpfwarden::filter
