// SPDX-License-Identifier: Apache-2.0
// What is known of values on a path: within which numbers they lie. Enough to accept a guarded index into a table and
// to leave out branches that cannot be taken.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "filter/term.hpp"

namespace bpfwarden::filter {

struct Range {
    std::uint64_t low = 0, high = std::numeric_limits<std::uint64_t>::max();  // both in it
    bool operator==(const Range&) const = default;
    bool contains(std::uint64_t value) const { return low <= value && value <= high; }
};

// By term, ascending; each once.
using Facts = std::vector<std::pair<Term, Range>>;

class Reasoner {
  public:
    explicit Reasoner(Terms& terms) : terms_(terms) {}

    // The number and the architecture are none of these, whatever the path (ascending, with no overlap, none touching
    // the next).
    void exclude(std::vector<Range> numbers, std::vector<Range> architectures);

    Range range(const Facts& facts, Term term) { return range(facts, term, 0); }
    // The same condition wherever the facts hold.
    Condition simplify(const Facts& facts, Condition condition) { return simplify(facts, condition, 0); }
    // Adds what follows from it; false: it cannot be.
    bool assume(Facts& facts, Condition condition, bool holds) { return assume(facts, condition, holds, 0); }

    // The same for a term of which it is known otherwise.
    bool limit(Facts& facts, Term term, Range to) { return narrow(facts, term, to, 0); }

    // Which of nr (bit 0) and arch (bit 1) were looked at where they are not constants, since it was last cleared.
    unsigned looked_at = 0;
    // How much it had to look at.
    std::uint64_t work = 0;

  private:
    Range range(const Facts& facts, Term term, int depth);
    Range of_kind(const Facts& facts, Term term, int depth);
    Condition simplify(const Facts& facts, Condition condition, int depth);
    bool assume(Facts& facts, Condition condition, bool holds, int depth);
    bool narrow(Facts& facts, Term term, Range to, int depth);
    const std::vector<Range>* excluded(Term term) const;
    bool is_excluded(Term term, Range range) const;

    Terms& terms_;
    std::vector<Range> numbers_, architectures_;
};

}  // namespace bpfwarden::filter
