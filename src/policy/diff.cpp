// SPDX-License-Identifier: Apache-2.0
#include "policy/diff.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "policy/describe.hpp"
#include "policy/shared_evaluator.hpp"
#include "policy/witness.hpp"

namespace bpfwarden::policy {

using Mark = AutomatonBuilder::Mark;
using Direction = Difference::Direction;

std::string_view name_of(Direction direction) {
    static constexpr std::string_view names[] = {"widens", "narrows", "neither"};
    return names[static_cast<std::size_t>(direction)];
}

bool Diff::widens() const {
    return std::ranges::any_of(differences, [](const auto& one) { return one.direction == Direction::widens; });
}
bool Diff::narrows() const {
    return std::ranges::any_of(differences, [](const auto& one) { return one.direction == Direction::narrows; });
}

namespace {

constexpr std::size_t examples_of_a_kind = 3;

Verdict verdict_of(const bw_outcome& outcome, Operations op) {
    return outcome.denied & op    ? Verdict::denied
           : outcome.warned & op  ? Verdict::would_deny
           : outcome.audited & op ? Verdict::audited
                                  : Verdict::allowed;
}

Direction direction_of(Verdict was, Verdict is) {
    if ((was == Verdict::denied) == (is == Verdict::denied)) return Direction::neither;
    return was == Verdict::denied ? Direction::widens : Direction::narrows;
}

void say(bw_rights& rights, std::uint32_t effect, Operations ops) {
    (effect == BW_EFFECT_ALLOW  ? rights.allow
     : effect == BW_EFFECT_DENY ? rights.deny
     : effect == BW_EFFECT_WARN ? rights.warn
                                : rights.audit) |= ops;
}

// One of the two sides: what its rules say, by the rules themselves.
struct Side {
    Linked linked;

    // Of a file whose name cannot be told: whatever some deny could have refused.
    void add_blind(bw_rights& rights, std::uint32_t domain) const {
        for (const auto& rule : linked.rules)
            if (rule.holds_for(domain) && rule.written->effect == Effect::deny)
                say(rights, rule.effect_in(domain), rule.written->ops & BW_OPS_PATH);
        rights.deny |= linked.domains[domain].default_deny & BW_OPS_PATH;
        rights.warn |= linked.domains[domain].default_warn & BW_OPS_PATH;
    }

    bw_outcome outcome(std::uint32_t domain, Operations ops, const bw_rights& rights) const {
        const auto& of = linked.domains[domain];
        return bw_decide(&rights, of.default_deny, of.default_warn, 0, ops);
    }
    bw_outcome on(std::span<const std::uint32_t> rules, std::uint32_t domain, Operations ops, bool blind) const {
        bw_rights rights{};
        if (blind) add_blind(rights, domain);
        for (const auto index : rules)
            if (linked.rules[index].holds_for(domain))
                say(rights, linked.rules[index].effect_in(domain), linked.rules[index].written->ops & ops);
        return outcome(domain, ops, rights);
    }
    template <class Fits>
    bw_outcome on_those(std::uint32_t domain, Operations ops, Fits fits) const {
        bw_rights rights{};
        for (const auto& rule : linked.rules)
            if (rule.written->ops & ops && rule.holds_for(domain) && fits(rule))
                say(rights, rule.effect_in(domain), rule.written->ops & ops);
        return outcome(domain, ops, rights);
    }
};

class Differ {
  public:
    Differ(std::span<const Policy> was, std::span<const Policy> is) {
        sides_[0].linked = link(was, ignored_);
        sides_[1].linked = link(is, ignored_);
    }

    Result<Diff> run() {
        if (!ignored_.ok()) return fail(Code::bad_input, "a policy with errors cannot be compared");
        domains();
        ways();
        if (auto done = files(); !done) return fail(std::move(done).error());
        for (const auto& [name, was, is] : pairs_) {
            identities(name, was, is);
            labels(name, was, is);
            capabilities(name, was, is);
            peers(name, was, is);
            plain(name, was, is);
            net(name, was, is);
        }
        return std::move(out_);
    }

