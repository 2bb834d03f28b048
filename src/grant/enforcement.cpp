// SPDX-License-Identifier: Apache-2.0
#include "grant/enforcement.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "grant/facts.hpp"
#include "grant/masks.hpp"
#include "grant/schema.hpp"

namespace bpfwarden::grant {

std::string_view name_of(Enforcer enforcer) {
    static constexpr std::string_view names[] = {"kernel mask", "kernel", "run", "broker", "guard", "nobody"};
    return names[static_cast<std::size_t>(enforcer)];
}

namespace {
struct Row {
    std::string_view key;
    Enforcement token, session, notifier;
};
}  // namespace

static constexpr Enforcement broker{Enforcer::broker, ""};
static constexpr Enforcement nobody{Enforcer::nobody, ""};
static constexpr Enforcement nobody_loads{Enforcer::nobody, "a token does not look into programs"};
static constexpr Enforcement nobody_attaches{Enforcer::nobody, "a token is not asked when a program is attached"};
static constexpr Enforcement nobody_counts{Enforcer::nobody, "a token counts nothing"};

static constexpr Row rows[] = {
    {"subject.user", {Enforcer::run, ""}, broker, {Enforcer::run, ""}},
    {"subject.group", {Enforcer::run, ""}, broker, {Enforcer::run, ""}},
    {"subject.uid", {Enforcer::run, ""}, broker, {Enforcer::run, ""}},
    {"subject.gid", {Enforcer::run, ""}, broker, {Enforcer::run, ""}},
    {"subject.cgroup",
     {Enforcer::run, "at the start only"},
     {Enforcer::broker, "when opened"},
     {Enforcer::run, "at the start only"}},
    {"subject.exe",
     {Enforcer::run, "at the start only"},
     {Enforcer::broker, "when opened"},
     {Enforcer::run, "at the start only"}},
    {"subject.exe_sha256",
     {Enforcer::run, "at the start only"},
     {Enforcer::broker, "when opened"},
     {Enforcer::run, "at the start only"}},
    {"allow.program_types", {Enforcer::kernel_mask, "at load"}, broker, broker},
    {"allow.map_types", {Enforcer::kernel_mask, ""}, broker, broker},
    {"allow.attach_types", {Enforcer::kernel_mask, "at load"}, broker, broker},
    {"allow.commands", {Enforcer::kernel_mask, "four commands; the others ask for no token"}, broker, broker},
    {"allow.helpers", nobody_loads, broker, broker},
    {"allow.kfuncs", nobody_loads, broker, broker},
    {"allow.capabilities",
     {Enforcer::kernel, "in its user namespace"},
     {Enforcer::kernel, "the worker's"},
     {Enforcer::kernel, "the worker's"}},
    {"allow.verifier",
     nobody_loads,
     {Enforcer::broker, "and the kernel, by the worker's capabilities"},
     {Enforcer::broker, "and the kernel, by the worker's capabilities"}},
    {"targets.cgroups", nobody_attaches, broker, broker},
    {"targets.interfaces", nobody_attaches, broker, broker},
    {"targets.tracepoints", nobody_attaches, broker, broker},
    {"targets.functions", nobody_attaches, broker, broker},
    {"targets.uprobes", nobody_attaches, broker, broker},
    {"targets.perf_events", {Enforcer::kernel, "opens none in a user namespace"}, broker, broker},
    {"identity.sha256", nobody_loads, broker, broker},
    {"identity.programs", nobody_loads, broker, broker},
    {"identity.signers", nobody_loads, broker, broker},
    {"limits.programs", nobody_counts, broker, broker},
    {"limits.maps", nobody_counts, broker, broker},
    {"limits.links", nobody_counts, broker, broker},
    {"limits.map_memory", nobody_counts, broker, broker},
    {"limits.instructions", nobody_loads, broker, broker},
    {"limits.loads_per_minute", nobody_counts, broker, broker},
    {"session.lifetime", {Enforcer::nobody, "a token cannot be taken back"}, broker, broker},
    {"session.hand_out", {Enforcer::nobody, "the program has the real fds"}, broker, broker},
    {"session.on_close", {Enforcer::nobody, "the program has the real fds"}, broker, broker},
    {"session.not_revocable", {Enforcer::nobody, "a token cannot be taken back"}, broker, broker},
};

Enforcement enforced_by(std::string_view key, Way way) {
    const auto row = std::ranges::find(rows, key, &Row::key);
    if (row == std::end(rows)) return nobody;
    return way == Way::token ? row->token : way == Way::session ? row->session : row->notifier;
}

std::vector<std::string> enforced_keys() {
    std::vector<std::string> keys;
    for (const auto& row : rows) keys.emplace_back(row.key);
    return keys;
}

bool names_key(std::string_view given, std::string_view key) {
    if (given == key) return true;
    const auto dot = key.find('.');
    return dot != std::string_view::npos && given == key.substr(dot + 1);
}

namespace {

class Collector {
  public:
    Collector(const Resolved& grant) : grant_(grant) {}

