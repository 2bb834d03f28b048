// SPDX-License-Identifier: Apache-2.0
#include "grant/check.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "grant/facts.hpp"

namespace bpfwarden::grant {

// The verifier and the kernel's permission checks say EPERM; so that a program cannot tell a grant from the kernel, a
// grant says the same, E2BIG for a program that is too long, and EKEYREJECTED for one without a good signature.
static Verdict refuse(std::string key, Position at, std::string reason, int error = EPERM) {
    return {false, error, std::move(key), std::move(reason), std::move(at)};
}

static Verdict allow(std::string key, const Origin& origin, std::string reason) {
    return {true, 0, std::move(key), std::move(reason), origin.at};
}

namespace {

class Checker {
  public:
    explicit Checker(const Resolved& grant) : grant_(grant) {}

    Verdict operator()(const MapCreate& op) const {
        if (auto no = command("map_create")) return *no;
        return value(Dimension::map_types, op.type);
    }

    Verdict operator()(const BtfLoad&) const { return value(Dimension::commands, "btf_load"); }

    Verdict operator()(const ProgLoad& op) const {
        if (auto no = command("prog_load")) return *no;
        // Known to the last instruction, and harmless whatever its type and whatever it calls: wherever programs may be
        // loaded at all, as socket_filter is, which they all imply.
        if (is_probe(op) || (probe_of(op) != nullptr && !grant_.of(Dimension::program_types).contains(op.type)))
            return value(Dimension::program_types, "socket_filter");
        const auto type = value(Dimension::program_types, op.type);
        if (!type.allowed) return type;
        if (auto no = load_attach_type(op)) return *no;
        for (const auto& name : op.helpers)
            if (auto verdict = value(Dimension::helpers, name); !verdict.allowed) return verdict;
        for (const auto& name : op.kfuncs)
            if (auto verdict = kfunc(name); !verdict.allowed) return verdict;
        // The sum of what the decoder found, and the size, which needs no decoding.
        std::set<std::string> features(op.features.begin(), op.features.end());
        if (op.instructions && *op.instructions > 4096) features.insert("large_programs");
        for (const auto& name : features)
            if (auto verdict = value(Dimension::verifier, name); !verdict.allowed) return verdict;
        if (const auto& most = grant_.of(Limit::instructions);
            most && op.instructions && *op.instructions > most->value)
            return refuse("limits.instructions", most->at,
                          fmt::format("{} instructions are more than {}", *op.instructions, most->value), E2BIG);
        if (auto no = identity(op)) return *no;
        if (auto no = load_target(op)) return *no;
        return type;
    }

    Verdict operator()(const Attach& op) const {
        if (auto no = command(op.command)) return *no;
        const auto attach = attach_type(op.type, op.program);
        if (!attach.allowed) return attach;
        for (const auto& [kind, target] : op.targets)
            if (auto verdict = target_named(kind, target); !verdict.allowed) return verdict;
        const auto kind = target_of(attaches_to(op.type));
        const bool named = kind && std::ranges::any_of(op.targets, [&](const auto& one) { return one.first == *kind; });
        if (kind && !named)
            if (auto verdict = target_unnamed(*kind); !verdict.allowed) return verdict;
        return attach;
    }

    Verdict operator()(const PerfEventOpen& op) const {
        // Measures nothing: it is where programs write to through a map of perf events, and belongs to that.
        if (op.kind == Target::perf_events && op.event == "software/bpf-output" &&
            grant_.of(Dimension::map_types).contains("perf_event_array"))
            return value(Dimension::map_types, "perf_event_array");
        static constexpr std::pair<Target, std::string_view> openers[] = {{Target::tracepoints, "tracepoint"},
                                                                          {Target::functions, "kprobe"},
                                                                          {Target::uprobes, "kprobe"},
                                                                          {Target::perf_events, "perf_event"}};
        const auto opener = std::ranges::find(openers, op.kind, &std::pair<Target, std::string_view>::first);
        if (opener == std::end(openers))
            return refuse("targets", grant_.allow_at, fmt::format("a {} is no perf event", noun_of(op.kind)), EINVAL);
        const auto& programs = grant_.of(Dimension::program_types);
        // perf_event programs attach to tracepoint events as well.
        const bool useful =
            programs.wrote(opener->second) || (op.kind == Target::tracepoints && programs.wrote("perf_event"));
        if (!useful)
            return refuse("allow.program_types", programs.key_at.value_or(grant_.allow_at),
                          fmt::format("no {} program is allowed, so there is no use for the event", opener->second));
        return target_named(op.kind, op.event);
    }

