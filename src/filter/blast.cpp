// SPDX-License-Identifier: Apache-2.0
#include "filter/blast.hpp"

#include <algorithm>
#include <bit>

#include "filter/action.hpp"

namespace bpfwarden::filter {

Blaster::Bits Blaster::constant(std::uint64_t value) const {
    Bits bits;
    for (unsigned i = 0; i < 64; ++i) bits[i] = diagrams_.truth((value >> i & 1) != 0);
    return bits;
}

Blaster::Bits Blaster::beyond() {
    gave_up_ = true;
    return constant(0);
}

Blaster::Bits Blaster::choose(Diagram condition, const Bits& yes, const Bits& no) {
    Bits bits;
    for (unsigned i = 0; i < 64; ++i) bits[i] = diagrams_.choose(condition, yes[i], no[i]);
    return bits;
}

Blaster::Bits Blaster::add(const Bits& a, const Bits& b, Diagram carry) {
    Bits sum;
    for (unsigned i = 0; i < 64 && !gave_up(); ++i) {
        const auto odd = diagrams_.differ(a[i], b[i]);
        sum[i] = diagrams_.differ(odd, carry);
        carry = diagrams_.choose(odd, carry, a[i]);
    }
    return sum;
}

Blaster::Bits Blaster::shift(const Bits& a, TermKind kind, std::uint64_t by) const {
    Bits bits;
    for (unsigned i = 0; i < 64; ++i) {
        if (kind == TermKind::shift_left)
            bits[i] = i >= by ? a[i - by] : diagrams_.truth(false);
        else
            bits[i] = i + by < 64 ? a[i + by] : kind == TermKind::shift_right ? diagrams_.truth(false) : a[63];
    }
    return bits;
}

Blaster::Bits Blaster::shift(const Bits& a, TermKind kind, const Bits& by) {
    Bits bits = a;
    for (unsigned i = 0; i < 6 && !gave_up(); ++i)
        if (by[i] != diagrams_.truth(false)) bits = choose(by[i], shift(bits, kind, std::uint64_t{1} << i), bits);
    return bits;
}

Blaster::Bits Blaster::multiply(const Bits& a, std::uint64_t by) {
    // -x, as differences have it.
    if (by == ~std::uint64_t{0}) {
        Bits inverted;
        for (unsigned i = 0; i < 64; ++i) inverted[i] = diagrams_.opposite(a[i]);
        return add(inverted, constant(0), diagrams_.truth(true));
    }
    Bits product = constant(0);
    for (unsigned i = 0; i < 64 && !gave_up(); ++i)
        if ((by >> i & 1) != 0) product = add(product, shift(a, TermKind::shift_left, i), diagrams_.truth(false));
    return product;
}

Blaster::Bits Blaster::look_up(const Bits& index, std::span<const std::uint64_t> values) {
    // By halves, from the highest bit that can be set.
    const auto half = [&](const auto& self, std::uint64_t from, unsigned bit) -> Bits {
        if (gave_up()) return constant(0);
        if (bit == 0) return constant(from < values.size() ? values[from] : 0);
        const auto upper = from | std::uint64_t{1} << (bit - 1);
        if (upper >= values.size() || index[bit - 1] == diagrams_.truth(false)) return self(self, from, bit - 1);
        return choose(index[bit - 1], self(self, upper, bit - 1), self(self, from, bit - 1));
    };
    return half(half, 0, static_cast<unsigned>(std::bit_width(values.size())));
}

Diagram Blaster::below(const Bits& a, const Bits& b) {
    Diagram result = diagrams_.truth(false);
    // From the lowest bit: a higher one that differs decides.
    for (unsigned i = 0; i < 64 && !gave_up(); ++i)
        result = diagrams_.choose(a[i], diagrams_.both(b[i], result), diagrams_.either(b[i], result));
    return result;
}

Diagram Blaster::equal(const Bits& a, const Bits& b) {
    Diagram result = diagrams_.truth(true);
    for (unsigned i = 0; i < 64 && !gave_up(); ++i)
        result = diagrams_.both(diagrams_.opposite(diagrams_.differ(a[i], b[i])), result);
    return result;
}

void Blaster::learn(std::uint32_t root) {
    make_from_below(
        terms_, root, [&](std::uint32_t id) { return terms_known_.contains(id) || conditions_known_.contains(id); },
        [&](std::uint32_t id) {
            if (terms_.is_condition(id))
                conditions_known_.emplace(id, gave_up() ? Diagram{} : compute(Condition{id}));
            else
                terms_known_.emplace(id, gave_up() ? constant(0) : compute(Term{id}));
        });
}

const Blaster::Bits& Blaster::of(Term term) {
    if (const auto at = terms_known_.find(term.id); at != terms_known_.end()) return at->second;
    learn(term.id);
    return terms_known_.at(term.id);
}

Diagram Blaster::of(Condition condition) {
    if (const auto at = conditions_known_.find(condition.id); at != conditions_known_.end()) return at->second;
    learn(condition.id);
    return conditions_known_.at(condition.id);
}

// What they are made of is known.
Blaster::Bits Blaster::compute(Term term) {
    const auto view = terms_[term];
    switch (view.kind) {
        case TermKind::constant:
            return constant(view.number);
        case TermKind::word: {
            Bits bits = constant(0);
            for (unsigned i = 0; i < 32; ++i) bits[i] = diagrams_.bit(static_cast<Word>(view.number), i);
            return bits;
        }
        case TermKind::sign_extend: {
            Bits bits = of(view.a);
            for (auto i = static_cast<unsigned>(view.number); i < 64; ++i) bits[i] = bits[view.number - 1];
            return bits;
        }
        case TermKind::table:
            return look_up(of(view.a), view.values);
        case TermKind::select:
            return choose(of(view.condition), of(view.a), of(view.b));
        default:
            break;
    }
    const Bits& a = of(view.a);
    const auto second = terms_.value(view.b);
    Bits bits;
    switch (view.kind) {
        case TermKind::bit_and:
        case TermKind::bit_or:
        case TermKind::bit_xor: {
            const Bits& b = of(view.b);
            for (unsigned i = 0; i < 64; ++i)
                bits[i] = view.kind == TermKind::bit_and  ? diagrams_.both(a[i], b[i])
                          : view.kind == TermKind::bit_or ? diagrams_.either(a[i], b[i])
                                                          : diagrams_.differ(a[i], b[i]);
            return bits;
        }
        case TermKind::add:
            return add(a, of(view.b), diagrams_.truth(false));
        case TermKind::multiply:
            return second ? multiply(a, *second) : beyond();
        case TermKind::shift_left:
        case TermKind::shift_right:
        case TermKind::shift_right_signed:
            return second ? shift(a, view.kind, *second) : shift(a, view.kind, of(view.b));
        default:
            return beyond();
    }
}

Diagram Blaster::compute(Condition condition) {
    const auto view = terms_[condition];
    Diagram made;
    switch (view.kind) {
        case ConditionKind::never:
        case ConditionKind::always:
            made = diagrams_.truth(view.kind == ConditionKind::always);
            break;
        case ConditionKind::equal:
            made = equal(of(view.a), of(view.b));
            break;
        case ConditionKind::below:
            made = below(of(view.a), of(view.b));
            break;
        case ConditionKind::below_signed: {
            // The sign bits exchanged, the order is that of unsigned numbers.
            Bits a = of(view.a), b = of(view.b);
            a[63] = diagrams_.opposite(a[63]);
            b[63] = diagrams_.opposite(b[63]);
            made = below(a, b);
            break;
        }
        case ConditionKind::one_of: {
            const Bits& a = of(view.a);
            made = diagrams_.truth(false);
            for (const auto value : view.values) made = diagrams_.either(equal(a, constant(value)), made);
            break;
        }
        case ConditionKind::both:
            made = diagrams_.both(of(view.c), of(view.d));
            break;
        case ConditionKind::opposite:
            made = diagrams_.opposite(of(view.c));
            break;
    }
    return made;
}

Diagram Blaster::of(const Decisions& decisions, Node root) {
    // A node's ways were made before it, so that ascending order has everything ready.
    std::vector<std::uint32_t> needed{root.id};
    std::vector<bool> seen(root.id + 1, false);
    seen[root.id] = true;
    for (std::size_t i = 0; i < needed.size(); ++i) {
        const auto& view = decisions[Node{needed[i]}];
        if (view.kind != NodeKind::test) continue;
        for (const Node next : {view.yes, view.no}) {
            if (seen[next.id]) continue;
            seen[next.id] = true;
            needed.push_back(next.id);
        }
    }
    std::ranges::sort(needed);
    std::unordered_map<std::uint32_t, Diagram> made;
    for (const auto id : needed) {
        if (gave_up()) return {};
        const auto& view = decisions[Node{id}];
        Diagram diagram;
        switch (view.kind) {
            case NodeKind::action:
                diagram = diagrams_.end(view.action);
                break;
            case NodeKind::computed: {
                const Bits bits = of(view.value);
                const auto half = [&](const auto& self, std::uint32_t from, unsigned bit) -> Diagram {
                    if (gave_up()) return {};
                    if (bit == 0) return diagrams_.end(normalized(view.action | from));
                    const auto& set = bits[bit - 1];
                    return diagrams_.choose(
                        set, set == diagrams_.truth(false) ? Diagram{} : self(self, from | 1U << (bit - 1), bit - 1),
                        set == diagrams_.truth(true) ? Diagram{} : self(self, from, bit - 1));
                };
                diagram = half(half, 0, 16);
                break;
            }
            case NodeKind::test:
                diagram = diagrams_.choose(of(view.condition), made.at(view.yes.id), made.at(view.no.id));
                break;
        }
        made.emplace(id, diagram);
    }
    return made.at(root.id);
}

Diagram Blaster::of(const Function& function) {
    const auto word_is = [&](Word word, std::uint32_t value) {
        Diagram result = diagrams_.truth(true);
        for (unsigned i = 0; i < 32; ++i) {
            const auto bit = diagrams_.bit(word, i);
            result = (value >> i & 1) != 0 ? diagrams_.both(bit, result)
                                           : diagrams_.choose(bit, diagrams_.truth(false), result);
        }
        return result;
    };
    const auto nr_above = [&](std::uint32_t value) {
        Diagram result = diagrams_.truth(false);
        for (unsigned i = 0; i < 32; ++i) {
            const auto bit = diagrams_.bit(Word::nr, i);
            result = (value >> i & 1) != 0 ? diagrams_.both(bit, result) : diagrams_.either(bit, result);
        }
        return result;
    };
    Diagram whole = of(*function.decisions, function.other);
    std::unordered_map<std::uint32_t, Diagram> known;
    for (const auto& part : function.parts) {
        Diagram by_number;
        for (auto run = part.runs.rbegin(); run != part.runs.rend() && !gave_up(); ++run) {
            auto at = known.find(run->node.id);
            if (at == known.end()) at = known.emplace(run->node.id, of(*function.decisions, run->node)).first;
            by_number =
                run == part.runs.rbegin() ? at->second : diagrams_.choose(nr_above(run->last), by_number, at->second);
        }
        whole = diagrams_.choose(word_is(Word::arch, part.arch), by_number, whole);
    }
    return whole;
}

}  // namespace bpfwarden::filter