  private:
    struct Pair {
        std::string name;
        std::uint32_t was, is;
    };

    void setting(const std::string& domain, std::string what, std::string example, Direction direction) {
        out_.differences.push_back({domain, std::move(what), std::move(example), "", "", direction, 0, 0});
    }

    // All operations that are decided differently, in groups of the same change.
    void compare(const std::string& domain, const bw_outcome& was, const bw_outcome& is, Operations ops,
                 const std::string& example) {
        std::map<std::pair<Verdict, Verdict>, Operations> changes;
        for (const auto& one : all_operations()) {
            if (!(one.bit & ops)) continue;
            const auto before = verdict_of(was, one.bit), now = verdict_of(is, one.bit);
            if (before != now) changes[{before, now}] |= one.bit;
        }
        for (const auto& [change, changed] : changes) {
            auto& places = groups_[{domain, change.first, change.second, changed}];
            if (places.size() < examples_of_a_kind) {
                places.push_back(out_.differences.size());
                out_.differences.push_back({domain, names_of(changed), example, std::string(name_of(change.first)),
                                            std::string(name_of(change.second)),
                                            direction_of(change.first, change.second), 0, changed});
            } else {
                ++out_.differences[places.back()].more;
            }
        }
    }

    void domains() {
        const auto &was = sides_[0].linked, &is = sides_[1].linked;
        for (std::uint32_t i = 1; i < was.domains.size(); ++i) {
            const auto& one = was.domains[i];
            const auto other = is.domain(one.name);
            if (!other) {
                setting(one.name, "domain", "is gone: its processes are held to nothing", Direction::widens);
                continue;
            }
            pairs_.push_back({one.name, i, *other});
            const auto &before = *one.written, &now = *is.domains[*other].written;
            const auto flag = [&](std::string what, bool first, bool second, std::string_view yes, std::string_view no,
                                  bool yes_is_narrower) {
                if (first == second) return;
                setting(one.name, std::move(what), fmt::format("{} -> {}", first ? yes : no, second ? yes : no),
                        second == yes_is_narrower ? Direction::narrows : Direction::widens);
            };
            flag("secure_exec", before.secure_exec, now.secure_exec, "true", "false", true);
            flag("on_loss", one.policy->loss_denies, is.domains[*other].policy->loss_denies, "deny", "count", true);
            // Names mean something else then: neither can be said to be the wider.
            if (before.own_root != now.own_root)
                setting(one.name, "root",
                        fmt::format("{} -> {}", before.own_root ? "own" : "mounts", now.own_root ? "own" : "mounts"),
                        Direction::widens);
        }
        for (std::uint32_t i = 1; i < is.domains.size(); ++i)
            if (!was.domain(is.domains[i].name)) setting(is.domains[i].name, "domain", "is new", Direction::narrows);
    }

    static std::vector<std::pair<std::string, std::string>> way_texts(const Linked& linked) {
        std::vector<std::pair<std::string, std::string>> texts;
        for (const auto& way : linked.ways) texts.emplace_back(linked.domains[way.to].name, describe(linked, way));
        return texts;
    }

    void ways() {
        const auto was = way_texts(sides_[0].linked), is = way_texts(sides_[1].linked);
        bool same = true;
        // Who is no longer taken in is held to nothing, or to another domain.
        for (const auto& one : was)
            if (std::ranges::find(is, one) == is.end()) {
                setting(one.first, "enter", "- " + one.second, Direction::widens);
                same = false;
            }
        for (const auto& one : is)
            if (std::ranges::find(was, one) == was.end()) {
                setting(one.first, "enter", "+ " + one.second, Direction::narrows);
                same = false;
            }
        if (same && was != is) setting(is.empty() ? "" : is[0].first, "enter", "in another order", Direction::widens);
    }