    Verdict operator()(const OtherCommand& op) const { return value(Dimension::commands, op.command); }

    Verdict operator()(const UseHelper& op) const {
        return op.kfunc ? kfunc(op.name) : value(Dimension::helpers, op.name);
    }

  private:
    static std::string key(Dimension dimension) { return fmt::format("allow.{}", key_of(dimension)); }

    std::string because(const Origin& origin, std::string_view what) const {
        if (!origin.written) return fmt::format("{} is implied: {}", what, origin.implied);
        if (origin.via.empty()) return fmt::format("{} is listed", what);
        return fmt::format("{} is in \"{}\"", what, origin.via);
    }

    Verdict missing(Dimension dimension, std::string_view name) const {
        const auto& allowed = grant_.of(dimension);
        const auto what = fmt::format("{} {}", noun_of(dimension), printable(name));
        if (!allowed.key_at)
            return refuse(key(dimension), grant_.allow_at,
                          fmt::format("{} is not allowed: [allow] has no {}", what, key_of(dimension)));
        return refuse(key(dimension), *allowed.key_at, fmt::format("{} is not in {}", what, key_of(dimension)));
    }

    Verdict value(Dimension dimension, std::string_view name) const {
        const auto& allowed = grant_.of(dimension);
        const auto at = allowed.values.find(name);
        if (at != allowed.values.end())
            return allow(key(dimension), at->second,
                         because(at->second, fmt::format("{} {}", noun_of(dimension), printable(name))));
        if (dimension == Dimension::commands) return missing_command(name);
        return missing(dimension, name);
    }

    Verdict missing_command(std::string_view name) const {
        const auto* facts = command_facts(name);
        if (!facts)
            return refuse(key(Dimension::commands), grant_.allow_at,
                          fmt::format("command {} is not known to this release", printable(name)));
        if (facts->kind == CommandClass::refused)
            return refuse(key(Dimension::commands), grant_.allow_at,
                          fmt::format("command {} is never given to a grantee: {}", name, facts->why));
        if (grant_.commands_narrowed) return missing(Dimension::commands, name);
        return refuse(key(Dimension::commands), grant_.allow_at,
                      fmt::format("command {} does not follow from the types that are allowed", name));
    }

    std::optional<Verdict> command(std::string_view name) const {
        auto verdict = value(Dimension::commands, name);
        if (verdict.allowed) return std::nullopt;
        // Not narrowed: the type's own list says it better.
        const auto* facts = command_facts(name);
        if (facts && facts->kind == CommandClass::checked && !grant_.commands_narrowed) {
            if (name == "map_create") return missing_list(Dimension::map_types, name);
            if (facts->from == CommandFacts::Follows::programs) return missing_list(Dimension::program_types, name);
        }
        return verdict;
    }
    Verdict missing_list(Dimension dimension, std::string_view name) const {
        const auto& allowed = grant_.of(dimension);
        return refuse(key(dimension), allowed.key_at.value_or(grant_.allow_at),
                      fmt::format("{} is not allowed: no {} is", name, noun_of(dimension)));
    }

    Verdict kfunc(std::string_view name) const {
        if (const auto* origin = grant_.kfunc(name))
            return allow(key(Dimension::kfuncs), *origin, because(*origin, fmt::format("kfunc {}", printable(name))));
        return missing(Dimension::kfuncs, name);
    }

