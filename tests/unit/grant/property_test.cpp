// SPDX-License-Identifier: Apache-2.0
// What must hold for every grant, tried on random ones. The seed is fixed; BPFWARDEN_SOAK=1 tries fifty times as many,
// with another seed each run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include <fmt/format.h>

#include "grant/check.hpp"
#include "grant/danger.hpp"
#include "grant/diff.hpp"
#include "grant/enforcement.hpp"
#include "grant/facts.hpp"
#include "grant/groups.hpp"
#include "grant/lookup.hpp"
#include "grant/masks.hpp"
#include "grant/print.hpp"
#include "grants.hpp"

namespace bpfwarden::grant {
namespace {

bool soak() { return std::getenv("BPFWARDEN_SOAK") != nullptr; }
int cases(int normal) { return soak() ? normal * 50 : normal; }

using Lists = std::map<std::string, std::vector<std::string>>;  // key -> entries, quoted as TOML

// A grant as lists that can be added to and taken from.
struct Draft {
    Lists allow, targets, identity;
    std::map<std::string, std::string> limits, session;
    std::vector<std::string> subject;

    std::string text() const {
        std::string out = "format = 1\n";
        if (!subject.empty()) out += fmt::format("subject = [{}]\n", fmt::join(subject, ", "));
        const auto lists = [&](std::string_view table, const Lists& of) {
            out += fmt::format("[{}]\n", table);
            for (const auto& [key, entries] : of) out += fmt::format("{} = [{}]\n", key, fmt::join(entries, ", "));
        };
        out += "[groups]\nown = ['veth0', 'sched/sched_switch']\n";
        lists("allow", allow);
        lists("targets", targets);
        lists("identity", identity);
        const auto values = [&](std::string_view table, const auto& of) {
            out += fmt::format("[{}]\n", table);
            for (const auto& [key, value] : of) out += fmt::format("{} = {}\n", key, value);
        };
        values("limits", limits);
        values("session", session);
        return out;
    }
};

class Random {
  public:
    explicit Random(unsigned salt) : engine_(soak() ? std::random_device{}() : 20261122U + salt) {}

    std::size_t below(std::size_t n) { return n ? engine_() % n : 0; }
    bool chance(unsigned percent) { return below(100) < percent; }
    template <class T>
    const T& one_of(const std::vector<T>& list) {
        return list[below(list.size())];
    }

    std::string entry(Dimension dimension) {
        if (chance(4)) return "'any'";
        if (chance(20)) {
            std::vector<std::string> groups;
            for (const auto& group : builtin_groups())
                if (group.dimension == dimension) groups.push_back(fmt::format("'@{}'", group.name));
            if (!groups.empty()) return one_of(groups);
        }
        return fmt::format("'{}'", value(dimension));
    }
    std::string value(Dimension dimension) {
        if (dimension == Dimension::kfuncs)
            return one_of(std::vector<std::string>{"bpf_a", "bpf_b", "bpf_*", "scx_*", "scx_x"});
        const auto all = all_values(dimension);
        // Half of the time from a few, so that grants and operations meet.
        auto name = std::string(all[below(chance(50) ? std::min<std::size_t>(all.size(), 8) : all.size())]);
        if (dimension == Dimension::commands && command_facts(name)->kind == CommandClass::refused)
            return "link_create";
        return name;
    }
    std::string target(Target target, bool glob) {
        static const std::map<Target, std::vector<std::string>> names{
            {Target::cgroups, {"/a", "/a/b", "/c"}},
            {Target::interfaces, {"veth0", "veth1", "eth0"}},
            {Target::tracepoints, {"sched/sched_switch", "syscalls/sys_enter_open", "sched_switch"}},
            {Target::functions, {"tcp_connect", "tcp_close", "do_unlinkat"}},
            {Target::uprobes, {"/bin/a:main", "/lib/c:malloc"}},
            {Target::perf_events, {"software/cpu_clock", "hardware/cpu_cycles"}}};
        static const std::map<Target, std::vector<std::string>> globs{
            {Target::cgroups, {"/a/**", "/a", "/*", "any"}},
            {Target::interfaces, {"veth*", "eth0", "*1", "any"}},
            {Target::tracepoints, {"sched/*", "syscalls/sys_*", "sched_switch", "any"}},
            {Target::functions, {"tcp_*", "do_unlinkat", "any"}},
            {Target::uprobes, {"/bin/*:main", "/lib/**:*", "any"}},
            {Target::perf_events, {"software/*", "hardware/cpu_cycles", "any"}}};
        return one_of((glob ? globs : names).at(target));
    }

