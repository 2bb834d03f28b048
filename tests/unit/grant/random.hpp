// SPDX-License-Identifier: Apache-2.0
// Random grants and operations, for what must hold for every one. The seed is fixed; BPFWARDEN_SOAK=1 tries fifty times
// as many, with another seed each run.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "grant/facts.hpp"
#include "grant/groups.hpp"
#include "grant/lookup.hpp"
#include "grant/operation.hpp"
#include "grants.hpp"

namespace bpfwarden::grant {

inline bool soak() { return std::getenv("BPFWARDEN_SOAK") != nullptr; }
inline int cases(int normal) { return soak() ? normal * 50 : normal; }

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
                if (chance(50)) load.signers = {"release"};
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

}  // namespace bpfwarden::grant
