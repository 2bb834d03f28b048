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
        block = walk(node, root, relevant(facts, node));
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

// As far as it is decided: the block in which it ends, or the choice that is to be made.
std::optional<Block> Lowering::follow(Node& node, std::int32_t& at, Facts& facts, Choice& choice, std::size_t depth) {
    for (;;) {
        if (error_ || ++steps_ > most_steps || depth > deepest) {
            give_up();
            return Block{};
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
        if (known == facts.values.end()) return std::nullopt;
        const auto outcome = known->second.decides(choice.test);
        if (!outcome) return std::nullopt;
        at = *outcome ? choice.yes : choice.no;
    }
}

// Where it is kept: a bit of Facts::computed.
std::uint64_t Lowering::kept_bit(Source source) const {
    const bool keeps = !is_word(source) && graph_[source].slot >= 0 && source.id - word_count < 64;
    return keeps ? std::uint64_t{1} << (source.id - word_count) : 0;
}

Facts Lowering::after(const Facts& facts, const Test& test, bool outcome) const {
    Facts now;
    if (steps_ > steps_with_facts) return now;
    now = facts;
    auto& value = now.values[test.source];
    value = value.with(test, outcome);
    now.computed |= kept_bit(test.source);
    return now;
}

// Without recursion: lists of tests are long.
Block Lowering::walk(Node node, std::int32_t at, Facts facts) {
    struct Open {
        Key key;
        Choice choice;
        std::optional<Block> yes = {};
    };
    std::vector<Open> open;
    for (;;) {
        Choice choice;
        auto block = follow(node, at, facts, choice, open.size());
        if (!block) {
            Key key{node.id, at, std::move(facts)};
            if (const auto done = done_.find(key); done != done_.end()) {
                block = done->second;
            } else {
                open.push_back({std::move(key), choice});
                facts = after(open.back().key.facts, choice.test, true);
                at = choice.yes;
                continue;
            }
        }
        // Back to where one side is left to do.
        while (!open.empty() && open.back().yes) {
            auto& [key, made, yes] = open.back();
            const Source source = made.test.source;
            Block whole = graph_.test(made.test, *yes, *block);
            if (!is_word(source) && (key.facts.computed & kept_bit(source)) == 0 && *yes != *block)
                whole = graph_.compute(source, whole);
            if (!error_) done_.emplace(std::move(key), whole);
            block = whole;
            open.pop_back();
        }
        if (open.empty()) return *block;
        auto& last = open.back();
        last.yes = block;
        node = {last.key.node};
        at = last.choice.no;
        facts = after(last.key.facts, last.choice.test, false);
    }
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
    // Down to what is masked and moved, and back.
    std::vector<TermView> outer;
    for (auto view = terms_[term];; view = terms_[term]) {
        const auto amount = is_binary(view.kind) ? terms_.value(view.b) : std::nullopt;
        const bool masks = view.kind == TermKind::bit_and && amount && *amount <= all;
        const bool moves = (view.kind == TermKind::shift_right || view.kind == TermKind::shift_left) && amount &&
                           *amount < 32 && upper(terms_.bits(view.a)) == 0;
        if (!masks && !moves) break;
        outer.push_back(view);
        term = view.a;
    }
    const auto innermost = terms_[term];
    Shape shape{.source = innermost.kind == TermKind::word ? Source{lower_half(innermost.number)} : computed(term)};
    for (auto at = outer.rbegin(); at != outer.rend(); ++at) {
        const auto amount = lower_half(*terms_.value(at->b));
        if (at->kind == TermKind::bit_and) {
            shape.mask &= shape.shift >= 0 ? amount << shape.shift : amount >> -shape.shift;
            continue;
        }
        const auto by = static_cast<int>(amount);
        shape.shift += at->kind == TermKind::shift_right ? by : -by;
        if (shape.shift >= 32 || shape.shift <= -32) return {.is_constant = true, .source = {}};
        // What went out on the right, or on the left.
        shape.mask &= shape.shift > 0 ? all << shape.shift : all >> -shape.shift;
    }
    return shape;
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

std::uint32_t Lowering::words_of(std::uint32_t id) {
    if (const auto at = words_.find(id); at != words_.end()) return at->second;
    make_from_below(
        terms_, id, [&](std::uint32_t part) { return words_.contains(part); },
        [&](std::uint32_t part) {
            std::uint32_t words = computes(part) ? any_computed : 0;
            for (const auto operand : terms_.operands(part)) words |= words_.at(operand);
            if (!terms_.is_condition(part))
                if (const auto view = terms_[Term{part}]; view.kind == TermKind::word) words = 1U << view.number;
            words_.emplace(part, words);
        });
    return words_.at(id);
}

// Whether it may need code, apart from what its operands need.
bool Lowering::computes(std::uint32_t id) const {
    if (terms_.is_condition(id)) {
        const auto view = terms_[Condition{id}];
        switch (view.kind) {
            case ConditionKind::below_signed:
                return true;
            case ConditionKind::equal:
            case ConditionKind::below:
                return !terms_.value(view.b);
            default:
                return false;
        }
    }
    const auto view = terms_[Term{id}];
    switch (view.kind) {
        case TermKind::constant:
        case TermKind::word:
            return false;
        case TermKind::bit_or:
            // Whether shape_of() finds words in it is not known here.
            return (terms_.bits(view.a) & all) != 0 && (terms_.bits(view.b) & all) != 0;
        case TermKind::bit_and:
        case TermKind::shift_left:
        case TermKind::shift_right:
            return !terms_.value(view.b);
        default:
            return true;
    }
}

bool Lowering::divides_long(Term term) {
    if (const auto at = divides_long_.find(term.id); at != divides_long_.end()) return at->second;
    make_from_below(
        terms_, term.id, [&](std::uint32_t id) { return divides_long_.contains(id); },
        [&](std::uint32_t id) {
            bool found = false;
            if (!terms_.is_condition(id)) {
                const auto view = terms_[Term{id}];
                found = view.kind >= TermKind::divide && view.kind <= TermKind::modulo_signed &&
                        upper(terms_.bits(Term{id}) | terms_.bits(view.a)) != 0;
                // That of a choice's condition is not one of the term.
                for (const auto operand : terms_.operands(id))
                    found |= !terms_.is_condition(operand) && divides_long_.at(operand);
            }
            divides_long_.emplace(id, found);
        });
    return divides_long_.at(term.id);
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
        if (view.kind == NodeKind::computed) words = any_computed | words_of(view.value.id);
        if (view.kind == NodeKind::test)
            words = words_of(view.condition.id) | node_words_.at(view.yes.id) | node_words_.at(view.no.id);
        node_words_.emplace(at.id, words);
    }
    return node_words_.at(node.id);
}

// ---- for one number

Node Lowering::for_number(Node root, std::uint32_t nr) {
    node_for_number_.clear();
    part_for_number_.clear();
    const auto is_done = [&](Node node) { return (words_of(node) & 1) == 0 || node_for_number_.contains(node.id); };
    const auto now = [&](Node node) { return (words_of(node) & 1) == 0 ? node : node_for_number_.at(node.id); };
    std::vector<Node> open{root};
    while (!open.empty()) {
        const Node node = open.back();
        if (is_done(node)) {
            open.pop_back();
            continue;
        }
        const auto view = decisions_[node];
        if (view.kind == NodeKind::test && !(is_done(view.yes) && is_done(view.no))) {
            for (const Node way : {view.no, view.yes})
                if (!is_done(way)) open.push_back(way);
            continue;
        }
        Node made = node;
        if (view.kind == NodeKind::computed)
            made = decisions_.computed(view.action, Term{part_for_number(view.value.id, nr)});
        if (view.kind == NodeKind::test)
            made = decisions_.test(Condition{part_for_number(view.condition.id, nr)}, now(view.yes), now(view.no));
        node_for_number_.emplace(node.id, made);
        open.pop_back();
    }
    return now(root);
}

// A term or a condition.
std::uint32_t Lowering::part_for_number(std::uint32_t root, std::uint32_t nr) {
    const auto now = [&](std::uint32_t id) { return (words_of(id) & 1) == 0 ? id : part_for_number_.at(id); };
    make_from_below(
        terms_, root, [&](std::uint32_t id) { return (words_of(id) & 1) == 0 || part_for_number_.contains(id); },
        [&](std::uint32_t id) {
            const std::uint32_t made = terms_.is_condition(id) ? made_again(Condition{id}, now).id
                                                               : made_again(Term{id}, terms_.constant(nr), now).id;
            part_for_number_.emplace(id, made);
        });
    return now(root);
}

Term Lowering::made_again(Term term, Term number, const std::function<std::uint32_t(std::uint32_t)>& now) {
    const auto view = terms_[term];
    const auto part = [&](Term of) { return Term{now(of.id)}; };
    switch (view.kind) {
        case TermKind::constant:
            return term;
        case TermKind::word:
            return number;
        case TermKind::sign_extend:
            return terms_.sign_extend(part(view.a), static_cast<unsigned>(view.number));
        case TermKind::table:
            return terms_.table(part(view.a), {view.values.begin(), view.values.end()});
        case TermKind::select:
            return terms_.select(Condition{now(view.condition.id)}, part(view.a), part(view.b));
        default:
            return terms_.binary(view.kind, part(view.a), part(view.b));
    }
}
Condition Lowering::made_again(Condition condition, const std::function<std::uint32_t(std::uint32_t)>& now) {
    const auto view = terms_[condition];
    const auto part = [&](Term of) { return Term{now(of.id)}; };
    const auto inner = [&](Condition of) { return Condition{now(of.id)}; };
    switch (view.kind) {
        case ConditionKind::never:
        case ConditionKind::always:
            break;
        case ConditionKind::equal:
            return terms_.equal(part(view.a), part(view.b));
        case ConditionKind::below:
            return terms_.below(part(view.a), part(view.b));
        case ConditionKind::below_signed:
            return terms_.below_signed(part(view.a), part(view.b));
        case ConditionKind::one_of:
            return terms_.one_of(part(view.a), {view.values.begin(), view.values.end()});
        case ConditionKind::both:
            return terms_.both(inner(view.c), inner(view.d));
        case ConditionKind::opposite:
            return terms_.opposite(inner(view.c));
    }
    return condition;
}

}  // namespace bpfwarden::filter