    // Both sides' patterns in one automaton: each of its states is a place where both decide one way.
    Result<> files() {
        AutomatonBuilder builder;
        for (std::uint32_t side = 0; side < 2; ++side)
            for (std::uint32_t i = 0; i < sides_[side].linked.rules.size(); ++i) {
                const auto& rule = *sides_[side].linked.rules[i].written;
                const auto add = [&](const std::vector<PathGlob>& globs, bool except, bool types) {
                    for (const auto& glob : globs)
                        for (const auto& pattern : glob.patterns) {
                            builder.add(types              ? Start::types
                                        : pattern.detached ? Start::detached
                                                           : Start::path,
                                        pattern, i << 2 | side << 1 | (except ? 1U : 0U));
                            if (pattern.detached)
                                builder.add(Start::detached, {true, {pattern.components[0]}}, speaks_of_type | side);
                        }
                };
                add(rule.paths, false, false);
                add(rule.except, true, false);
                add(rule.file_systems, false, true);
            }
        std::map<Meeting, std::uint32_t> numbers{{Meeting{}, 0}};
        std::vector<Meeting> meetings{Meeting{}};
        const auto automaton = BW_TRY(builder.build([&](std::span<const Mark> marks) {
            Meeting meeting;
            for (const auto mark : marks) {
                if (mark >= speaks_of_type)
                    meeting.speaks_of_type[mark & 1] = true;
                else if (!(mark & 1) && !std::ranges::binary_search(marks, mark | 1))
                    meeting.rules[mark >> 1 & 1].push_back(mark >> 2);
            }
            const auto [at, fresh] = numbers.try_emplace(meeting, static_cast<std::uint32_t>(meetings.size()));
            if (fresh) meetings.push_back(std::move(meeting));
            return at->second;
        }));
        Witnesses witnesses(automaton);
        for (const auto from : {Start::path, Start::detached, Start::types}) walk(automaton, meetings, witnesses, from);
        for (const auto& [name, was, is] : pairs_)
            compare(name, sides_[0].on({}, was, BW_OPS_PATH, true), sides_[1].on({}, is, BW_OPS_PATH, true),
                    BW_OPS_PATH, "a file whose name cannot be told");
        return {};
    }
    // What of both sides meets in a state.
    struct Meeting {
        std::array<std::vector<std::uint32_t>, 2> rules;
        std::array<bool, 2> speaks_of_type{};  // behind a type: whether the side has patterns for it
        friend auto operator<=>(const Meeting&, const Meeting&) = default;
    };
    static constexpr Mark speaks_of_type = 0xffff'fff0;

    // Every state that a name reaches, with the shortest path to it.
    void walk(const Automaton& automaton, const std::vector<Meeting>& meetings, Witnesses& witnesses, Start from) {
        // A file system of a type that a side has no pattern for has no names there.
        using Nameless = std::array<bool, 2>;
        struct Reached {
            std::uint32_t state;
            std::size_t parent;
            std::string name;
            Nameless nameless;
        };
        std::vector<Reached> reached{{automaton.start(from), 0, "", {}}};
        std::set<std::pair<std::uint32_t, Nameless>> seen;
        if (from == Start::path) seen.insert({automaton.start(from), {}});
        for (std::size_t i = 0; i < reached.size(); ++i) {
            const auto state = reached[i].state;
            if (from == Start::path || i > 0) {
                std::string example;
                for (std::size_t at = i; at != 0; at = reached[at].parent)
                    example = (from == Start::path || reached[at].parent != 0 ? "/" : "") + reached[at].name +
                              (from == Start::detached && reached[at].parent == 0 ? ":" : "") + example;
                if (from == Start::path && i == 0) example = "/";
                if (from == Start::detached && example.ends_with(':')) example += '/';
                if (from == Start::types) example = "any file of type " + example;
                meet(meetings[automaton.states[state].set], example, from, reached[i].nameless);
            }
            if (from == Start::types && i > 0) continue;  // a type is one name
            for (auto& step : witnesses.steps(state)) {
                auto nameless = reached[i].nameless;
                if (from == Start::detached && i == 0) {
                    const auto& speaks = meetings[automaton.states[step.to].set].speaks_of_type;
                    nameless = {!speaks[0], !speaks[1]};
                    if (nameless[0] && nameless[1]) continue;  // no name at all: looked at by itself
                }
                if (seen.insert({step.to, nameless}).second)
                    reached.push_back({step.to, i, std::move(step.name), nameless});
            }
        }
    }

