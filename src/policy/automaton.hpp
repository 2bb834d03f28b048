// SPDX-License-Identifier: Apache-2.0
// Many patterns as one automaton over the names of a path: what a path matches takes one step for each of its names,
// however many patterns there are. Names that are written out are edges; the globs of a state are one byte automaton
// (glob_table.hpp); every other name goes one way.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "policy/glob_table.hpp"
#include "policy/pattern.hpp"

namespace bpfwarden::policy {

// What a path is walked from.
enum class Start { path, detached, cgroups, types };
inline constexpr std::size_t start_count = 4;

struct Automaton {
    struct Edge {
        std::uint32_t name, to;
    };
    struct State {
        std::uint32_t set = 0;               // of the marks that end here
        std::uint32_t other = 0;             // for names without an edge that no glob matches
        std::uint32_t row = 0;               // of the byte automaton; 0: none
        std::vector<std::uint32_t> targets;  // for its ends, from 1
        std::vector<Edge> edges;             // each leads elsewhere than its name would without it
    };

    // 0: nothing matches, here or below. Others like it may be there: for edges, and behind types of file systems.
    std::vector<State> states;
    std::array<std::uint32_t, start_count> starts{};
    std::vector<std::string> names;
    std::shared_ptr<const GlobTable> globs;

    std::uint32_t start(Start from) const { return starts[static_cast<std::size_t>(from)]; }
    std::uint32_t step(std::uint32_t state, std::string_view name) const;
    // Without regard to edges.
    std::uint32_t step_without_edges(std::uint32_t state, std::string_view name) const;
};

class AutomatonBuilder {
  public:
    using Mark = std::uint32_t;
    // Makes one number of the marks (ascending, each once) that end in a state; states with the same may become one.
    // 0 for what is as good as none.
    using SetOf = std::function<std::uint32_t(std::span<const Mark>)>;
    static constexpr std::size_t most_states = 400'000;
    static constexpr std::size_t most_edges = 1'000'000;

    AutomatonBuilder();
    void add(Start from, const Pattern& pattern, Mark mark);
    // The same patterns in the same order make the same automaton. Fails (bad_input) when it would be too large; the
    // error names the patterns that cost most.
    Result<Automaton> build(const SetOf& set_of);

  private:
    using NodeSet = std::vector<std::uint32_t>;
    struct Node {
        std::map<std::uint32_t, std::uint32_t> literals, globs;
        std::uint32_t any = 0, deep = 0;
        bool loop = false;  // stays for any name
        std::uint32_t pattern = 0;
        std::vector<Mark> marks;
    };
    struct Construction;

    std::uint32_t fresh_node();
    std::uint32_t name_id(const std::string& name);
    Error too_large(std::string what, const std::vector<NodeSet>& sets) const;

    std::vector<Node> nodes_;  // 0 … 3: the starts
    std::vector<std::string> names_;
    std::unordered_map<std::string, std::uint32_t> name_ids_;
    std::vector<std::uint32_t> name_globs_;  // [name]: the glob that is the name itself, or none yet
    std::vector<std::string> patterns_;
    std::shared_ptr<GlobTable> globs_;
};

}  // namespace bpfwarden::policy