    Draft draft() {
        Draft out;
        for (const auto dimension : all_dimensions) {
            if (chance(dimension == Dimension::commands ? 80 : 25)) continue;
            auto& list = out.allow[std::string(key_of(dimension))];
            for (auto n = below(6); n > 0; --n) list.push_back(entry(dimension));
        }
        for (const auto kind : all_targets) {
            if (chance(60)) continue;
            auto& list = out.targets[std::string(key_of(kind))];
            for (auto n = below(3); n > 0; --n) list.push_back(fmt::format("'{}'", target(kind, true)));
        }
        if (chance(15)) out.identity["signers"] = {chance(50) ? "'release'" : "'rel*'"};
        for (const auto limit : all_limits)
            if (chance(20))
                out.limits[std::string(key_of(limit))] =
                    limit == Limit::map_memory ? "'64MiB'" : std::to_string(below(3) * 5000);
        if (chance(20)) out.session["lifetime"] = chance(50) ? "'1h'" : "'2h'";
        if (chance(20)) out.session["hand_out"] = chance(50) ? "'link'" : "'program'";
        if (chance(20)) out.session["on_close"] = chance(50) ? "'keep'" : "'detach'";
        if (chance(20)) out.session["not_revocable"] = chance(50) ? "true" : "false";
        if (chance(50)) out.subject.push_back(chance(50) ? "{ user = 'a' }" : "{ user = 'a', exe = '/x' }");
        return out;
    }

    Operation operation() {
        switch (below(7)) {
            case 0:
                return MapCreate{value(Dimension::map_types)};
            case 1:
                return BtfLoad{};
            case 2:
                return OtherCommand{value(Dimension::commands)};
            case 3: {
                static const std::vector<Target> kinds{Target::tracepoints, Target::functions, Target::uprobes,
                                                       Target::perf_events};
                const auto kind = one_of(kinds);
                return PerfEventOpen{kind, target(kind, false)};
            }
            case 4: {
                Attach attach{.type = value(Dimension::attach_types)};
                const auto takers = program_types_of(attach.type);
                if (chance(50)) attach.program = takers[below(takers.size())];
                for (const auto kind : all_targets)
                    if (chance(40)) attach.targets.emplace_back(kind, target(kind, false));
                return attach;
            }
            default: {
                ProgLoad load{.type = value(Dimension::program_types)};
                const auto* facts = program_facts(load.type);
                if (!facts->attach_types.empty() && chance(60))
                    load.attach = facts->attach_types[below(facts->attach_types.size())];
                for (auto n = below(3); n > 0; --n) load.helpers.push_back(value(Dimension::helpers));
                if (chance(10)) load.kfuncs.push_back("bpf_a");
                if (chance(20)) load.features.push_back(value(Dimension::verifier));
                if (chance(50)) load.instructions = below(3) * 4000;
                if (chance(50)) load.signer = "release";
                load.function = target(Target::functions, false);
                load.tracepoint = "sched_switch";
                load.trivial = chance(5);
                return load;
            }
        }
    }