    // The attach type that a program is loaded with. Value 0 (or none) goes with types that need none.
    std::optional<Verdict> load_attach_type(const ProgLoad& op) const {
        const auto* facts = program_facts(op.type);
        if (!facts)
            return refuse(key(Dimension::program_types), grant_.allow_at,
                          fmt::format("program type {} is not known to this release", printable(op.type)));
        // Its attach type is the number of an operation, not an attach type.
        if (op.type == "struct_ops") return std::nullopt;
        const std::string_view attach = op.attach.empty() ? "cgroup_inet_ingress" : std::string_view(op.attach);
        const auto& allowed = grant_.of(Dimension::attach_types);
        const auto at = allowed.values.find(attach);
        if (facts->zero_load && attach == "cgroup_inet_ingress") return std::nullopt;
        if (!takes_attach_type(*facts, attach))
            return refuse(key(Dimension::attach_types), allowed.key_at.value_or(grant_.allow_at),
                          op.attach.empty()
                              ? fmt::format("{} programs must be loaded with an attach type", op.type)
                              : fmt::format("{} programs do not attach as {}", op.type, printable(attach)),
                          EINVAL);
        if (at == allowed.values.end()) return missing(Dimension::attach_types, attach);
        if (at->second.written || contains(at->second.load_for, op.type)) return std::nullopt;
        return not_for(attach, op.type, at->second);
    }

    static bool contains(const std::vector<std::string>& list, std::string_view one) {
        return std::ranges::find(list, one) != list.end();
    }

    Verdict not_for(std::string_view attach, std::string_view program, const Origin& origin) const {
        return refuse(key(Dimension::attach_types), grant_.of(Dimension::attach_types).key_at.value_or(grant_.allow_at),
                      fmt::format("attach type {} is not listed; it is implied, but not for {}: {}", attach, program,
                                  origin.implied));
    }

    Verdict attach_type(std::string_view attach, std::string_view program) const {
        const auto& programs = grant_.of(Dimension::program_types);
        const auto& allowed = grant_.of(Dimension::attach_types);
        const auto at = allowed.values.find(attach);
        if (!program.empty()) {
            const auto type = value(Dimension::program_types, program);
            if (!type.allowed) return type;
            const auto* facts = program_facts(program);
            if (!facts || !takes_attach_type(*facts, attach))
                return refuse(key(Dimension::attach_types), allowed.key_at.value_or(grant_.allow_at),
                              fmt::format("{} programs do not attach as {}", printable(program), printable(attach)),
                              EINVAL);
        }
        if (at == allowed.values.end()) return missing(Dimension::attach_types, attach);
        std::string_view some;
        for (const auto type : program_types_of(attach)) {
            if (!programs.contains(type) || (!program.empty() && type != program)) continue;
            some = type;
            if (at->second.written || contains(at->second.attach_for, type))
                return allow(key(Dimension::attach_types), at->second,
                             because(at->second, fmt::format("attach type {}", attach)));
        }
        if (!some.empty()) return not_for(attach, some, at->second);
        return refuse(key(Dimension::program_types), programs.key_at.value_or(grant_.allow_at),
                      fmt::format("no allowed program type attaches as {}", printable(attach)));
    }

    static std::string key(Target target) { return fmt::format("targets.{}", key_of(target)); }

