// SPDX-License-Identifier: Apache-2.0
#include "filter/function.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "filter/action.hpp"

namespace bpfwarden::filter {

std::size_t Decisions::Hash::operator()(const NodeView& view) const {
    std::size_t hash = static_cast<std::size_t>(view.kind);
    for (const std::uint32_t one : {view.action, view.value.id, view.condition.id, view.yes.id, view.no.id}) {
        hash = (hash ^ one) * 0x9e3779b97f4a7c15U;
        hash ^= hash >> 29;
    }
    return hash;
}
bool Decisions::Same::operator()(const NodeView& one, const NodeView& other) const {
    return one.kind == other.kind && one.action == other.action && one.value == other.value &&
           one.condition == other.condition && one.yes == other.yes && one.no == other.no;
}

Node Decisions::keep(const NodeView& view) {
    const auto [at, is_new] = known_.try_emplace(view, static_cast<std::uint32_t>(nodes_.size()));
    if (is_new) nodes_.push_back(view);
    return {at->second};
}

Node Decisions::action(std::uint32_t value) { return keep({.kind = NodeKind::action, .action = normalized(value)}); }

Node Decisions::computed(std::uint32_t action_, Term value) {
    const Term data = terms_->binary(TermKind::bit_and, value, terms_->constant(0xffff));
    const std::uint32_t upper = action_ & action_mask;
    if (const auto known = terms_->value(data)) return action(upper | static_cast<std::uint32_t>(*known));
    // The kernel takes larger errnos for the largest.
    if (upper == SECCOMP_RET_ERRNO && terms_->bits(data) > 4095)
        return test(terms_->below(data, terms_->constant(4096)),
                    keep({.kind = NodeKind::computed, .action = upper, .value = data}), action(upper | 4095));
    return keep({.kind = NodeKind::computed, .action = upper, .value = data});
}

Node Decisions::test(Condition condition, Node yes, Node no) {
    // Without recursion: both() of many is deep.
    struct Open {
        Condition condition;  // to be tested before what is made
        Node no;              // where it does not hold
    };
    std::vector<Open> open;
    for (;;) {
        Node made = yes;
        if (yes != no) {
            const auto view = (*terms_)[condition];
            if (view.kind == ConditionKind::opposite) {
                condition = view.c;
                std::swap(yes, no);
                continue;
            }
            if (view.kind == ConditionKind::both) {
                open.push_back({view.c, no});
                condition = view.d;
                continue;
            }
            if (view.kind == ConditionKind::never)
                made = no;
            else if (view.kind != ConditionKind::always)
                made = keep({.kind = NodeKind::test, .condition = condition, .yes = yes, .no = no});
        }
        if (open.empty()) return made;
        condition = open.back().condition;
        yes = made;
        no = open.back().no;
        open.pop_back();
    }
}

std::uint32_t Decisions::evaluate(Node node, const Data& data) const {
    for (;;) {
        const auto& view = nodes_[node.id];
        switch (view.kind) {
            case NodeKind::action:
                return view.action;
            case NodeKind::computed:
                return view.action | static_cast<std::uint32_t>(terms_->evaluate(view.value, data));
            case NodeKind::test:
                node = terms_->holds(view.condition, data) ? view.yes : view.no;
                break;
        }
    }
}

std::uint32_t Function::evaluate(const Data& data) const {
    const auto part = std::ranges::find(parts, data[Word::arch], &Part::arch);
    if (part == parts.end()) return decisions->evaluate(other, data);
    const auto run = std::ranges::lower_bound(part->runs, data[Word::nr], {}, &Run::last);
    return decisions->evaluate(run->node, data);
}

static constexpr std::uint32_t largest = std::numeric_limits<std::uint32_t>::max();

Runs::Runs(Node rest) : runs_{{0, largest, rest}} {}

void Runs::set(std::uint32_t first, std::uint32_t last, Node node) {
    const auto begin = std::ranges::lower_bound(runs_, first, {}, &Run::last);
    const auto end = std::ranges::upper_bound(runs_, last, {}, &Run::first);
    std::vector<Run> now;
    if (begin->first < first) now.push_back({begin->first, first - 1, begin->node});
    now.push_back({first, last, node});
    if (const auto& over = *(end - 1); over.last > last) now.push_back({last + 1, over.last, over.node});
    const auto at = runs_.erase(begin, end);
    runs_.insert(at, now.begin(), now.end());
}

std::vector<Run> Runs::done() && {
    std::vector<Run> together;
    for (const auto& run : runs_) {
        if (!together.empty() && together.back().node == run.node)
            together.back().last = run.last;
        else
            together.push_back(run);
    }
    return together;
}

}  // namespace bpfwarden::filter
