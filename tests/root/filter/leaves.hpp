// SPDX-License-Identifier: Apache-2.0
// A function with an error number for each way that it can end: what a call answers then tells which way it took, and
// no call is carried out.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "filter/action.hpp"
#include "filter/function.hpp"

namespace bpfwarden::filter {

// Above the kernel's own (ERESTARTSYS is 512): those would make it start a call again.
inline constexpr unsigned first_leaf = 1000;

class Leaves {
  public:
    explicit Leaves(Function& function) : function_(function) {}

    // Values that are computed stay, as error numbers. `exempt` is allowed on `arch`: it is how the process ends.
    void number_all(std::uint32_t arch, std::uint32_t exempt) {
        function_.other = renewed(function_.other);
        bool has_arch = false;
        for (auto& part : function_.parts) has_arch |= part.arch == arch;
        if (!has_arch) function_.parts.push_back({arch, {{0, 0xffffffff, function_.other}}});
        for (auto& part : function_.parts) {
            Runs runs(function_.other);
            for (const auto& run : part.runs)
                // One that was added has it already.
                runs.set(run.first, run.last, has_arch || part.arch != arch ? renewed(run.node) : run.node);
            if (part.arch == arch) runs.set(exempt, exempt, function_.decisions->action(allow));
            part.runs = std::move(runs).done();
        }
    }
    unsigned count() const { return next_ - first_leaf; }
    // Those that a call of the function's own architectures can end at.
    std::set<unsigned> of_parts() const {
        std::set<unsigned> found;
        std::set<Node> seen;
        std::vector<Node> left;
        for (const auto& part : function_.parts)
            for (const auto& run : part.runs) left.push_back(run.node);
        while (!left.empty()) {
            const Node node = left.back();
            left.pop_back();
            if (!seen.insert(node).second) continue;
            const auto& view = (*function_.decisions)[node];
            if (view.kind == NodeKind::test) left.insert(left.end(), {view.yes, view.no});
            if (view.kind == NodeKind::action && view.action != allow) found.insert(view.action & 0xffff);
        }
        return found;
    }

  private:
    Node renewed(Node residual) {
        if (const auto known = residuals_.find(residual); known != residuals_.end()) return known->second;
        std::map<Node, Node> done;
        return residuals_[residual] = renewed(residual, done);
    }
    Node renewed(Node node, std::map<Node, Node>& done) {
        if (const auto known = done.find(node); known != done.end()) return known->second;
        auto& decisions = *function_.decisions;
        const NodeView view = decisions[node];
        switch (view.kind) {
            case NodeKind::action:
                return done[node] = decisions.action(error_of(next_++));
            case NodeKind::computed:
                return done[node] = decisions.computed(error_of(0), view.value);
            case NodeKind::test:
                break;
        }
        const Node yes = renewed(view.yes, done), no = renewed(view.no, done);
        return done[node] = decisions.test(view.condition, yes, no);
    }

    Function& function_;
    std::map<Node, Node> residuals_;
    unsigned next_ = first_leaf;
};

// The constants that decide a residual: inputs near them are where it changes its mind.
class Constants {
  public:
    explicit Constants(const Function& function) : function_(function) {}

    const std::vector<std::uint64_t>& of(Node residual) {
        const auto known = of_.find(residual);
        if (known != of_.end()) return known->second;
        seen_.clear();
        found_.clear();
        add(residual);
        return of_[residual] = {found_.begin(), found_.end()};
    }

  private:
    void add(Node node) {
        if (!seen_.insert({0, node.id}).second) return;
        const auto view = (*function_.decisions)[node];
        if (view.kind == NodeKind::computed) add(view.value);
        if (view.kind != NodeKind::test) return;
        add(view.condition);
        add(view.yes);
        add(view.no);
    }
    void add(Condition condition) {
        if (!seen_.insert({1, condition.id}).second) return;
        const auto view = (*function_.terms)[condition];
        switch (view.kind) {
            case ConditionKind::never:
            case ConditionKind::always:
                return;
            case ConditionKind::both:
                add(view.d);
                [[fallthrough]];
            case ConditionKind::opposite:
                return add(view.c);
            case ConditionKind::one_of:
                found_.insert(view.values.begin(), view.values.end());
                return add(view.a);
            default:
                add(view.a);
                return add(view.b);
        }
    }
    void add(Term term) {
        if (!seen_.insert({2, term.id}).second) return;
        const auto view = (*function_.terms)[term];
        switch (view.kind) {
            case TermKind::constant:
                found_.insert(view.number);
                return;
            case TermKind::word:
                return;
            case TermKind::sign_extend:
            case TermKind::table:
                return add(view.a);
            case TermKind::select:
                add(view.condition);
                [[fallthrough]];
            default:
                add(view.a);
                add(view.b);
        }
    }

    const Function& function_;
    std::set<std::pair<int, std::uint32_t>> seen_;
    std::set<std::uint64_t> found_;
    std::map<Node, std::vector<std::uint64_t>> of_;
};

}  // namespace bpfwarden::filter