    void by_token() {
        attach_types();
        commands();
        helpers();
        kfuncs();
        verifier();
        for (const auto target : all_targets) targets(target);
        for (const auto& list : grant_.digests) add("identity.sha256", list.at, "a token does not look into programs");
        for (const auto& list : grant_.signers) add("identity.signers", list.at, "a token does not look into programs");
        for (const auto limit : all_limits)
            if (const auto& value = grant_.of(limit)) present("limits", key_of(limit), value->at);
        if (grant_.lifetime_ms) present("session", "lifetime", grant_.lifetime_ms->at);
        // hand_out = "program" and not_revocable are what a token does anyway.
        if (grant_.hand_out && grant_.hand_out->value == HandOut::link)
            present("session", "hand_out", grant_.hand_out->at);
        if (grant_.on_close) present("session", "on_close", grant_.on_close->at);
    }

    // The real program in the holder's hands can be attached anywhere.
    void by_broker() {
        if (!grant_.hand_out || grant_.hand_out->value != HandOut::program) return;
        for (const auto target : {Target::cgroups, Target::interfaces})
            for (const auto& list : grant_.of(target))
                add(fmt::format("targets.{}", key_of(target)), list.at,
                    "hand_out = \"program\" gives the program itself, which can be attached anywhere");
    }

    std::vector<Unenforced> take() { return std::move(found_); }

  private:
    void add(std::string key, const Position& at, std::string why) {
        if (seen_.insert(key).second) found_.push_back({std::move(key), std::move(why), at});
    }
    void present(std::string_view table, std::string_view name, const Position& at) {
        auto key = fmt::format("{}.{}", table, name);
        const auto held = enforced_by(key, Way::token);
        add(std::move(key), at, std::string(held.note));
    }
    bool has_programs() const { return !grant_.of(Dimension::program_types).values.empty(); }
    Position key_at(Dimension dimension) const { return grant_.of(dimension).key_at.value_or(grant_.allow_at); }
    static std::string must_be_any(std::string_view key, std::string_view why) {
        return fmt::format("{}: by token it must be {} = [\"any\"]", why, key);
    }

