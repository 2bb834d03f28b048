// SPDX-License-Identifier: Apache-2.0
#include "filter/compare.hpp"

#include "filter/blast.hpp"

namespace bpfwarden::filter {

Comparison compare(const Function& one, const Function& other, std::size_t most_nodes) {
    Diagrams diagrams(most_nodes);
    Blaster first(diagrams, *one.terms), second(diagrams, *other.terms);
    const auto a = first.of(one);
    const auto b = first.gave_up() ? Diagram{} : second.of(other);
    Comparison comparison{.nodes = diagrams.size()};
    if (first.gave_up() || second.gave_up()) return comparison;
    const auto example = diagrams.difference(a, b);
    comparison.answer = example ? Answer::different : Answer::same;
    if (!example) return comparison;
    comparison.example = *example;
    // By the plain meaning of both: a mistake in the diagrams would show here.
    comparison.one = one.evaluate(*example);
    comparison.other = other.evaluate(*example);
    if (comparison.one == comparison.other) comparison.answer = Answer::undecided;
    return comparison;
}

}  // namespace bpfwarden::filter
