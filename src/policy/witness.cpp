// SPDX-License-Identifier: Apache-2.0
#include "policy/witness.hpp"

#include <algorithm>
#include <deque>
#include <set>
#include <string_view>
#include <utility>

namespace bpfwarden::policy {

// How many names of an end are kept: some may be edges of a state, which lead elsewhere.
static constexpr std::size_t most_names = 16;

// Bytes for names, those that are easily read first.
static const std::string& bytes_to_try() {
    static const std::string all = [] {
        std::string bytes = "xabcdefghijklmnopqrstuvwyz0123456789._-ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        for (int byte = 1; byte < 256; ++byte)
            if (byte != '/' && bytes.find(static_cast<char>(byte)) == std::string::npos)
                bytes += static_cast<char>(byte);
        return bytes;
    }();
    return all;
}

const std::vector<std::vector<std::string>>& Witnesses::names(std::uint32_t row, std::size_t ends) {
    auto& found = names_[row];
    if (!found.empty()) return found;
    found.resize(ends + 1);
    const auto& rows = automaton_.globs->rows();
    // Breadth first, each row met a few times: the shortest names of each end.
    std::map<std::uint32_t, std::size_t> met;
    std::deque<std::pair<std::uint32_t, std::string>> waiting{{row, ""}};
    while (!waiting.empty()) {
        auto [at, name] = std::move(waiting.front());
        waiting.pop_front();
        if (name.size() >= longest_name) continue;
        std::map<std::uint32_t, unsigned> ways;
        for (const char byte : bytes_to_try()) {
            const auto to = rows[at][static_cast<unsigned char>(byte)];
            // Of bytes that lead to the same row, two: one may make a name that is an edge.
            if (++ways[to] > 2 || met[to] >= most_names) continue;
            ++met[to];
            auto next = name + byte;
            auto& of_end = found[automaton_.globs->ends()[to]];
            if (next != "." && next != ".." && of_end.size() < most_names) of_end.push_back(next);
            waiting.emplace_back(to, std::move(next));
        }
    }
    return found;
}

std::vector<Witnesses::Step> Witnesses::steps(std::uint32_t state) {
    const auto& from = automaton_.states[state];
    std::vector<Step> out;
    std::set<std::string_view> edges;
    for (const auto& edge : from.edges) {
        const auto& name = automaton_.names[edge.name];
        edges.insert(name);
        out.push_back({name, edge.to});
    }
    const auto add = [&](const std::vector<std::string>& names, std::uint32_t to) {
        const auto free = std::ranges::find_if(names, [&](const std::string& name) { return !edges.contains(name); });
        if (free != names.end()) out.push_back({*free, to});
    };
    if (from.row) {
        const auto& by_end = names(from.row, from.targets.size());
        for (std::size_t end = 0; end < by_end.size(); ++end)
            add(by_end[end], end ? from.targets[end - 1] : from.other);
    } else {
        std::string name = "x";
        while (edges.contains(name)) name += 'x';
        out.push_back({name, from.other});
    }
    return out;
}

}  // namespace bpfwarden::policy