    // The kernel ties some programs only loosely to the attach type that they were loaded with.
    void attach_types() {
        const auto& allowed = grant_.of(Dimension::attach_types).values;
        for (const auto& facts : all_program_facts()) {
            const auto type = grant_.of(Dimension::program_types).values.find(facts.type);
            if (type == grant_.of(Dimension::program_types).values.end()) continue;
            if (facts.type == "struct_ops" && !grant_.covers_all(Dimension::attach_types))
                return add("allow.attach_types", key_at(Dimension::attach_types),
                           "the attach type of a struct_ops program is the number of the operation it stands for, and "
                           "the kernel takes the token's attach type of that number for it");
            for (const auto attach : facts.attach_types) {
                const auto at = allowed.find(attach);
                const bool held = at != allowed.end() &&
                                  (at->second.written ||
                                   std::ranges::find(at->second.attach_for, facts.type) != at->second.attach_for.end());
                if (held) continue;
                const bool by_zero = facts.zero_load && attach == "cgroup_inet_sock_create";
                const bool loadable = at != allowed.end() && !at->second.load_for.empty();
                if (facts.loose || by_zero || (loadable && attach != "perf_event"))
                    return add("allow.attach_types", key_at(Dimension::attach_types),
                               fmt::format("the kernel lets a {} program be attached as {} too", facts.type, attach));
            }
        }
    }

    void commands() {
        if (!grant_.commands_narrowed) return;
        const auto& held = grant_.of(Dimension::commands);
        for (const auto& facts : all_command_facts()) {
            if (facts.kind != CommandClass::checked || is_token_command(facts.command)) continue;
            if (!held.contains(facts.command) && has_programs())
                return add("allow.commands", held.key_at.value_or(grant_.allow_at),
                           fmt::format("it leaves out {}, for which the kernel asks no token", facts.command));
        }
    }

    void helpers() {
        if (has_programs() && !grant_.covers_all(Dimension::helpers))
            add("allow.helpers", key_at(Dimension::helpers),
                must_be_any("helpers", "a token cannot hold back helpers"));
    }
    void kfuncs() {
        if (has_programs() && !grant_.covers_all(Dimension::kfuncs))
            add("allow.kfuncs", key_at(Dimension::kfuncs), must_be_any("kfuncs", "a token cannot hold back kfuncs"));
    }
    void verifier() {
        const auto& capabilities = grant_.of(Dimension::capabilities);
        const auto& allowed = grant_.of(Dimension::verifier);
        if (!has_programs() || grant_.covers_all(Dimension::verifier)) return;
        for (const auto& feature : all_verifier_features()) {
            const bool unlocked = feature.capability.empty() || capabilities.contains(feature.capability) ||
                                  capabilities.contains("sys_admin");
            if (unlocked && !allowed.contains(feature.name))
                return add("allow.verifier", key_at(Dimension::verifier),
                           must_be_any("verifier", fmt::format("a token cannot hold back {}", feature.name)));
        }
    }

    static bool is_everything(const PatternList& list) {
        return std::ranges::any_of(list.patterns, [](const Pattern& one) { return one.glob == "**"; });
    }

    void targets(Target target) {
        const auto key = fmt::format("targets.{}", key_of(target));
        for (const auto& list : grant_.of(target))
            if (!is_everything(list) && target != Target::perf_events)
                add(key, list.at, std::string(enforced_by(key, Way::token).note));
        if (!absent_means_none(target) || !grant_.of(target).empty()) return;
        // None named means none; but what is attached without a perf event, the holder of a token attaches at will.
        for (const auto& [attach, origin] : grant_.of(Dimension::attach_types).values)
            if (target_of(attaches_to(attach)) == target && reachable_by_token(attach, origin))
                return add(key, Position{grant_.file, 0, 0},
                           fmt::format("it names none, but a token lets {} be attached to any", attach));
    }

    bool reachable_by_token(std::string_view attach, const Origin& origin) const {
        const auto& programs = grant_.of(Dimension::program_types);
        return std::ranges::any_of(program_types_of(attach), [&](std::string_view type) {
            return programs.wrote(type) &&
                   (origin.written || std::ranges::find(origin.attach_for, type) != origin.attach_for.end());
        });
    }

    const Resolved& grant_;
    std::vector<Unenforced> found_;
    std::set<std::string> seen_;
};

}  // namespace

std::vector<Unenforced> unenforced(const Resolved& grant, Way way) {
    Collector collector(grant);
    way == Way::token ? collector.by_token() : collector.by_broker();
    return collector.take();
}

}  // namespace bpfwarden::grant
