// SPDX-License-Identifier: Apache-2.0
#include "filter/lower.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <optional>
#include <utility>

#include "bytecode/classic.hpp"
#include "filter/arithmetic.hpp"

namespace bpfwarden::filter {

namespace {

constexpr std::uint32_t all = 0xffffffff;
// Scratch words: the lower ones for what is being computed, the upper ones keep what was.
constexpr unsigned temporary_slots = 10;
// Tests one below the other: more do not fit into a filter.
constexpr unsigned deepest = 4096;
// From here on what paths say is not looked at: for each different set of facts there would be another block.
constexpr std::size_t steps_with_facts = 200'000, most_steps = 1'000'000;
constexpr std::uint32_t any_computed = 1U << word_count;

constexpr std::uint32_t upper(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }
constexpr std::uint32_t lower_half(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

}  // namespace

std::size_t Lowering::Hash::operator()(const Key& key) const {
    std::size_t hash = key.node;
    const auto mix = [&hash](std::uint64_t one) {
        hash = (hash ^ one) * 0x9e3779b97f4a7c15U;
        hash ^= hash >> 29;
    };
    mix(static_cast<std::uint32_t>(key.choice));
    mix(key.facts.computed);
    for (const auto& [source, known] : key.facts.values) {
        mix(source.id);
        mix(std::uint64_t{known.first} << 32 | known.last);
        mix(std::uint64_t{known.zeros} << 32 | known.ones);
        for (const auto other : known.others) mix(other);
    }
    return hash;
}

Lowering::Lowering(Decisions& decisions, Graph& graph)
    : decisions_(decisions), terms_(decisions.terms()), graph_(graph) {}

Result<Block> Lowering::lower(Node node, const Facts& facts) {
    kept_.clear();
    choices_here_.clear();
    next_slot_ = static_cast<int>(bytecode::classic::scratch_words) - 1;
    steps_ = 0;
    error_.reset();
    const auto& view = decisions_[node];
    Block block;
    if (view.kind == NodeKind::action) {
        block = graph_.leave(view.action);
    } else if (view.kind == NodeKind::computed) {
        block = graph_.leave_computed(view.action, computed(low(view.value)));
    } else {
        const auto root = choices_of(view.condition).root;
        block = walk(node, root, relevant(facts, node), 0);
    }
    if (error_) return fail(*error_);
    return block;
}

Facts Lowering::relevant(const Facts& facts, Node node) {
    const auto words = words_of(node);
    Facts now;
    if (steps_ > steps_with_facts) return now;
    const bool computes = (words & any_computed) != 0;
    if (computes) now.computed = facts.computed;
    for (const auto& [source, known] : facts.values)
        if (is_word(source) ? (words >> source.id & 1) != 0 : computes) now.values.emplace(source, known);
    return now;
}

void Lowering::give_up() {
    if (!error_)
        error_ = std::make_unique<Error>(
            Error(Code::unsupported, "too much is decided about one system call")
                .because(fmt::format("more than {} tests, or more than {} one after the other", most_steps, deepest)));
}

Block Lowering::walk(Node node, std::int32_t at, Facts facts, unsigned depth) {
    // As far as it is decided.
    Choice choice;
    for (;;) {
        if (error_ || ++steps_ > most_steps || depth > deepest) {
            give_up();
            return {};
        }
        if (at == holds || at == fails) {
            node = at == holds ? decisions_[node].yes : decisions_[node].no;
            const auto view = decisions_[node];
            if (view.kind == NodeKind::action) return graph_.leave(view.action);
            if (view.kind == NodeKind::computed) return graph_.leave_computed(view.action, computed(low(view.value)));
            at = choices_of(view.condition).root;
            facts = relevant(facts, node);
            continue;
        }
        choice = choices_of(decisions_[node].condition).all[static_cast<std::size_t>(at)];
        const auto known = facts.values.find(choice.test.source);
        if (known == facts.values.end()) break;
        const auto outcome = known->second.decides(choice.test);
        if (!outcome) break;
        at = *outcome ? choice.yes : choice.no;
    }
    Key key{node.id, at, facts};
    if (const auto done = done_.find(key); done != done_.end()) return done->second;

    const Source source = choice.test.source;
    const bool keeps = !is_word(source) && graph_[source].slot >= 0 && source.id - word_count < 64;
    const std::uint64_t bit = keeps ? std::uint64_t{1} << (source.id - word_count) : 0;
    const auto after = [&](bool outcome) {
        Facts now;
        if (steps_ > steps_with_facts) return now;
        now = facts;
        auto& value = now.values[source];
        value = value.with(choice.test, outcome);
        now.computed |= bit;
        return now;
    };
    const Block yes = walk(node, choice.yes, after(true), depth + 1);
    const Block no = walk(node, choice.no, after(false), depth + 1);
    Block block = graph_.test(choice.test, yes, no);
    if (!is_word(source) && (facts.computed & bit) == 0 && yes != no) block = graph_.compute(source, block);
    if (!error_) done_.emplace(std::move(key), block);
    return block;
}

// ---- conditions as tests of words

std::int32_t Lowering::choose(Choices& to, Choice choice) {
    if (choice.yes == choice.no) return choice.yes;
    to.all.push_back(choice);
    return static_cast<std::int32_t>(to.all.size() - 1);
}

const Lowering::Choices& Lowering::choices_of(Condition condition) {
    if (const auto at = choices_.find(condition.id); at != choices_.end()) return at->second;
    if (const auto at = choices_here_.find(condition.id); at != choices_here_.end()) return at->second;
    computes_ = false;
    auto made = make_choices(condition);
    return (computes_ ? choices_here_ : choices_).emplace(condition.id, std::move(made)).first->second;
}

Lowering::Choices Lowering::make_choices(Condition condition) {
    Choices made;
    const auto view = terms_[condition];
    const bool compares = view.kind == ConditionKind::equal || view.kind == ConditionKind::below;
    // Its halves come from one division, in one piece of code.
    if ((compares && (divides_long(view.a) || divides_long(view.b))) ||
        (view.kind == ConditionKind::one_of && divides_long(view.a))) {
        made.root = choose(made, {{truth(condition), Relation::equal, all, 0}, fails, holds});
        return made;
    }
    switch (view.kind) {
        case ConditionKind::equal:
            if (const auto value = terms_.value(view.b))
                made.root = equal(made, view.a, *value, holds, fails);
            else
                made.root = equal(made, terms_.binary(TermKind::bit_xor, view.a, view.b), 0, holds, fails);
            break;
        case ConditionKind::below:
            if (const auto value = terms_.value(view.b)) {
                made.root = below(made, view.a, *value, holds, fails);
                break;
            }
            [[fallthrough]];
        case ConditionKind::below_signed:
            made.root = choose(made, {{truth(condition), Relation::equal, all, 0}, fails, holds});
            break;
        case ConditionKind::one_of:
            made.root = one_of(made, view.a, {view.values.begin(), view.values.end()});
            break;
        default:  // Decisions take the others apart
            made.root = view.kind == ConditionKind::always ? holds : fails;
            break;
    }
    return made;
}

Term Lowering::low(Term term) { return terms_.binary(TermKind::bit_and, term, terms_.constant(all)); }
Term Lowering::high(Term term) { return terms_.binary(TermKind::shift_right, term, terms_.constant(32)); }

std::int32_t Lowering::equal(Choices& to, Term a, std::uint64_t value, std::int32_t yes, std::int32_t no) {
    const auto low_shape = shape_of(low(a)), high_shape = shape_of(high(a));
    // What is computed comes last.
    if (!high_shape.is_constant && !is_word(high_shape.source) && is_word(low_shape.source))
        return equal_word(to, low_shape, lower_half(value), equal_word(to, high_shape, upper(value), yes, no), no);
    return equal_word(to, high_shape, upper(value), equal_word(to, low_shape, lower_half(value), yes, no), no);
}
std::int32_t Lowering::below(Choices& to, Term a, std::uint64_t value, std::int32_t yes, std::int32_t no) {
    const auto low_shape = shape_of(low(a)), high_shape = shape_of(high(a));
    const std::int32_t same = below_word(to, low_shape, lower_half(value), yes, no);
    const std::int32_t not_less = equal_word(to, high_shape, upper(value), same, no);
    return below_word(to, high_shape, upper(value), yes, not_less);
}
std::int32_t Lowering::one_of(Choices& to, Term a, const std::vector<std::uint64_t>& values) {
    const auto low_shape = shape_of(low(a)), high_shape = shape_of(high(a));
    std::int32_t rest = fails;
    // From the last, so that the first is looked at first.
    for (std::size_t end = values.size(); end > 0;) {
        std::vector<std::uint32_t> group;
        const std::uint32_t half = upper(values[end - 1]);
        for (; end > 0 && upper(values[end - 1]) == half; --end) group.push_back(lower_half(values[end - 1]));
        std::ranges::reverse(group);
        rest = equal_word(to, high_shape, half, among_words(to, low_shape, group), rest);
    }
    return rest;
}

std::int32_t Lowering::equal_word(Choices& to, const Shape& shape, std::uint32_t value, std::int32_t yes,
                                  std::int32_t no) {
    if (shape.is_constant) return shape.constant == value ? yes : no;
    const auto moved = shape.shift >= 0 ? std::uint64_t{value} << shape.shift : std::uint64_t{value} >> -shape.shift;
    const auto back = shape.shift >= 0 ? moved : moved << -shape.shift;
    if (moved > all || (shape.shift < 0 && back != value) || (moved & ~std::uint64_t{shape.mask}) != 0) return no;
    return choose(to, {{shape.source, Relation::equal, shape.mask, static_cast<std::uint32_t>(moved)}, yes, no});
}
std::int32_t Lowering::below_word(Choices& to, const Shape& shape, std::uint64_t value, std::int32_t yes,
                                  std::int32_t no) {
    if (shape.is_constant) return shape.constant < value ? yes : no;
    std::uint64_t moved = 0;
    if (shape.shift >= 0)
        moved = value << shape.shift;
    else
        moved = (value + (std::uint64_t{1} << -shape.shift) - 1) >> -shape.shift;  // rounded up
    if (moved > shape.mask) return yes;
    if (moved == 0) return no;
    return choose(to, {{shape.source, Relation::not_less, shape.mask, static_cast<std::uint32_t>(moved)}, no, yes});
}
std::int32_t Lowering::among_words(Choices& to, const Shape& shape, std::span<const std::uint32_t> values) {
    struct Stretch {
        std::uint32_t first, last;
    };
    std::vector<Stretch> runs;
    for (const auto value : values) {
        if (!runs.empty() && runs.back().last + 1 == value)
            runs.back().last = value;
        else
            runs.push_back({value, value});
    }
    const std::function<std::int32_t(std::size_t, std::size_t)> tree = [&](std::size_t from, std::size_t end) {
        if (end - from == 1) {
            const auto [first, last] = runs[from];
            if (first == last) return equal_word(to, shape, first, holds, fails);
            return below_word(to, shape, first, fails, below_word(to, shape, std::uint64_t{last} + 1, holds, fails));
        }
        const std::size_t middle = (from + end) / 2;
        const auto left = tree(from, middle), right = tree(middle, end);
        return below_word(to, shape, runs[middle].first, left, right);
    };
    return tree(0, runs.size());
}

Lowering::Shape Lowering::shape_of(Term term) {
    if (const auto value = terms_.value(term))
        return {.is_constant = true, .constant = lower_half(*value), .source = {}};
    const auto view = terms_[term];
    const auto simple_operand = [&] { return (terms_.bits(view.a) >> 32) == 0; };
    const auto amount = terms_.value(view.kind == TermKind::word ? term : view.b);
    switch (view.kind) {
        case TermKind::word:
            return {.source = {static_cast<std::uint32_t>(view.number)}};
        case TermKind::bit_and:
            if (amount && *amount <= all) {
                Shape shape = shape_of(view.a);
                const auto mask = lower_half(*amount);
                shape.mask &= shape.shift >= 0 ? mask << shape.shift : mask >> -shape.shift;
                return shape;
            }
            break;
        case TermKind::shift_right:
            if (amount && simple_operand() && *amount < 32) {
                Shape shape = shape_of(view.a);
                shape.shift += static_cast<int>(*amount);
                if (shape.shift >= 32) return {.is_constant = true, .source = {}};
                // What went out on the right.
                if (shape.shift > 0) shape.mask &= all << shape.shift;
                return shape;
            }
            break;
        case TermKind::shift_left:
            if (amount && simple_operand() && *amount < 32) {
                Shape shape = shape_of(view.a);
                shape.shift -= static_cast<int>(*amount);
                // What went out on the left.
                if (shape.shift < 0) shape.mask &= all >> -shape.shift;
                return shape;
            }
            break;
        default:
            break;
    }
    return {.source = computed(term)};
}

Source Lowering::computed(Term term) {
    computes_ = true;
    if (const auto at = kept_.find(term); at != kept_.end()) return at->second;
    return keep(term, code_for(terms_, term, temporary_slots));
}
Source Lowering::truth(Condition condition) {
    computes_ = true;
    const Term term = terms_.select(condition, terms_.constant(1), terms_.constant(0));
    if (const auto at = kept_.find(term); at != kept_.end()) return at->second;
    return keep(term, code_for(terms_, condition, temporary_slots));
}
Source Lowering::keep(Term key, Result<Steps> steps) {
    if (!steps) {
        if (!error_) error_ = std::make_unique<Error>(steps.error());
        return {};
    }
    const int slot = next_slot_ >= static_cast<int>(temporary_slots) ? next_slot_-- : -1;
    const Source source = graph_.computed({key, *std::move(steps), slot});
    kept_.emplace(key, source);
    return source;
}

// ---- what it depends on

std::uint32_t Lowering::words_of(std::uint32_t id, bool condition) {
    if (const auto at = words_.find(id); at != words_.end()) return at->second;
    std::uint32_t words = 0;
    if (condition) {
        const auto view = terms_[Condition{id}];
        switch (view.kind) {
            case ConditionKind::never:
            case ConditionKind::always:
                break;
            case ConditionKind::both:
                words = words_of(view.c.id, true) | words_of(view.d.id, true);
                break;
            case ConditionKind::opposite:
                words = words_of(view.c.id, true);
                break;
            case ConditionKind::one_of:
                words = words_of(view.a.id, false);
                break;
            case ConditionKind::below_signed:
                words = any_computed | words_of(view.a.id, false) | words_of(view.b.id, false);
                break;
            default:
                words = words_of(view.a.id, false) | words_of(view.b.id, false);
                if (!terms_.value(view.b)) words |= any_computed;
                break;
        }
    } else {
        const auto view = terms_[Term{id}];
        switch (view.kind) {
            case TermKind::constant:
                break;
            case TermKind::word:
                words = 1U << view.number;
                break;
            case TermKind::sign_extend:
            case TermKind::table:
                words = any_computed | words_of(view.a.id, false);
                break;
            case TermKind::select:
                words = any_computed | words_of(view.condition.id, true) | words_of(view.a.id, false) |
                        words_of(view.b.id, false);
                break;
            case TermKind::bit_or:
            case TermKind::bit_and:
            case TermKind::shift_left:
            case TermKind::shift_right:
                words = words_of(view.a.id, false) | words_of(view.b.id, false);
                // Whether shape_of() finds words in it is not known here.
                if (view.kind == TermKind::bit_or && (terms_.bits(view.a) & all) != 0 &&
                    (terms_.bits(view.b) & all) != 0)
                    words |= any_computed;
                if (view.kind != TermKind::bit_or && !terms_.value(view.b)) words |= any_computed;
                break;
            default:
                words = any_computed | words_of(view.a.id, false) | words_of(view.b.id, false);
                break;
        }
    }
    words_.emplace(id, words);
    return words;
}

bool Lowering::divides_long(Term term) {
    const auto view = terms_[term];
    if (view.kind <= TermKind::word) return false;
    if (const auto at = divides_long_.find(term.id); at != divides_long_.end()) return at->second;
    const bool divides = view.kind >= TermKind::divide && view.kind <= TermKind::modulo_signed;
    const bool unary = view.kind == TermKind::sign_extend || view.kind == TermKind::table;
    const bool found = (divides && upper(terms_.bits(term) | terms_.bits(view.a)) != 0) || divides_long(view.a) ||
                       (!unary && divides_long(view.b));
    divides_long_.emplace(term.id, found);
    return found;
}

std::uint32_t Lowering::words_of(Node node) {
    std::vector<Node> open{node};
    // Without recursion: lists of tests are long.
    while (!open.empty()) {
        const Node at = open.back();
        if (node_words_.contains(at.id)) {
            open.pop_back();
            continue;
        }
        const auto view = decisions_[at];
        if (view.kind == NodeKind::test) {
            const bool yes = node_words_.contains(view.yes.id), no = node_words_.contains(view.no.id);
            if (!yes) open.push_back(view.yes);
            if (!no) open.push_back(view.no);
            if (!yes || !no) continue;
        }
        open.pop_back();
        std::uint32_t words = 0;
        if (view.kind == NodeKind::computed) words = any_computed | words_of(view.value.id, false);
        if (view.kind == NodeKind::test)
            words = words_of(view.condition.id, true) | node_words_.at(view.yes.id) | node_words_.at(view.no.id);
        node_words_.emplace(at.id, words);
    }
    return node_words_.at(node.id);
}

// ---- for one number

Node Lowering::for_number(Node node, std::uint32_t nr) {
    node_for_number_.clear();
    term_for_number_.clear();
    condition_for_number_.clear();
    return for_number(node, terms_.constant(nr));
}
Node Lowering::for_number(Node node, Term nr) {
    if ((words_of(node) & 1) == 0) return node;
    if (const auto at = node_for_number_.find(node.id); at != node_for_number_.end()) return at->second;
    const auto view = decisions_[node];
    Node now = node;
    if (view.kind == NodeKind::computed) now = decisions_.computed(view.action, for_number(view.value, nr));
    if (view.kind == NodeKind::test) {
        const auto condition = for_number(view.condition, nr);
        const Node yes = for_number(view.yes, nr), no = for_number(view.no, nr);
        now = decisions_.test(condition, yes, no);
    }
    node_for_number_.emplace(node.id, now);
    return now;
}

Term Lowering::for_number(Term term, Term nr) {
    if ((words_of(term.id, false) & 1) == 0) return term;
    if (const auto at = term_for_number_.find(term.id); at != term_for_number_.end()) return at->second;
    const auto view = terms_[term];
    Term now;
    switch (view.kind) {
        case TermKind::constant:
            now = term;
            break;
        case TermKind::word:
            now = nr;
            break;
        case TermKind::sign_extend:
            now = terms_.sign_extend(for_number(view.a, nr), static_cast<unsigned>(view.number));
            break;
        case TermKind::table: {
            std::vector<std::uint64_t> values(view.values.begin(), view.values.end());
            now = terms_.table(for_number(view.a, nr), std::move(values));
            break;
        }
        case TermKind::select: {
            const auto condition = for_number(view.condition, nr);
            const Term yes = for_number(view.a, nr), no = for_number(view.b, nr);
            now = terms_.select(condition, yes, no);
            break;
        }
        default: {
            const Term a = for_number(view.a, nr), b = for_number(view.b, nr);
            now = terms_.binary(view.kind, a, b);
            break;
        }
    }
    term_for_number_.emplace(term.id, now);
    return now;
}
Condition Lowering::for_number(Condition condition, Term nr) {
    if ((words_of(condition.id, true) & 1) == 0) return condition;
    if (const auto at = condition_for_number_.find(condition.id); at != condition_for_number_.end()) return at->second;
    const auto view = terms_[condition];
    Condition now = condition;
    switch (view.kind) {
        case ConditionKind::never:
        case ConditionKind::always:
            break;
        case ConditionKind::equal:
            now = terms_.equal(for_number(view.a, nr), for_number(view.b, nr));
            break;
        case ConditionKind::below:
            now = terms_.below(for_number(view.a, nr), for_number(view.b, nr));
            break;
        case ConditionKind::below_signed:
            now = terms_.below_signed(for_number(view.a, nr), for_number(view.b, nr));
            break;
        case ConditionKind::one_of: {
            std::vector<std::uint64_t> values(view.values.begin(), view.values.end());
            now = terms_.one_of(for_number(view.a, nr), std::move(values));
            break;
        }
        case ConditionKind::both:
            now = terms_.both(for_number(view.c, nr), for_number(view.d, nr));
            break;
        case ConditionKind::opposite:
            now = terms_.opposite(for_number(view.c, nr));
            break;
    }
    condition_for_number_.emplace(condition.id, now);
    return now;
}

}  // namespace bpfwarden::filter
