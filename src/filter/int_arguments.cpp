// SPDX-License-Identifier: Apache-2.0
#include "filter/int_arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "filter/blast.hpp"
#include "filter/signatures.hpp"

namespace bpfwarden::filter {

namespace {

constexpr unsigned argument_count = 6;
// Of one residual. What is larger is looked at as it is written: then what does not matter in the end counts too.
constexpr std::size_t most_nodes = 20'000;
constexpr std::size_t most_names = 3;

class Ints {
  public:
    Ints(const Function& function, const std::unordered_map<std::uint32_t, std::string>& met_at)
        : function_(function), decisions_(*function.decisions), terms_(*function.terms) {
        for (const auto& [condition, place] : met_at) place_parts({condition}, place);
    }

    void look(Abi abi, std::uint32_t number) {
        const auto part = std::ranges::find(function_.parts, audit_arch(abi), &Part::arch);
        if (part == function_.parts.end()) return;
        const auto run = std::ranges::lower_bound(part->runs, number, {}, &Run::last);
        const auto words = words_of(run->node);
        for (unsigned argument = 0; argument < argument_count; ++argument) {
            const auto half = static_cast<unsigned>(arg_high(argument));
            if ((words >> half & 1) == 0) continue;
            const auto name = name_of(abi, number);
            if (!is_32_bit(abi) && !is_int_argument(name, argument)) continue;
            for (const auto& place : places_of(run->node, half))
                found_[{place, is_32_bit(abi), argument}].insert(name.empty() ? fmt::format("{}", number)
                                                                              : std::string(name));
        }
    }

    std::vector<Warning> warnings() const {
        std::vector<Warning> all;
        for (const auto& [what, calls] : found_) {
            const auto& [place, is_compat, argument] = what;
            std::string names;
            std::size_t named = 0;
            for (const auto& call : calls) {
                if (named == most_names) break;
                names += (named++ == 0 ? "" : ", ") + call;
            }
            if (calls.size() > named) names += fmt::format(" and {} more", calls.size() - named);
            all.push_back(
                {place, is_compat ? fmt::format("argument {} of {} is looked at with 64 bits, and the kernel takes 32 "
                                                "of an i386 call: int $0x80 of a 64-bit process sets the others as it "
                                                "likes; on i386 compare (__u32)ctx->args[{}]",
                                                argument, names, argument)
                                  : fmt::format("argument {} of {} is an int, and this looks at 64 bits: the upper "
                                                "half, which the kernel drops, decides too, and anybody can set it; "
                                                "compare (__u32)ctx->args[{}], or (int) if it may be negative",
                                                argument, names, argument)});
        }
        return all;
    }

  private:
    // Conditions that are decided by themselves are parts of what is written.
    void place_parts(Condition whole, const std::string& place) {
        std::vector<Condition> open{whole};
        while (!open.empty()) {
            const Condition condition = open.back();
            open.pop_back();
            // Where several lines have it: the first one in the file, for the same answer every time.
            const auto [at, is_new] = places_.try_emplace(condition.id, place);
            if (!is_new) {
                if (!comes_before(place, at->second)) continue;
                at->second = place;
            }
            const auto view = terms_[condition];
            if (view.kind == ConditionKind::both) open.push_back(view.d);
            if (view.kind == ConditionKind::both || view.kind == ConditionKind::opposite) open.push_back(view.c);
        }
    }
    static bool comes_before(const std::string& one, const std::string& other) {
        return std::pair(one.size(), one) < std::pair(other.size(), other);
    }

    std::vector<Node> nodes_of(Node root) const {
        std::vector<Node> found{root};
        std::set<Node> seen{root};
        for (std::size_t i = 0; i < found.size(); ++i) {
            const auto& view = decisions_[found[i]];
            if (view.kind != NodeKind::test) continue;
            for (const Node next : {view.yes, view.no})
                if (seen.insert(next).second) found.push_back(next);
        }
        return found;
    }
    std::uint16_t words_read(Node node) const {
        const auto& view = decisions_[node];
        if (view.kind == NodeKind::action) return 0;
        // A condition's words are kept as those of a term are.
        return terms_.words(view.kind == NodeKind::test ? Term{view.condition.id} : view.value);
    }

    // The words that it depends on, and not only reads.
    std::uint16_t words_of(Node root) {
        const auto [at, is_new] = words_.try_emplace(root.id, std::uint16_t{0});
        if (!is_new) return at->second;
        unsigned read = 0, halves = 0;
        for (const Node node : nodes_of(root)) read |= words_read(node);
        for (unsigned argument = 0; argument < argument_count; ++argument)
            halves |= 1U << static_cast<unsigned>(arg_high(argument));
        if ((read & halves) != 0) {
            Diagrams diagrams(most_nodes);
            Blaster blaster(diagrams, terms_);
            const auto diagram = blaster.of(decisions_, root);
            if (!blaster.gave_up()) read = diagrams.words(diagram);
        }
        return at->second = static_cast<std::uint16_t>(read & halves);
    }

    // Where that half is looked at: in the source, or nowhere that is known.
    std::set<std::string> places_of(Node root, unsigned half) const {
        std::set<std::string> places;
        for (const Node node : nodes_of(root)) {
            if ((words_read(node) >> half & 1) == 0) continue;
            const auto& view = decisions_[node];
            std::set<std::uint32_t> seen;
            make_from_below(
                terms_, view.kind == NodeKind::test ? view.condition.id : view.value.id,
                [&](std::uint32_t id) { return seen.contains(id) || (terms_.words(Term{id}) >> half & 1) == 0; },
                [&](std::uint32_t id) {
                    seen.insert(id);
                    if (const auto at = places_.find(id); at != places_.end()) places.insert(at->second);
                });
        }
        if (places.empty()) places.insert("");
        return places;
    }

    const Function& function_;
    const Decisions& decisions_;
    const Terms& terms_;
    std::unordered_map<std::uint32_t, std::string> places_;
    std::unordered_map<std::uint32_t, std::uint16_t> words_;
    std::map<std::tuple<std::string, bool, unsigned>, std::set<std::string>> found_;
};

}  // namespace

std::vector<Warning> warn_of_ints(const Function& function, std::span<const Abi> abis, Kernel kernel,
                                  const std::unordered_map<std::uint32_t, std::string>& met_at) {
    Ints ints(function, met_at);
    for (const auto abi : abis)
        for (const auto number : all_numbers(abi, kernel)) ints.look(abi, number);
    return ints.warnings();
}

}  // namespace bpfwarden::filter
