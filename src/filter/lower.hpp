// SPDX-License-Identifier: Apache-2.0
// Decisions about values of 64 bits as tests of 32-bit words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "filter/function.hpp"
#include "filter/graph.hpp"
#include "filter/known.hpp"

namespace bpfwarden::filter {

// What a path says about each source; those about which it says nothing are left out.
struct Facts {
    std::map<Source, Known> values;
    std::uint64_t computed = 0;  // sources that are in scratch memory

    bool operator==(const Facts&) const = default;
};

class Lowering {
  public:
    Lowering(Decisions& decisions, Graph& graph);

    // The same decisions, where the facts hold. Tests that earlier ones decide are left out.
    Result<Block> lower(Node node, const Facts& facts);
    // The words that its result may depend on: a bit for each.
    std::uint32_t words_of(Node node);
    // The same decisions for one system call number.
    Node for_number(Node root, std::uint32_t nr);

  private:
    // A condition as tests of words: another choice, or where the condition's test goes on.
    static constexpr std::int32_t holds = -1, fails = -2;
    struct Choice {
        Test test;
        std::int32_t yes = 0, no = 0;
    };
    struct Choices {
        std::vector<Choice> all;
        std::int32_t root = 0;
    };
    // (source & mask) moved right by `shift` bits (left, if that is negative), or a constant.
    struct Shape {
        bool is_constant = false;
        std::uint32_t constant = 0;
        Source source;
        std::uint32_t mask = 0xffffffff;
        int shift = 0;
    };

    Block walk(Node node, std::int32_t at, Facts facts);
    std::optional<Block> follow(Node& node, std::int32_t& at, Facts& facts, Choice& choice, std::size_t depth);
    std::uint64_t kept_bit(Source source) const;
    Facts after(const Facts& facts, const Test& test, bool outcome) const;
    void give_up();
    Facts relevant(const Facts& facts, Node node);

    const Choices& choices_of(Condition condition);
    Choices make_choices(Condition condition);
    std::int32_t choose(Choices& to, Choice choice);
    std::int32_t equal(Choices& to, Term a, std::uint64_t value, std::int32_t yes, std::int32_t no);
    std::int32_t below(Choices& to, Term a, std::uint64_t value, std::int32_t yes, std::int32_t no);
    std::int32_t one_of(Choices& to, Term a, const std::vector<std::uint64_t>& values);
    std::int32_t equal_word(Choices& to, const Shape& shape, std::uint32_t value, std::int32_t yes, std::int32_t no);
    std::int32_t below_word(Choices& to, const Shape& shape, std::uint64_t value, std::int32_t yes, std::int32_t no);
    std::int32_t among_words(Choices& to, const Shape& shape, std::span<const std::uint32_t> values);

    Term low(Term term);
    Term high(Term term);
    Shape shape_of(Term term);
    Source computed(Term term);
    Source truth(Condition condition);
    Source keep(Term key, Result<Steps> steps);

    std::uint32_t words_of(std::uint32_t id);
    bool computes(std::uint32_t id) const;
    // Whether it has a division of more than 32 bits, of which only one fits into a filter.
    bool divides_long(Term term);
    std::uint32_t part_for_number(std::uint32_t root, std::uint32_t nr);
    Term made_again(Term term, Term number, const std::function<std::uint32_t(std::uint32_t)>& now);
    Condition made_again(Condition condition, const std::function<std::uint32_t(std::uint32_t)>& now);

    Decisions& decisions_;
    Terms& terms_;
    Graph& graph_;
    std::unordered_map<std::uint32_t, std::uint32_t> words_, node_words_;
    std::unordered_map<std::uint32_t, bool> divides_long_;
    // Those with computed values are of one residual: where these are kept differs.
    std::unordered_map<std::uint32_t, Choices> choices_, choices_here_;
    bool computes_ = false;
    struct Key {
        std::uint32_t node = 0;
        std::int32_t choice = 0;
        Facts facts;
        bool operator==(const Key&) const = default;
    };
    struct Hash {
        std::size_t operator()(const Key& key) const;
    };
    std::unordered_map<Key, Block, Hash> done_;
    std::map<Term, Source> kept_;  // of this residual
    int next_slot_ = 0;
    std::size_t steps_ = 0;
    std::unique_ptr<Error> error_;
    std::unordered_map<std::uint32_t, Node> node_for_number_;
    std::unordered_map<std::uint32_t, std::uint32_t> part_for_number_;
};

}  // namespace bpfwarden::filter
