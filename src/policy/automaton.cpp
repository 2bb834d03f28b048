// SPDX-License-Identifier: Apache-2.0
#include "policy/automaton.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "shared/policy_image.h"

namespace bpfwarden::policy {

using Kind = Component::Kind;

static constexpr std::uint32_t none = ~0U;

std::uint32_t Automaton::step_without_edges(std::uint32_t state, std::string_view name) const {
    const auto& now = states[state];
    if (now.row)
        if (const auto end = globs->run(now.row, name)) return now.targets[end - 1];
    return now.other;
}

std::uint32_t Automaton::step(std::uint32_t state, std::string_view name) const {
    for (const auto& edge : states[state].edges)
        if (names[edge.name] == name) return edge.to;
    return step_without_edges(state, name);
}

AutomatonBuilder::AutomatonBuilder() : nodes_(start_count), globs_(std::make_shared<GlobTable>()) {}

std::uint32_t AutomatonBuilder::fresh_node() {
    nodes_.emplace_back().pattern = static_cast<std::uint32_t>(patterns_.size() - 1);
    return static_cast<std::uint32_t>(nodes_.size() - 1);
}

std::uint32_t AutomatonBuilder::name_id(const std::string& name) {
    const auto [at, fresh] = name_ids_.try_emplace(name, static_cast<std::uint32_t>(names_.size()));
    if (fresh) {
        names_.push_back(name);
        name_globs_.push_back(none);
    }
    return at->second;
}

void AutomatonBuilder::add(Start from, const Pattern& pattern, Mark mark) {
    patterns_.push_back(pattern.text());
    auto node = static_cast<std::uint32_t>(from);
    // nodes_ grows: a slot is looked up anew each time.
    const auto into = [&](auto slot_of) {
        if (const auto known = slot_of(nodes_[node])) return known;
        const auto fresh = fresh_node();
        slot_of(nodes_[node]) = fresh;
        return fresh;
    };
    const auto any = [](Node& one) -> std::uint32_t& { return one.any; };
    for (std::size_t i = 0; i < pattern.components.size(); ++i) {
        const auto& component = pattern.components[i];
        switch (component.kind) {
            case Kind::literal: {
                const auto name = name_id(component.text);
                node = into([name](Node& one) -> std::uint32_t& { return one.literals[name]; });
                break;
            }
            case Kind::glob: {
                const auto glob = globs_->intern(component.text);
                node = into([glob](Node& one) -> std::uint32_t& { return one.globs[glob]; });
                break;
            }
            case Kind::any:
                node = into(any);
                break;
            case Kind::deep:
                node = into([](Node& one) -> std::uint32_t& { return one.deep; });
                nodes_[node].loop = true;
                // At the end there must be something below.
                if (i + 1 == pattern.components.size()) node = into(any);
                break;
        }
    }
    nodes_[node].marks.push_back(mark);
}

Error AutomatonBuilder::too_large(std::string what, const std::vector<NodeSet>& sets) const {
    std::vector<std::uint32_t> in(patterns_.size(), 0);
    std::vector<std::uint32_t> last(patterns_.size(), none);
    for (std::uint32_t i = 0; i < sets.size(); ++i)
        for (const auto node : sets[i])
            if (const auto pattern = nodes_[node].pattern; last[pattern] != i && !patterns_.empty()) {
                last[pattern] = i;
                ++in[pattern];
            }
    std::vector<std::uint32_t> order;
    for (std::uint32_t i = 0; i < in.size(); ++i) order.push_back(i);
    std::ranges::stable_sort(order, std::greater(), [&](std::uint32_t i) { return in[i]; });
    std::string most;
    for (std::size_t i = 0; i < order.size() && i < 3; ++i)
        most += fmt::format("{}{}", i ? ", " : "", quoted(patterns_[order[i]]));
    return Error(Code::bad_input, std::move(what))
        .because(fmt::format("these patterns meet most others: {}", most))
        .advise("\"**\" before further names is what multiplies: write directories out where they are known");
}

// From sets of nodes to states, and from those to as few states as there are different ones.
struct AutomatonBuilder::Construction {
    AutomatonBuilder& builder;
    const SetOf& set_of;

    struct Raw {
        std::uint32_t set = 0, other = 0;
        // Behind a type of file systems that some pattern has: not the same as state 0, whatever comes of it. A type
        // that leads to state 0 is one that nobody speaks of.
        bool spoken_of = false;
        const GlobTable::Machine* machine = nullptr;
        std::vector<std::uint32_t> targets;
        struct Edge {
            std::uint32_t name, end, to;  // `end`: which of the machine's the name comes to
        };
        std::vector<Edge> edges;
    };
    std::vector<Raw> raw{Raw{}};
    std::vector<NodeSet> sets{NodeSet{}};
    std::map<NodeSet, std::uint32_t> known{{{}, 0}};
    std::size_t edge_count = 0;

