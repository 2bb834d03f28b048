// SPDX-License-Identifier: Apache-2.0
// One bpf(2) call of a client, from its private copy to its outcome: what is it (an Operation), may it be done, is
// there room for it, do it, hand out what came of it. The one place where that is decided and done.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "broker/attach_target.hpp"
#include "broker/ledger.hpp"
#include "broker/objects.hpp"
#include "broker/parser.hpp"
#include "broker/rights.hpp"
#include "kernel/btf.hpp"
#include "wire/bpf_call.hpp"
#include "wire/perf_event.hpp"

namespace bpfwarden::broker {

// What a worker needs of the machine, looked up before it gave up its privileges.
struct Machine {
    std::shared_ptr<const kernel::BtfIndex> kernel_types;  // null: the kernel has no BTF
    std::optional<CgroupRoot> cgroups;
    std::uint64_t processors = 1;  // that per-CPU maps have room for
    wire::EventTypes event_types = {};
    bool needs_ptrace = false;  // Yama lets nobody look into another's process without CAP_SYS_PTRACE
};

// Everything that a session's calls work on.
struct SessionState {
    const Rights& rights;
    Ledger& ledger;
    const Machine& machine;
    Objects objects = {};
    Cgroups cgroups = {};
    std::set<std::uint64_t> perf_events = {};  // that this session opened
    // Asked when a limit on maps is reached: forgets those that nobody holds any more; how many went.
    std::function<std::size_t()> forget_dead_maps = {};
    // A map of this session by its number, which takes a privilege that this process has not.
    std::function<Result<UniqueFd>(std::uint32_t)> open_map = {};
    Parser parser = {};
    std::vector<std::vector<std::byte>> signatures = {};  // that clients left here for programs to come
};

struct Outcome {
    int result = 0;  // as bpf(2) has it, or -errno
    UniqueFd fd;     // to hand over; `result` is then of no meaning
    std::optional<wire::Refusal> refusal;

    // For the audit: what it was, what decided, and what it was about.
    std::string operation;
    grant::Verdict verdict;
    std::string line;  // of the verdict, where another process judged
    std::string program_name, program_sha256, program_signer, target;
    std::uint32_t map_id = 0;  // of a map that was made, and what it takes
    std::uint64_t map_memory = 0;
};

// `fds`: what came with the message, which the call's fd fields are indices into.
Outcome perform(SessionState& session, wire::BpfCall& call, std::span<UniqueFd> fds);

// A program of the session where others than bpf(2) take one, or a map: its fd is none to the kernel.
// `fds`: the program, and the socket. `option`: SO_ATTACH_BPF or SO_ATTACH_REUSEPORT_EBPF.
Outcome attach_socket(SessionState& session, std::uint32_t option, std::span<UniqueFd> fds);
// `fds`: the map, and the program, whose fd is to be at `at` of the value.
Outcome store_program(SessionState& session, std::uint64_t flags, wire::Bytes key, std::vector<std::byte> value,
                      std::uint32_t at, std::span<UniqueFd> fds);

}  // namespace bpfwarden::broker
