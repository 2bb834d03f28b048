// SPDX-License-Identifier: Apache-2.0
#include "filter/returned.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "filter/action.hpp"
#include "filter/describe.hpp"

namespace bpfwarden::filter {

namespace {

constexpr std::size_t deepest = 256;
// Choices share parts: as a tree they may be many more than they are.
constexpr unsigned most_choices = 20'000;

class Returned {
  public:
    Returned(Decisions& decisions, Reasoner& reasoner)
        : decisions_(decisions), terms_(decisions.terms()), reasoner_(reasoner) {}

    // Without recursion: a choice between choices is deep.
    Result<Node> run(Facts facts, Term whole) {
        std::vector<Open> open;
        for (;;) {
            auto node = BW_TRY(end_of(facts, whole, open));
            if (!node) continue;  // on with what is to be done first of the choice that was opened
            while (!open.empty() && open.back().yes) {
                node = decisions_.test(open.back().condition, *open.back().yes, *node);
                open.pop_back();
            }
            if (open.empty()) return *node;
            open.back().yes = *node;
            facts = std::move(open.back().if_not);
            whole = open.back().no;
        }
    }

  private:
    // A choice, while one of the two is looked at.
    struct Open {
        Condition condition;
        Term no;
        Facts if_not;
        std::optional<Node> yes = {};
    };

    // None: it is a choice, `open` has it, and `facts` and `whole` are what comes first.
    Result<std::optional<Node>> end_of(Facts& facts, Term& whole, std::vector<Open>& open) {
        for (;;) {
            reasoner_.work += 4;
            if (open.size() > deepest || ++choices_ > most_choices)
                return fail(Error(Code::bad_input, "returns one of too many values")
                                .advise("return from each branch, instead of collecting what to return in a variable"));
            const Term value = terms_.binary(TermKind::bit_and, whole, terms_.constant(0xffffffff));
            if (const auto known = terms_.value(value)) return constant(static_cast<std::uint32_t>(*known));
            const auto range = reasoner_.range(facts, value);
            if (range.low == range.high) return constant(static_cast<std::uint32_t>(range.low));
            const auto view = terms_[value];
            if (view.kind == TermKind::table) return table(facts, view);
            auto chosen = view.kind == TermKind::select ? std::optional(view) : std::nullopt;
            if (!chosen) {
                const Term upper = terms_.binary(TermKind::bit_and, value, terms_.constant(action_mask));
                if (const auto known = terms_.value(upper)) return computed(static_cast<std::uint32_t>(*known), value);
                if (range.low >> 16 == range.high >> 16)
                    return computed(static_cast<std::uint32_t>(range.low) & action_mask, value);
                chosen = choice_inside(view);
            }
            if (!chosen)
                return fail(
                    Error(Code::bad_input, fmt::format("returns {}, and which action that is depends on the input",
                                                       describe(terms_, value)))
                        .advise("choose the action with `if`, and compute at most its lower 16 bits: "
                                "`SECCOMP_RET_ERRNO | (x & 0xfff)`"));
            const Condition left = reasoner_.simplify(facts, chosen->condition);
            Facts if_so = facts, if_not = facts;
            if (left == terms_.never() || !reasoner_.assume(if_so, left, true)) {
                whole = chosen->b;
            } else if (left == terms_.always() || !reasoner_.assume(if_not, left, false)) {
                whole = chosen->a;
            } else {
                open.push_back({left, chosen->b, std::move(if_not)});
                facts = std::move(if_so);
                whole = chosen->a;
                return std::nullopt;
            }
        }
    }

    // What is computed from a choice is a choice.
    std::optional<TermView> choice_inside(const TermView& view) {
        if (!is_binary(view.kind)) return std::nullopt;
        for (const bool left : {true, false}) {
            auto inner = terms_[left ? view.a : view.b];
            if (inner.kind != TermKind::select) continue;
            const auto with = [&](Term arm) {
                return left ? terms_.binary(view.kind, arm, view.b) : terms_.binary(view.kind, view.a, arm);
            };
            const Term yes = with(inner.a), no = with(inner.b);
            inner.a = yes;
            inner.b = no;
            return inner;
        }
        return std::nullopt;
    }

    Result<Node> constant(std::uint32_t value) {
        if (is_action(value)) return decisions_.action(value);
        return fail(Error(Code::bad_input, fmt::format("returns {:#010x}, which is no action", value))
                        .advise("return one of SECCOMP_RET_ALLOW, LOG, TRACE, USER_NOTIF, ERRNO, TRAP, KILL_THREAD and "
                                "KILL_PROCESS; an error is `SECCOMP_RET_ERRNO | EPERM`"));
    }

    Result<Node> computed(std::uint32_t action, Term value) {
        if (action != SECCOMP_RET_ERRNO && action != SECCOMP_RET_TRAP && action != SECCOMP_RET_TRACE)
            return constant(action);
        return decisions_.computed(action, value);
    }

    Result<Node> table(const Facts& facts, const TermView& view) {
        const auto range = reasoner_.range(facts, view.a);
        reasoner_.work += view.values.size();
        std::map<std::uint64_t, std::vector<std::uint64_t>> groups;
        for (std::uint64_t at = 0; at < view.values.size(); ++at)
            if ((at & ~terms_.bits(view.a)) == 0 && range.contains(at)) groups[view.values[at]].push_back(at);
        // What most entries are is what is left.
        const auto most = std::ranges::max_element(groups, {}, [](const auto& one) { return one.second.size(); });
        Node result = BW_TRY(constant(static_cast<std::uint32_t>(most->first)));
        for (auto& [value, entries] : groups) {
            if (value == most->first) continue;
            const Node node = BW_TRY(constant(static_cast<std::uint32_t>(value)));
            result =
                decisions_.test(reasoner_.simplify(facts, terms_.one_of(view.a, std::move(entries))), node, result);
        }
        return result;
    }

    Decisions& decisions_;
    Terms& terms_;
    Reasoner& reasoner_;
    unsigned choices_ = 0;
};

}  // namespace

Result<Node> returned(Decisions& decisions, Reasoner& reasoner, const Facts& facts, Term value) {
    return Returned(decisions, reasoner).run(facts, value);
}

}  // namespace bpfwarden::filter