    void meet(const Meeting& meeting, const std::string& example, Start from, const std::array<bool, 2>& nameless) {
        if (from == Start::types && meeting.rules[0].empty() && meeting.rules[1].empty()) return;
        for (const auto& [name, was, is] : pairs_)
            compare(name, sides_[0].on(meeting.rules[0], was, BW_OPS_PATH, nameless[0]),
                    sides_[1].on(meeting.rules[1], is, BW_OPS_PATH, nameless[1]), BW_OPS_PATH, example);
    }

    void identities(const std::string& name, std::uint32_t was, std::uint32_t is) {
        std::vector<Identity> files;
        for (const auto& side : sides_)
            for (const auto& rule : side.linked.rules)
                for (const auto& file : rule.written->identities)
                    if (std::ranges::find(files, file) == files.end()) files.push_back(file);
        for (const auto& file : files) {
            const auto about = [&](const LinkedRule& rule) {
                return std::ranges::find(rule.written->identities, file) != rule.written->identities.end();
            };
            compare(name, sides_[0].on_those(was, BW_OPS_PATH, about), sides_[1].on_those(is, BW_OPS_PATH, about),
                    BW_OPS_PATH, describe(file));
        }
    }

    void labels(const std::string& name, std::uint32_t was, std::uint32_t is) {
        std::vector<Pin> all;
        for (const auto& side : sides_)
            for (const auto& rule : side.linked.rules)
                for (const auto& label : rule.written->labels)
                    if (std::ranges::find(all, label) == all.end()) all.push_back(label);
        for (const auto& label : all) {
            const auto about = [&](const LinkedRule& rule) {
                return std::ranges::find(rule.written->labels, label) != rule.written->labels.end();
            };
            compare(name, sides_[0].on_those(was, BW_OPS_LABEL, about), sides_[1].on_those(is, BW_OPS_LABEL, about),
                    BW_OPS_LABEL, describe(label));
        }
    }

    void capabilities(const std::string& name, std::uint32_t was, std::uint32_t is) {
        const auto names = capability_names();
        for (std::size_t bit = 0; bit < names.size(); ++bit) {
            const auto about = [&](const LinkedRule& rule) { return rule.written->capabilities >> bit & 1; };
            compare(name, sides_[0].on_those(was, BW_OP_CAPABLE, about), sides_[1].on_those(is, BW_OP_CAPABLE, about),
                    BW_OP_CAPABLE, names[bit]);
        }
    }

    void peers(const std::string& name, std::uint32_t was, std::uint32_t is) {
        const auto about = [](std::uint32_t peer) {
            return [peer](const LinkedRule& rule) { return rule.peers.has(peer); };
        };
        for (std::uint32_t peer = 0; peer < sides_[0].linked.domains.size(); ++peer) {
            const auto& peer_name = sides_[0].linked.domains[peer].name;
            if (const auto other = sides_[1].linked.domain(peer_name))
                compare(name, sides_[0].on_those(was, BW_OPS_DOMAIN, about(peer)),
                        sides_[1].on_those(is, BW_OPS_DOMAIN, about(*other)), BW_OPS_DOMAIN, peer_name);
        }
    }

    void plain(const std::string& name, std::uint32_t was, std::uint32_t is) {
        const auto any = [](const LinkedRule&) { return true; };
        compare(name, sides_[0].on_those(was, BW_OPS_PLAIN, any), sides_[1].on_those(is, BW_OPS_PLAIN, any),
                BW_OPS_PLAIN, "");
    }

