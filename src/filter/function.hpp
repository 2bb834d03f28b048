// SPDX-License-Identifier: Apache-2.0
// A filter as the function that it is: for each architecture, ranges of system call numbers, and for each range what is
// left to decide (its residual). Every source becomes this, and the compiler starts from it.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "filter/data.hpp"
#include "filter/term.hpp"

namespace bpfwarden::filter {

struct Node {
    std::uint32_t id = 0;
    auto operator<=>(const Node&) const = default;
};

enum class NodeKind : std::uint8_t {
    action,    // returns `action`
    computed,  // returns the upper half of `action` and the lower 16 bits of `value`
    test,      // goes on at `yes` or `no`
};

struct NodeView {
    NodeKind kind{};
    std::uint32_t action = 0;
    Term value = {};
    Condition condition = {};
    Node yes = {}, no = {};
};

// Decisions over one set of terms. Equal ones are one node; there is no cycle.
class Decisions {
  public:
    explicit Decisions(Terms& terms) : terms_(&terms) {}

    Node action(std::uint32_t value);
    // `action` must be ERRNO, TRAP or TRACE. A constant makes it a plain action.
    Node computed(std::uint32_t action, Term value);
    // Tests that are decided are none; both() and opposite() are taken apart, so that `condition` of a node is one of
    // equal, below, below_signed, one_of.
    Node test(Condition condition, Node yes, Node no);

    const NodeView& operator[](Node node) const { return nodes_[node.id]; }
    std::size_t size() const { return nodes_.size(); }
    Terms& terms() const { return *terms_; }

    // What it returns for one input.
    std::uint32_t evaluate(Node node, const Data& data) const;

  private:
    Node keep(const NodeView& view);
    Terms* terms_;
    std::vector<NodeView> nodes_;
    struct Hash {
        std::size_t operator()(const NodeView& view) const;
    };
    struct Same {
        bool operator()(const NodeView& one, const NodeView& other) const;
    };
    std::unordered_map<NodeView, std::uint32_t, Hash, Same> known_;
};

// System calls with consecutive numbers that are treated alike.
struct Run {
    std::uint32_t first = 0, last = 0;
    Node node;
    bool operator==(const Run&) const = default;
};

// One value of seccomp_data.arch.
struct Part {
    std::uint32_t arch = 0;
    // Ascending, without gap or overlap, from 0 to 0xffffffff; neighbours differ. x32 is the numbers with bit 30 of
    // AUDIT_ARCH_X86_64.
    std::vector<Run> runs;
};

struct Function {
    std::unique_ptr<Terms> terms = std::make_unique<Terms>();
    std::unique_ptr<Decisions> decisions = std::make_unique<Decisions>(*terms);
    std::vector<Part> parts;  // each architecture once
    Node other;               // every other architecture

    std::uint32_t evaluate(const Data& data) const;
};

// Puts runs together from what is known of single numbers and of ranges: later entries win over earlier ones.
class Runs {
  public:
    explicit Runs(Node rest);
    void set(std::uint32_t first, std::uint32_t last, Node node);
    std::vector<Run> done() &&;

  private:
    std::vector<Run> runs_;
};

}  // namespace bpfwarden::filter
