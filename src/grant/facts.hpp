// SPDX-License-Identifier: Apache-2.0
// What the kernel does with each program type, attach type, command and map type: the facts that implied bits, dangers,
// warnings and enforcement are worked out from. Names are those of kernel/names.hpp.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "grant/grant.hpp"

namespace bpfwarden::grant {

// How far a loaded program's effect can go.
enum class Reach {
    object,   // only sockets, maps and devices that the process holds already
    cgroup,   // every process in a control group and below
    network,  // everything in one network namespace
    kernel,   // the whole machine
};
std::string_view describe(Reach reach);
// What keeps a program of that reach inside what `bpfwarden run` started.
std::string_view contained_by(Reach reach);

struct ProgramFacts {
    std::string_view type;
    // The capabilities, besides bpf, that BPF_PROG_LOAD asks for (bpf_prog_load: is_net_admin_prog_type,
    // is_perfmon_prog_type; each row tried on 6.18).
    bool net_admin = false;
    bool perfmon = false;
    Reach reach = Reach::object;
    // expected_attach_type = 0 is what libbpf sends for it: always, or when its own probe for that field is refused.
    bool zero_load = false;
    // BPF_LINK_CREATE and BPF_PROG_ATTACH take another attach type than the one given at load time
    // (bpf_prog_attach_check_attach_type).
    bool loose = false;
    // bpf_probe_read_* and the like: its helper table is the tracing one (bpf_tracing_func_proto).
    bool tracing = false;
    // The one attach type that such programs are for; empty if there is a choice, or none.
    std::string_view natural = {};
    std::span<const std::string_view> attach_types = {};
};

std::span<const ProgramFacts> all_program_facts();
const ProgramFacts* program_facts(std::string_view type);
bool takes_attach_type(const ProgramFacts& facts, std::string_view attach_type);

// What an attach type attaches to.
enum class AttachTo { cgroup, interface, tracepoint, function, uprobe, perf_event, network, other };
AttachTo attaches_to(std::string_view attach_type);
// The [targets] list that holds it, if one does.
std::optional<Target> target_of(AttachTo to);
// The program types that take this attach type.
std::vector<std::string_view> program_types_of(std::string_view attach_type);

// The capability, besides bpf, that BPF_MAP_CREATE asks for (map_create): "net_admin" or empty.
std::string_view map_capability(std::string_view map_type);

// Every command of bpf(), in one of three classes. A command that is not listed (a newer kernel's) is refused.
enum class CommandClass {
    checked,  // somebody checks it against the grant
    free,     // works on an fd that the caller holds, or on files by their mode: the kernel asks for no privilege
    refused,  // never given to a grantee
};
struct CommandFacts {
    std::string_view command;
    CommandClass kind = CommandClass::refused;
    // Checked: what it follows from. Refused: why.
    enum class Follows { nothing, maps, programs, anything, iterators, ext, struct_ops } from = Follows::nothing;
    std::string_view why;
};
std::span<const CommandFacts> all_command_facts();
const CommandFacts* command_facts(std::string_view command);

// What the kernel's verifier takes only from a caller with a capability, or only when asked to; [allow] verifier.
struct VerifierFeature {
    std::string_view name;
    std::string_view capability;  // what unlocks it in the kernel: "bpf", "perfmon", or empty
    // Nobody can tell it from the instructions: whoever has the capability has it.
    bool comes_with_capability = false;
    std::string_view what;
};
std::span<const VerifierFeature> all_verifier_features();
const VerifierFeature* verifier_feature(std::string_view name);

// What libbpf and bpftrace load to find out what the kernel has: the same two to six instructions in every program.
// They are no program of anybody's, and do nothing wherever they are attached, for which their type must be granted
// besides; were they refused, programs would be loaded in another form than their author's, without global data for
// one.
struct ProbeFacts {
    std::string_view program_type, sha256, what;
    // Attached it would refuse something: a probe only where its type is not granted, and so attached to nothing.
    bool refuses_if_attached = false;
};
std::span<const ProbeFacts> all_probe_facts();

struct CapabilityFacts {
    std::string_view name, what;
};
// The capabilities that a grant may hold.
std::span<const CapabilityFacts> all_capability_facts();

}  // namespace bpfwarden::grant