    Verdict target_named(Target kind, const std::string& target) const {
        const auto& lists = grant_.of(kind);
        const auto what = fmt::format("{} {}", noun_of(kind), printable(target));
        if (lists.empty()) {
            if (!absent_means_none(kind))
                return {
                    true, 0, key(kind), fmt::format("[targets] does not narrow {}", key_of(kind)), {grant_.file, 0, 0}};
            return refuse(key(kind), {grant_.file, 0, 0},
                          fmt::format("{} is not named: [targets] has no {}", what, key_of(kind)));
        }
        const Pattern* matched = nullptr;
        for (const auto& list : lists) {
            const auto match =
                std::ranges::find_if(list.patterns, [&](const Pattern& one) { return glob_match(one.glob, target); });
            if (match == list.patterns.end())
                return refuse(key(kind), list.at, fmt::format("{} matches nothing in {}", what, key_of(kind)));
            if (!matched) matched = &*match;
        }
        return {true, 0, key(kind), fmt::format("{} matches {}", what, quoted(matched->glob)), matched->at};
    }

    Verdict target_unnamed(Target kind) const {
        const auto& lists = grant_.of(kind);
        if (lists.empty() && !absent_means_none(kind)) return {true, 0, key(kind), "", {}};
        // Narrowed to everything is not narrowed.
        const bool everything = !lists.empty() && std::ranges::all_of(lists, [](const PatternList& list) {
            return std::ranges::any_of(list.patterns, [](const Pattern& one) { return one.glob == "**"; });
        });
        if (everything) return {true, 0, key(kind), "", {}};
        return refuse(key(kind), lists.empty() ? Position{grant_.file, 0, 0} : lists.front().at,
                      lists.empty()
                          ? fmt::format("[targets] has no {}, so none may be attached to", key_of(kind))
                          : fmt::format("the operation names no {}, and [targets] narrows them", noun_of(kind)));
    }

    std::optional<Verdict> identity(const ProgLoad& op) const {
        if (is_probe(op)) return std::nullopt;
        for (const auto& list : grant_.digests)
            if (std::ranges::find(list.entries, op.sha256, &Entry::text) == list.entries.end())
                return refuse("identity.sha256", list.at,
                              op.sha256.empty()
                                  ? "the program's digest is not known"
                                  : fmt::format("the program {} is not in identity", printable(op.sha256)));
        for (const auto& list : grant_.signers)
            if (std::ranges::none_of(op.signers, [&](const std::string& signer) {
                    return std::ranges::any_of(list.entries,
                                               [&](const Entry& one) { return glob_match(one.text, signer); });
                }))
                // As the kernel says it of modules and programs.
                return refuse("identity.signers", list.at,
                              !op.signers.empty()      ? fmt::format("{} is not among the signers",
                                                                     quoted(fmt::format("{}", fmt::join(op.signers, ", "))))
                              : !op.not_signed.empty() ? op.not_signed
                                                       : "the program is not signed",
                              EKEYREJECTED);
        return std::nullopt;
    }

    // Tracing and LSM programs are tied to their target when they are loaded.
    std::optional<Verdict> load_target(const ProgLoad& op) const {
        if (op.type != "tracing" && op.type != "lsm") return std::nullopt;
        const auto to = attaches_to(op.attach);
        const Target kind = to == AttachTo::tracepoint ? Target::tracepoints : Target::functions;
        const auto& name = kind == Target::tracepoints ? op.tracepoint : op.function;
        auto verdict = name.empty() ? target_unnamed(kind) : target_named(kind, name);
        if (verdict.allowed) return std::nullopt;
        return verdict;
    }

    const Resolved& grant_;
};

}  // namespace

const ProbeFacts* probe_of(const ProgLoad& op) {
    const auto all = all_probe_facts();
    // Without it nothing of libbpf's would load; also where the digest is not known.
    const bool known = op.trivial && op.type == "socket_filter" && op.helpers.empty();
    const auto found = std::ranges::find_if(
        all, [&](const ProbeFacts& one) { return one.program_type == op.type && (known || one.sha256 == op.sha256); });
    return found == all.end() ? nullptr : &*found;
}

bool is_probe(const ProgLoad& op) {
    const auto* probe = probe_of(op);
    return probe != nullptr && !probe->refuses_if_attached;
}

Verdict check(const Resolved& grant, const Operation& operation) { return std::visit(Checker(grant), operation); }

}  // namespace bpfwarden::grant