  private:
    std::mt19937 engine_;
};

bool is_subset(std::uint64_t less, std::uint64_t more) { return (less & ~more) == 0; }

// `more` refuses nothing that `less` allows.
void expect_not_narrower(const Draft& less, const Draft& more, Random& random) {
    const auto was = resolved(less.text()), is = resolved(more.text());
    for (int i = 0; i < 40; ++i) {
        const auto operation = random.operation();
        const auto before = check(was, operation), after = check(is, operation);
        ASSERT_TRUE(!before.allowed || after.allowed)
            << describe(operation) << " was allowed: " << before.reason << "\nand is not: " << after.reason << "\n"
            << less.text() << "\n---\n"
            << more.text();
    }
    const auto a = token_masks(was), b = token_masks(is);
    EXPECT_TRUE(is_subset(a.commands, b.commands) && is_subset(a.maps, b.maps) && is_subset(a.programs, b.programs) &&
                is_subset(a.attachs, b.attachs))
        << less.text() << "\n---\n"
        << more.text();
}

TEST(Property, OneMoreEntryNeverRefusesMore) {
    Random random(1);
    for (int i = 0; i < cases(1500); ++i) {
        const auto less = random.draft();
        auto more = less;
        const auto dimension = all_dimensions[random.below(std::size(all_dimensions))];
        // `commands` narrows by being there; one more entry of it does not.
        if (dimension == Dimension::commands && !less.allow.contains("commands")) continue;
        more.allow[std::string(key_of(dimension))].push_back(random.entry(dimension));
        expect_not_narrower(less, more, random);
        if (HasFatalFailure()) return;
    }
}

TEST(Property, OneEntryLessNeverAllowsMore) {
    Random random(2);
    for (int i = 0; i < cases(1500); ++i) {
        const auto more = random.draft();
        auto less = more;
        for (auto& [key, list] : less.allow)
            if (!list.empty() && random.chance(50))
                list.erase(list.begin() + static_cast<std::ptrdiff_t>(random.below(list.size())));
        expect_not_narrower(less, more, random);
        if (HasFatalFailure()) return;
    }
}

TEST(Property, AKeyOfAllowIsNotNarrowerThanItsAbsence) {
    Random random(3);
    for (int i = 0; i < cases(500); ++i) {
        const auto more = random.draft();
        auto less = more;
        std::erase_if(less.allow, [&](const auto& one) { return one.first != "commands" && random.chance(50); });
        expect_not_narrower(less, more, random);
        if (HasFatalFailure()) return;
    }
}

TEST(Property, WritingCommandsOnlyNarrows) {
    Random random(4);
    for (int i = 0; i < cases(500); ++i) {
        auto more = random.draft();
        more.allow.erase("commands");
        auto less = more;
        less.allow["commands"] = {random.entry(Dimension::commands), random.entry(Dimension::commands)};
        expect_not_narrower(less, more, random);
        if (HasFatalFailure()) return;
    }
}

TEST(Property, NarrowingTablesOnlyNarrow) {
    Random random(5);
    for (int i = 0; i < cases(500); ++i) {
        const auto less = random.draft();
        auto more = less;
        more.identity.clear();
        more.limits.clear();
        more.targets.erase("interfaces");
        more.targets.erase("cgroups");
        expect_not_narrower(less, more, random);
        if (HasFatalFailure()) return;
    }
}

// A diff that reports no widening is a promise.
TEST(Property, DiffOverlooksNoWidening) {
    Random random(6);
    int quiet = 0;
    for (int i = 0; i < cases(1500); ++i) {
        const auto one = random.draft();
        auto other = random.chance(50) ? random.draft() : one;
        for (auto& [key, list] : other.allow)
            if (!list.empty() && random.chance(30)) list.pop_back();
        for (auto& [key, list] : other.targets)
            if (random.chance(30)) list.push_back(fmt::format("'{}'", "veth0"));
        std::erase_if(other.targets, [](const auto& list) {
            return list.first != "interfaces" && std::ranges::find(list.second, "'veth0'") != list.second.end();
        });
        const auto was = resolved(one.text()), is = resolved(other.text());
        if (diff(was, is).widens()) continue;
        ++quiet;
        for (int n = 0; n < 60; ++n) {
            const auto operation = random.operation();
            ASSERT_TRUE(check(was, operation).allowed || !check(is, operation).allowed) << describe(operation) << "\n"
                                                                                        << one.text() << "\n---\n"
                                                                                        << other.text();
        }
    }
    EXPECT_GT(quiet, 20) << "the test tries something";
}

// Includes: each of the two files' narrowing stays in force, and nothing appears that neither allows.
TEST(Property, AnIncludeLoosensNothing) {
    Random random(7);
    for (int i = 0; i < cases(600); ++i) {
        auto top = random.draft(), other = random.draft();
        top.allow.erase("commands");
        other.allow.erase("commands");
        const auto alone = resolved(top.text()), part = resolved(other.text());
        const auto joined = resolved("include = ['other']\n" + top.text(), {{"other", other.text()}});
        for (const auto target : {Target::cgroups, Target::interfaces})
            for (int n = 0; n < 10; ++n) {
                const Attach attach{.type = target == Target::cgroups ? "cgroup_device" : "xdp",
                                    .program = target == Target::cgroups ? "cgroup_device" : "xdp",
                                    .targets = {{target, random.target(target, false)}}};
                if (alone.of(Dimension::program_types).contains(attach.program)) {
                    ASSERT_TRUE(check(alone, attach).allowed || !check(joined, attach).allowed) << top.text();
                }
            }
        for (const auto limit : all_limits)
            if (alone.of(limit)) {
                ASSERT_LE(joined.of(limit)->value, alone.of(limit)->value);
            }
        ASSERT_EQ(joined.subject.has_value(), alone.subject.has_value());
        ASSERT_EQ(joined.dangerous.size(), alone.dangerous.size());
        for (const auto dimension : all_dimensions)
            for (const auto& [value, origin] : joined.of(dimension).values)
                if (origin.written) {
                    ASSERT_TRUE(alone.of(dimension).wrote(value) || part.of(dimension).wrote(value));
                }
    }
}

TEST(Property, WhatIsPrintedMeansTheSame) {
    Random random(8);
    for (int i = 0; i < cases(500); ++i) {
        const auto draft = random.draft();
        const auto grant = resolved(draft.text());
        const auto text = to_toml(grant);
        ASSERT_TRUE(text);
        const auto again = resolved(*text);
        ASSERT_EQ(to_toml(again).value(), *text);
        ASSERT_TRUE(diff(grant, again).changes.empty()) << *text;
        ASSERT_EQ(token_masks(grant), token_masks(again));
        for (int n = 0; n < 20; ++n) {
            const auto operation = random.operation();
            ASSERT_EQ(check(grant, operation).allowed, check(again, operation).allowed) << describe(operation) << *text;
        }
    }
}

// What the evaluator lets through must not fail for want of a bit in the token's masks.
TEST(Property, MasksHoldWhatTheCheckAllows) {
    Random random(9);
    for (int i = 0; i < cases(1000); ++i) {
        const auto grant = resolved(random.draft().text());
        const auto masks = token_masks(grant);
        const auto has = [](std::uint64_t mask, kernel::NameKind kind, std::string_view name) {
            return (mask >> kernel::Names::known().value(kind, name).value() & 1) != 0;
        };
        for (int n = 0; n < 30; ++n) {
            const auto operation = random.operation();
            if (!check(grant, operation).allowed) continue;
            if (const auto* map = std::get_if<MapCreate>(&operation)) {
                ASSERT_TRUE(has(masks.maps, kernel::NameKind::map_type, map->type)) << map->type;
            }
            const auto* load = std::get_if<ProgLoad>(&operation);
            if (!load || load->type == "struct_ops") continue;
            ASSERT_TRUE(has(masks.programs, kernel::NameKind::program_type, load->type)) << load->type;
            const auto attach = load->attach.empty() ? "cgroup_inet_ingress" : load->attach;
            ASSERT_TRUE(has(masks.attachs, kernel::NameKind::attach_type, attach)) << describe(operation);
        }
    }
}

// A grant whose every key a token holds must not let the token do more at load than the check allows.
TEST(Property, AFullyHeldGrantIsNotExceededByItsMasks) {
    Random random(10);
    int held = 0;
    for (int i = 0; i < cases(1500); ++i) {
        auto draft = random.draft();
        draft.targets.clear();
        draft.identity.clear();
        draft.limits.clear();
        draft.session.clear();
        for (const char* key : {"helpers", "kfuncs", "verifier"}) draft.allow[key] = {"'any'"};
        draft.allow.erase("commands");
        const auto grant = resolved(draft.text());
        if (!unenforced(grant, Way::token).empty()) continue;
        ++held;
        const auto masks = token_masks(grant);
        for (const auto& facts : all_program_facts()) {
            const auto type = kernel::Names::known().value(kernel::NameKind::program_type, facts.type).value();
            if ((masks.programs >> type & 1) == 0) continue;
            for (const auto attach : facts.attach_types) {
                const auto bit = kernel::Names::known().value(kernel::NameKind::attach_type, attach).value();
                if ((masks.attachs >> bit & 1) == 0) continue;
                ProgLoad load{.type = std::string(facts.type), .attach = std::string(attach)};
                // Targets that must be named are judged elsewhere.
                const auto verdict = check(grant, load);
                ASSERT_TRUE(verdict.allowed || verdict.key.starts_with("targets."))
                    << describe(load) << ": " << verdict.reason << "\n"
                    << draft.text();
            }
        }
    }
    EXPECT_GT(held, 50) << "the test tries something";
}

}  // namespace
}  // namespace bpfwarden::grant