    static void tidy(NodeSet& set) {
        std::ranges::sort(set);
        const auto rest = std::ranges::unique(set);
        set.erase(rest.begin(), rest.end());
    }

    std::uint32_t number(NodeSet set) {
        for (std::size_t i = 0, size = set.size(); i < size; ++i)
            if (const auto deep = builder.nodes_[set[i]].deep) set.push_back(deep);
        tidy(set);
        const auto [at, fresh] = known.try_emplace(set, static_cast<std::uint32_t>(sets.size()));
        if (fresh) {
            std::vector<Mark> marks;
            for (const auto node : set)
                marks.insert(marks.end(), builder.nodes_[node].marks.begin(), builder.nodes_[node].marks.end());
            tidy(marks);
            raw.emplace_back().set = marks.empty() ? 0 : set_of(marks);
            sets.push_back(std::move(set));
        }
        return at->second;
    }

    std::uint32_t glob_of_name(std::uint32_t name) {
        auto& glob = builder.name_globs_[name];
        if (glob == none) glob = builder.globs_->intern(escape_name(builder.names_[name]));
        return glob;
    }

    // Where a state leads, before it is known which states those are.
    struct Ways {
        NodeSet any;
        std::map<std::uint32_t, NodeSet> names;  // by name
        std::map<std::uint32_t, NodeSet> globs;  // by glob
    };

    Ways ways_of(const NodeSet& set) {
        Ways ways;
        for (const auto index : set) {
            const auto& node = builder.nodes_[index];
            if (node.loop) ways.any.push_back(index);
            if (node.any) ways.any.push_back(node.any);
            for (const auto& [glob, to] : node.globs) ways.globs[glob].push_back(to);
            for (const auto& [name, to] : node.literals) {
                // Behind "**" a name is looked for in every state: as a glob all of them share it.
                if (node.loop)
                    ways.globs[glob_of_name(name)].push_back(to);
                else
                    ways.names[name].push_back(to);
            }
        }
        long_names(ways);
        return ways;
    }

    // An edge's two buckets are found by the first 23 bytes of its name and hold four edges: of longer names that
    // begin alike, two may be edges.
    void long_names(Ways& ways) {
        std::map<std::string_view, std::vector<std::uint32_t>> alike;
        for (const auto& [name, to] : ways.names)
            if (const std::string_view text = builder.names_[name]; text.size() > BW_EDGE_INLINE)
                alike[text.substr(0, BW_EDGE_INLINE)].push_back(name);
        for (const auto& [begin, names] : alike) {
            if (names.size() <= 2) continue;
            for (const auto name : names) {
                auto& into = ways.globs[glob_of_name(name)];
                const auto& to = ways.names[name];
                into.insert(into.end(), to.begin(), to.end());
                ways.names.erase(name);
            }
        }
    }

    Result<> expand(std::uint32_t state) {
        const auto ways = ways_of(sets[state]);
        const auto other = number(ways.any);
        raw[state].other = other;
        if (!ways.globs.empty()) {
            std::vector<std::uint32_t> globs;
            for (const auto& [glob, to] : ways.globs) globs.push_back(glob);
            auto found = builder.globs_->machine(globs);
            // With a table that was half full already it is not these globs that are too many.
            if (!found && builder.globs_->rows().size() > GlobTable::most_rows / 2)
                return fail(builder.too_large("this policy needs more than 32 MiB for its globs", sets));
            const auto* machine = BW_TRY(std::move(found));
            raw[state].machine = machine;
            for (const auto& end : machine->ends) {
                NodeSet to = ways.any;
                for (const auto glob : end) {
                    const auto& more = ways.globs.find(glob)->second;
                    to.insert(to.end(), more.begin(), more.end());
                }
                const auto target = number(std::move(to));
                raw[state].targets.push_back(target);
            }
        }
        for (const auto& [name, nodes] : ways.names) {
            NodeSet to = ways.any;
            to.insert(to.end(), nodes.begin(), nodes.end());
            std::uint32_t end = 0;
            if (const auto* machine = raw[state].machine) {
                end = builder.globs_->run(machine->start, builder.names_[name]);
                if (end)
                    for (const auto glob : machine->ends[end - 1]) {
                        const auto& more = ways.globs.find(glob)->second;
                        to.insert(to.end(), more.begin(), more.end());
                    }
            }
            const auto target = number(std::move(to));
            raw[state].edges.push_back({name, end, target});
        }
        edge_count += ways.names.size();
        return {};
    }

    void speak_of(std::uint32_t start) {
        const auto mark = [&](std::uint32_t state) { raw[state].spoken_of = state != 0; };
        const auto from = raw[start];
        mark(from.other);
        for (const auto to : from.targets) mark(to);
        for (const auto& edge : from.edges) mark(edge.to);
    }

