// SPDX-License-Identifier: Apache-2.0
// Functions of the 512 bits of seccomp_data, as reduced ordered decision diagrams whose ends are numbers: two functions
// are the same exactly if they are the same object. A truth is a function whose ends are 0 and 1.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "filter/data.hpp"

namespace bpfwarden::filter {

struct Diagram {
    std::uint32_t id = 0;
    auto operator<=>(const Diagram&) const = default;
};

class Diagrams {
  public:
    // Gives up (see full()) when there would be more nodes than that; counted, so that the same question always has the
    // same answer.
    explicit Diagrams(std::size_t most_nodes);

    Diagram end(std::uint32_t value);
    Diagram truth(bool value) const { return {value ? 1U : 0U}; }
    Diagram bit(Word word, unsigned number);

    // Where `condition` holds, `yes`, elsewhere `no`.
    Diagram choose(Diagram condition, Diagram yes, Diagram no);
    Diagram both(Diagram a, Diagram b) { return choose(a, b, truth(false)); }
    Diagram either(Diagram a, Diagram b) { return choose(a, truth(true), b); }
    Diagram opposite(Diagram a) { return choose(a, truth(false), truth(true)); }
    Diagram differ(Diagram a, Diagram b) { return choose(a, opposite(b), b); }

    // From then on nothing that is returned has a meaning.
    bool full() const { return full_; }
    std::size_t size() const { return nodes_.size(); }

    std::uint32_t evaluate(Diagram diagram, const Data& data) const;
    // The words that it depends on: bit n for word n.
    std::uint16_t words(Diagram diagram) const;
    // An input for which the two are different; all bits that do not matter are zero.
    std::optional<Data> difference(Diagram one, Diagram other) const;

  private:
    // The order of the variables: what filters ask first comes first. Bits of a word from the highest.
    static unsigned variable(Word word, unsigned bit);
    static constexpr std::uint32_t no_variable = 512;

    struct Inner {
        std::uint32_t variable = no_variable;  // no_variable: an end, and `low` is its value
        std::uint32_t low = 0, high = 0;
        bool operator==(const Inner&) const = default;
    };
    // What was chosen before. Later answers take the place of earlier ones.
    struct Chosen {
        std::uint32_t condition = 0, yes = 0, no = 0, result = 0;
    };
    Diagram make(std::uint32_t variable, Diagram low, Diagram high);

    std::size_t slot_of(const Inner& inner) const;
    Diagram keep(const Inner& inner);
    void grow();

    std::size_t most_, steps_left_;
    bool full_ = false;
    std::vector<Inner> nodes_;
    std::vector<std::uint32_t> slots_;  // a hash table of nodes; 0: free
    std::vector<Chosen> chosen_;
};

}  // namespace bpfwarden::filter
