// SPDX-License-Identifier: Apache-2.0
#include "grant/lint.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "grant/danger.hpp"
#include "grant/enforcement.hpp"
#include "grant/facts.hpp"

namespace bpfwarden::grant {

static void check_acknowledgements(const Resolved& grant, Diagnostics& diagnostics) {
    for (const auto& need : dangers_of(grant))
        if (!need.acknowledged)
            diagnostics.error(
                need.at, fmt::format("{} needs dangerous = [\"{}\"]", need.what, need.danger->name),
                fmt::format("this grant {} ({})", need.danger->hands_over, need.danger->because),
                fmt::format("if that is meant, add \"{}\" to dangerous in {}", need.danger->name, grant.file));
    for (const auto& entry : grant.dangerous) {
        const auto* found = danger(entry.text);
        if (found) {
            if (!may_need(grant, *found))
                diagnostics.warning(entry.at, fmt::format("nothing in this grant needs {}", quoted(entry.text)),
                                    "an acknowledgement that is not needed hides the day when it becomes so");
            continue;
        }
        std::vector<std::string_view> names;
        for (const auto& one : all_dangers()) names.push_back(one.name);
        const auto near = nearest(entry.text, names);
        diagnostics.error(entry.at, fmt::format("{} is no danger", quoted(entry.text)),
                          entry.text == "any" || entry.text.starts_with('@')
                              ? "each danger is acknowledged by its own name, so that a reader sees it"
                              : fmt::format("there are {}", fmt::join(names, ", ")),
                          near ? fmt::format("did you mean \"{}\"?", *near) : "");
    }
}

static bool has_capability(const Resolved& grant, std::string_view name) {
    const auto& held = grant.of(Dimension::capabilities);
    return held.contains(name) || held.contains("sys_admin");
}

static void check_capabilities(const Resolved& grant, Diagnostics& diagnostics) {
    const auto missing = [&](const Position& at, std::string what, std::string_view capability, std::string_view call) {
        diagnostics.warning(at, fmt::format("{} is allowed without the capability {}", what, capability),
                            fmt::format("every {} will be refused by the kernel", call),
                            fmt::format("add \"{}\" to capabilities", capability));
    };
    const auto first_written = [](const Allowed& allowed) -> const Origin* {
        for (const auto& [value, origin] : allowed.values)
            if (origin.written) return &origin;
        return nullptr;
    };
    const auto* program = first_written(grant.of(Dimension::program_types));
    const auto* map = first_written(grant.of(Dimension::map_types));
    if ((program || map) && !has_capability(grant, "bpf")) {
        missing((program ? program : map)->at, program ? "loading programs" : "creating maps", "bpf",
                program ? "load" : "creation");
    }
    for (const auto& [type, origin] : grant.of(Dimension::program_types).values) {
        const auto* facts = program_facts(type);
        // Of `any` it is plain that not all is meant.
        if (!origin.written || origin.via == "any" || !facts) continue;
        for (const auto& [needed, capability] : {std::pair{facts->net_admin, "net_admin"}, {facts->perfmon, "perfmon"}})
            if (needed && !has_capability(grant, capability))
                missing(origin.at, fmt::format("program type {}", type), capability, "load");
    }
    for (const auto& [type, origin] : grant.of(Dimension::map_types).values)
        if (const auto needed = map_capability(type);
            origin.written && origin.via.empty() && !needed.empty() && !has_capability(grant, needed))
            missing(origin.at, fmt::format("map type {}", type), needed, "creation");
    for (const auto& [name, origin] : grant.of(Dimension::verifier).values) {
        const auto* feature = verifier_feature(name);
        if (feature && origin.written && origin.via.empty() && !feature->capability.empty() &&
            !has_capability(grant, feature->capability))
            missing(origin.at, fmt::format("verifier feature {}", name), feature->capability, "use of it");
    }
}

// Lists that no allowed type can make use of, and types that lack a list they need.
static void check_attaching(const Resolved& grant, Diagnostics& diagnostics) {
    const auto& programs = grant.of(Dimension::program_types);
    const auto& attach = grant.of(Dimension::attach_types);
    for (const auto& [type, origin] : attach.values) {
        if (!origin.written || origin.via == "any") continue;
        const auto takers = program_types_of(type);
        if (!std::ranges::any_of(takers, [&](std::string_view one) { return programs.contains(one); }))
            diagnostics.warning(origin.at, fmt::format("no allowed program type attaches as {}", type),
                                fmt::format("it is for {}", fmt::join(takers, ", ")));
    }
    for (const auto& [type, origin] : programs.values) {
        const auto* facts = program_facts(type);
        if (!facts || !origin.written || origin.via == "any" || facts->attach_types.empty()) continue;
        const bool some = std::ranges::any_of(facts->attach_types, [&](std::string_view one) {
            const auto at = attach.values.find(one);
            return at != attach.values.end() && (at->second.written || std::ranges::find(at->second.attach_for, type) !=
                                                                           at->second.attach_for.end());
        });
        // sched_cls is also attached by netlink, without an attach type.
        if (!some && type != "sched_cls")
            diagnostics.warning(origin.at, fmt::format("{} programs can be attached nowhere", type),
                                fmt::format("attach_types has none of {}", fmt::join(facts->attach_types, ", ")));
    }
}

static void check_targets(const Resolved& grant, Diagnostics& diagnostics) {
    const auto& programs = grant.of(Dimension::program_types);
    const auto allows = [&](std::initializer_list<std::string_view> types) {
        return std::ranges::any_of(types, [&](std::string_view type) { return programs.wrote(type); });
    };
    const auto reaches = [&](AttachTo to) {
        return std::ranges::any_of(grant.of(Dimension::attach_types).values, [&](const auto& one) {
            return attaches_to(one.first) == to && (one.second.written || !one.second.attach_for.empty());
        });
    };
    const auto useful = [&](Target target) {
        switch (target) {
            case Target::cgroups:
                return reaches(AttachTo::cgroup);
            case Target::interfaces:
                return reaches(AttachTo::interface) || allows({"sched_cls", "sched_act"});
            case Target::tracepoints:
                return allows({"tracepoint", "perf_event"}) || reaches(AttachTo::tracepoint);
            case Target::functions:
                return allows({"kprobe"}) || reaches(AttachTo::function);
            case Target::uprobes:
                return allows({"kprobe"});
            case Target::perf_events:
                return allows({"perf_event"});
        }
        return true;
    };
    for (const auto target : all_targets)
        for (const auto& list : grant.of(target))
            if (!useful(target))
                diagnostics.warning(
                    list.at, fmt::format("{} narrows nothing", key_of(target)),
                    fmt::format("no allowed type attaches to {}",
                                target == Target::interfaces ? "an interface" : fmt::format("a {}", noun_of(target))));
    const auto needs_named = [&](std::string_view type, std::initializer_list<Target> targets, std::string_view keys) {
        const auto at = programs.values.find(type);
        if (at == programs.values.end() || !at->second.written || at->second.via == "any") return;
        if (std::ranges::all_of(targets, [&](Target target) { return grant.of(target).empty(); }))
            diagnostics.warning(
                at->second.at, fmt::format("{} programs can be attached to nothing", type),
                fmt::format("[targets] has no {}, and what is not named there is reachable for nobody", keys));
    };
    needs_named("tracepoint", {Target::tracepoints}, "tracepoints");
    needs_named("raw_tracepoint", {Target::tracepoints}, "tracepoints");
    needs_named("raw_tracepoint_writable", {Target::tracepoints}, "tracepoints");
    needs_named("kprobe", {Target::functions, Target::uprobes}, "functions or uprobes");
    needs_named("tracing", {Target::functions, Target::tracepoints}, "functions or tracepoints");
    needs_named("lsm", {Target::functions}, "functions");
    needs_named("perf_event", {Target::perf_events, Target::tracepoints}, "perf_events");
}

static void check_commands(const Resolved& grant, Diagnostics& diagnostics) {
    if (!grant.commands_narrowed) return;
    const auto& commands = grant.of(Dimension::commands);
    const auto at = commands.key_at.value_or(grant.allow_at);
    if (grant.of(Dimension::map_types).key_at && !commands.contains("map_create"))
        diagnostics.warning(at, "map_types allows maps, but commands leaves out map_create", "no map can be made");
    if (grant.of(Dimension::program_types).key_at && !commands.contains("prog_load"))
        diagnostics.warning(at, "program_types allows programs, but commands leaves out prog_load",
                            "no program can be loaded");
}

static void check_session(const Resolved& grant, Diagnostics& diagnostics) {
    if (const auto most = grant.of(Limit::instructions); most && most->value > 1'000'000)
        diagnostics.warning(most->at, "no kernel takes more than 1000000 instructions");
    for (const auto& lost : unenforced(grant, Way::session))
        diagnostics.warning(lost.at, fmt::format("{} is held by nobody", lost.key), lost.why,
                            "leave hand_out out, or write \"link\"");
    if (grant.subject && grant.subject->lines.empty())
        diagnostics.warning(grant.subject->at, "an empty subject lets only root open this grant", "",
                            "leave subject out to say so");
}

void lint(const Resolved& grant, Diagnostics& diagnostics) {
    check_acknowledgements(grant, diagnostics);
    check_capabilities(grant, diagnostics);
    check_attaching(grant, diagnostics);
    check_targets(grant, diagnostics);
    check_commands(grant, diagnostics);
    check_session(grant, diagnostics);
}

}  // namespace bpfwarden::grant