    // Classes of states that accept the same and go on the same. Starts with what they accept and splits until nothing
    // changes; a state's edge counts only where it leads elsewhere than its name would without it.
    std::vector<std::uint32_t> classes() const {
        std::vector<std::uint32_t> now(raw.size());
        for (std::size_t i = 0; i < raw.size(); ++i) now[i] = raw[i].set << 1 | (raw[i].spoken_of ? 1 : 0);
        std::size_t count = 0;
        while (true) {
            std::map<std::vector<std::uint32_t>, std::uint32_t> signatures;
            std::vector<std::uint32_t> fresh(raw.size());
            for (std::size_t i = 0; i < raw.size(); ++i) {
                const auto& one = raw[i];
                const auto other = now[one.other];
                std::vector<std::uint32_t> signature{now[i], other};
                const bool globs = std::ranges::any_of(one.targets, [&](std::uint32_t to) { return now[to] != other; });
                signature.push_back(globs ? one.machine->start : 0);
                if (globs)
                    for (const auto to : one.targets) signature.push_back(now[to]);
                for (const auto& edge : one.edges) {
                    if (now[edge.to] == (edge.end ? now[one.targets[edge.end - 1]] : other)) continue;
                    signature.push_back(edge.name);
                    signature.push_back(now[edge.to]);
                }
                fresh[i] = signatures.try_emplace(std::move(signature), static_cast<std::uint32_t>(signatures.size()))
                               .first->second;
            }
            now = std::move(fresh);
            if (signatures.size() == count) return now;
            count = signatures.size();
        }
    }

    Automaton finish(const std::array<std::uint32_t, start_count>& starts) const {
        const auto of = classes();
        // Numbers in the order in which the states are met from the starts, 0 staying what it is.
        std::vector<std::uint32_t> sample(std::ranges::max(of) + 1, none), numbers(sample.size(), none);
        for (std::uint32_t i = 0; i < raw.size(); ++i)
            if (sample[of[i]] == none) sample[of[i]] = i;
        Automaton out;
        std::vector<std::uint32_t> order{of[0]};
        numbers[of[0]] = 0;
        const auto number_of = [&](std::uint32_t state) {
            auto& number_here = numbers[of[state]];
            if (number_here == none) {
                number_here = static_cast<std::uint32_t>(order.size());
                order.push_back(of[state]);
            }
            return number_here;
        };
        for (std::size_t i = 0; i < start_count; ++i) out.starts[i] = number_of(starts[i]);
        std::vector<std::uint32_t> name_numbers(builder.names_.size(), none);
        bool dead_edges = false;
        for (std::size_t i = 0; i < order.size(); ++i) {
            const auto& from = raw[sample[order[i]]];
            Automaton::State state;
            state.set = from.set;
            state.other = number_of(from.other);
            for (const auto to : from.targets) state.targets.push_back(number_of(to));
            if (std::ranges::all_of(state.targets, [&](std::uint32_t to) { return to == state.other; }))
                state.targets.clear();
            else
                state.row = from.machine->start;
            for (const auto& edge : from.edges) {
                if (of[edge.to] == of[edge.end ? from.targets[edge.end - 1] : from.other]) continue;
                auto& name = name_numbers[edge.name];
                if (name == none) {
                    name = static_cast<std::uint32_t>(out.names.size());
                    out.names.push_back(builder.names_[edge.name]);
                }
                state.edges.push_back({name, number_of(edge.to)});
                dead_edges = dead_edges || state.edges.back().to == 0;
            }
            out.states.push_back(std::move(state));
        }
        // An edge cannot lead to 0, which is how "no edge" is said: it leads to another state that is the same.
        if (dead_edges) {
            const auto twin = static_cast<std::uint32_t>(out.states.size());
            for (auto& state : out.states)
                for (auto& edge : state.edges)
                    if (edge.to == 0) edge.to = twin;
            out.states.emplace_back();
        }
        out.globs = builder.globs_;
        return out;
    }
};

Result<Automaton> AutomatonBuilder::build(const SetOf& set_of) {
    Construction work{*this, set_of};
    std::array<std::uint32_t, start_count> starts{};
    for (std::uint32_t i = 0; i < start_count; ++i) {
        const auto& node = nodes_[i];
        const bool used = !node.literals.empty() || !node.globs.empty() || node.any || node.deep || !node.marks.empty();
        starts[i] = used ? work.number({i}) : 0;
    }
    for (std::uint32_t state = 1; state < work.raw.size(); ++state) {
        if (auto done = work.expand(state); !done) return fail(std::move(done).error());
        if (work.raw.size() > most_states)
            return fail(too_large(fmt::format("this policy needs more than {} states", most_states), work.sets));
        if (work.edge_count > most_edges)
            return fail(too_large(fmt::format("this policy needs more than {} edges", most_edges), work.sets));
    }
    work.speak_of(starts[static_cast<std::size_t>(Start::detached)]);
    return work.finish(starts);
}

}  // namespace bpfwarden::policy
