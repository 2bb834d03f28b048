// SPDX-License-Identifier: Apache-2.0
// What must hold for every grant, tried on random ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "grant/check.hpp"
#include "grant/danger.hpp"
#include "grant/diff.hpp"
#include "grant/enforcement.hpp"
#include "grant/facts.hpp"
#include "grant/masks.hpp"
#include "grant/print.hpp"
#include "random.hpp"

namespace bpfwarden::grant {
namespace {

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
