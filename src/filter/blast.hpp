// SPDX-License-Identifier: Apache-2.0
// Terms, decisions and whole filters as diagrams over single bits.
#pragma once

#include <array>
#include <unordered_map>

#include "filter/bdd.hpp"
#include "filter/function.hpp"

namespace bpfwarden::filter {

class Blaster {
  public:
    Blaster(Diagrams& diagrams, const Terms& terms) : diagrams_(diagrams), terms_(terms) {}

    using Bits = std::array<Diagram, 64>;  // the lowest first
    // As long as the diagrams are not full and nothing was beyond them.
    const Bits& of(Term term);
    Diagram of(Condition condition);
    Diagram of(const Decisions& decisions, Node root);
    Diagram of(const Function& function);

    // Something was met that has no small diagram: a division by what is not constant, a product of two words.
    bool gave_up() const { return gave_up_ || diagrams_.full(); }

  private:
    // Of `root` and all that it is made of.
    void learn(std::uint32_t root);
    Bits compute(Term term);
    Diagram compute(Condition condition);
    Bits add(const Bits& a, const Bits& b, Diagram carry);
    Bits shift(const Bits& a, TermKind kind, std::uint64_t by) const;
    Bits shift(const Bits& a, TermKind kind, const Bits& by);
    Bits multiply(const Bits& a, std::uint64_t by);
    Bits choose(Diagram condition, const Bits& yes, const Bits& no);
    Bits look_up(const Bits& index, std::span<const std::uint64_t> values);
    Bits constant(std::uint64_t value) const;
    Diagram below(const Bits& a, const Bits& b);
    Diagram equal(const Bits& a, const Bits& b);
    Bits beyond();

    Diagrams& diagrams_;
    const Terms& terms_;
    std::unordered_map<std::uint32_t, Bits> terms_known_;
    std::unordered_map<std::uint32_t, Diagram> conditions_known_;
    bool gave_up_ = false;
};

}  // namespace bpfwarden::filter