    struct NetSaying {
        Net net;
        Operations ops;
        std::uint32_t effect;
    };
    std::vector<NetSaying> net_of(const Side& side, std::uint32_t domain) const {
        std::vector<NetSaying> out;
        for (const auto& rule : side.linked.rules) {
            const auto ops = rule.written->ops & BW_OPS_ADDRESS;
            if (!ops || !rule.holds_for(domain)) continue;
            static const std::vector<Net> any{Net{}};
            for (const auto& net : rule.written->net.empty() ? any : rule.written->net)
                out.push_back({net,
                               rule.written->effect == Effect::allow || net.family_alone() ? ops : ops & ~BW_OP_SOCKET,
                               rule.effect_in(domain)});
        }
        return out;
    }

    bw_outcome on_address(const Side& side, std::uint32_t domain, std::span<const NetSaying> sayings,
                          const bw_address& address, Operations op) const {
        bw_rights rights{};
        for (const auto& saying : sayings) {
            const auto line = net_line(saying.net);
            if (saying.ops & op && bw_net_matches(&line, &address, op)) say(rights, saying.effect, op);
        }
        return side.outcome(domain, op, rights);
    }

    // Between two boundaries of what rules name, all addresses and ports are decided alike: one of each is tried.
    void net(const std::string& name, std::uint32_t was, std::uint32_t is) {
        const auto before = net_of(sides_[0], was), now = net_of(sides_[1], is);
        std::set<std::uint16_t> families{AF_INET, AF_INET6, AF_UNIX, AF_MAX};
        std::set<std::tuple<std::uint16_t, std::array<std::uint8_t, 16>>> addresses;
        std::set<std::uint16_t> ports{0, 0xffff};
        for (const auto* sayings : {&before, &now})
            for (const auto& [one, ops, effect] : *sayings) {
                if (one.family) families.insert(*one.family);
                if (one.port_first > 0) ports.insert({one.port_first, static_cast<std::uint16_t>(one.port_first - 1)});
                if (one.port_last < 0xffff)
                    ports.insert({one.port_last, static_cast<std::uint16_t>(one.port_last + 1)});
                if (one.prefix && one.family) {
                    addresses.insert({*one.family, one.address});
                    addresses.insert({*one.family, beside(one, true)});
                    addresses.insert({*one.family, beside(one, false)});
                }
            }
        for (const auto family : families) addresses.insert({family, {}});
        for (const auto& [family, bytes] : addresses) {
            bw_address address{};
            address.family = family;
            std::ranges::copy(bytes, address.bytes);
            const bool has_ports = family == AF_INET || family == AF_INET6;
            for (const auto port : ports) {
                if (!has_ports && port) continue;
                address.port = port;
                for (const auto& one : all_operations()) {
                    if (one.object != Object::address) continue;
                    // By family alone: once is enough.
                    if (one.bit == BW_OP_SOCKET && (port || bytes != std::array<std::uint8_t, 16>{})) continue;
                    auto normal = address;
                    bw_address_normal(&normal, one.bit);
                    const auto first = on_address(sides_[0], was, before, normal, one.bit);
                    const auto second = on_address(sides_[1], is, now, normal, one.bit);
                    compare(name, first, second, one.bit,
                            one.bit == BW_OP_SOCKET ? family_name(family) : describe(address));
                }
            }
        }
    }

    // The address right before a network, or right behind it.
    static std::array<std::uint8_t, 16> beside(const Net& net, bool behind) {
        auto address = net.address;
        const std::size_t bytes = net.family == AF_INET ? 4 : 16;
        if (behind)
            for (std::size_t bit = net.prefix; bit < bytes * 8; ++bit)
                address[bit / 8] = static_cast<std::uint8_t>(address[bit / 8] | 1 << (7 - bit % 8));
        for (std::size_t i = bytes; i-- > 0;)
            if (behind ? ++address[i] != 0 : address[i]-- != 0) break;
        return address;
    }

    Diagnostics ignored_;
    std::array<Side, 2> sides_;
    std::vector<Pair> pairs_;
    std::map<std::tuple<std::string, Verdict, Verdict, Operations>, std::vector<std::size_t>> groups_;
    Diff out_;
};

}  // namespace

Result<Diff> diff(std::span<const Policy> was, std::span<const Policy> is) { return Differ(was, is).run(); }

}  // namespace bpfwarden::policy
