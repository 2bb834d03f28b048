// SPDX-License-Identifier: Apache-2.0
// Tables, choices and conditions.
#include <functional>

#include "filter/arithmetic_coder.hpp"

namespace bpfwarden::filter {

using namespace bytecode::classic;

// ---- tables and choices

void Coder::look_up(Term index, const std::vector<Number>& values, bool high_half) {
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

void Coder::choose(Condition condition, Term yes, Term no, bool high_half) {
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
void Coder::branch(Condition condition, Label yes, Label no) {
    const std::size_t since = forgotten_.size();
    on_a_path([&] { test(condition, yes, no); });
    paths_meet(since);
}

void Coder::test(Condition condition, Label yes, Label no) {
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

void Coder::compare(int operation, Half a, Half b, Label yes, Label no) {
    if (const auto value = constant(b)) {
        load(a);
        return put_jump(jump_k(operation), *value, yes, no);
    }
    load_both(a, b);
    put_jump(jump_x(operation), 0, yes, no);
}

void Coder::below(Term a, Term b, bool is_signed, Label yes, Label no) {
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

void Coder::one_of(Term term, const std::vector<Number>& values, Label yes, Label no) {
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

}  // namespace bpfwarden::filter
