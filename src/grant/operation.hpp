// SPDX-License-Identifier: Apache-2.0
// One operation on BPF, decoded: what the notifier, the broker and `grant explain` put before check(). Everything is by
// the kernel's names; a decoder that meets a number without a name writes it as digits, and no grant allows that.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "grant/grant.hpp"

namespace bpfwarden::grant {

struct MapCreate {
    std::string type;
};

struct ProgLoad {
    std::string type;
    std::string attach = {};  // expected_attach_type; empty: 0, which means none for many types
    std::vector<std::string> helpers = {}, kfuncs = {};
    std::vector<std::string> features = {};  // of the verifier (facts.hpp), as read from the instructions and flags
    std::optional<std::uint64_t> instructions = {};  // unknown: not judged (only explain leaves it out)
    std::string sha256 = {};                         // lower case; empty: not identified
    std::vector<std::string> signers = {};           // whose signatures were verified
    std::string not_signed = {};                     // why no signature counts, where there was one; for people
    std::string function = {};                       // attach_btf_id's name, of tracing and lsm programs
    std::string tracepoint = {};                     // the same for trace_raw_tp: the raw tracepoint's name
    // Two instructions, r0 = constant and exit: what libbpf loads to find out whether it can load at all.
    bool trivial = false;
};

struct BtfLoad {};

// A program is attached: BPF_LINK_CREATE, BPF_PROG_ATTACH, BPF_RAW_TRACEPOINT_OPEN, or by netlink through the broker.
struct Attach {
    std::string type;          // attach type
    std::string program = {};  // program type; empty: any that takes the attach type (explain)
    // What it is attached to. A kind that the attach type needs and that is missing here is refused where the grant
    // narrows it.
    std::vector<std::pair<Target, std::string>> targets = {};
    std::string command = "link_create";
};

// perf_event_open() for one event, and reading its id and format.
struct PerfEventOpen {
    Target kind = Target::tracepoints;  // tracepoints, functions (kprobe), uprobes or perf_events
    std::string event;
};

// Any other command.
struct OtherCommand {
    std::string command;
};

// Not an operation of the kernel but a question: would a program that calls this be let through?
struct UseHelper {
    std::string name;
    bool kfunc = false;
};

using Operation = std::variant<MapCreate, ProgLoad, BtfLoad, Attach, PerfEventOpen, OtherCommand, UseHelper>;

// The text form, one word an item:
//   map_create TYPE
//   prog_load TYPE [attach=TYPE] [helper=NAME]… [kfunc=NAME]… [feature=NAME]… [instructions=N] [sha256=HEX]
//             [signer=NAME] [function=NAME] [tracepoint=NAME]
//   btf_load
//   attach TYPE [program=TYPE] [cgroup=PATH] [interface=NAME] [tracepoint=NAME] [function=NAME] [uprobe=PATH:SYMBOL]
//   perf_event_open tracepoint=NAME | function=NAME | uprobe=PATH:SYMBOL | event=KIND/NAME
//   command NAME · helper NAME · kfunc NAME
// Names are those of this release (Error code usage otherwise, with the nearest).
Result<Operation> parse_operation(std::span<const std::string> words);
// The same form back, for messages and audit.
std::string describe(const Operation& operation);

}  // namespace bpfwarden::grant
