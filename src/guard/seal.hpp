// SPDX-License-Identifier: Apache-2.0
// The seal: from seal() on, what is sealed is taken away by nobody but its updater.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "enforce/bpf_thing.hpp"
#include "guard/updater.hpp"
#include "guard/ways.hpp"

namespace bpfwarden::guard {

// Things of others.
struct Protect {
    std::vector<std::string> pins, mounts;
    std::vector<enforce::BpfThing> things;
    bool empty() const { return pins.empty() && mounts.empty() && things.empty(); }
};

struct Sealed {
    std::size_t programs = 0, maps = 0, links = 0, names = 0, file_systems = 0;
    void count(const enforce::BpfThing& thing) {
        ++(thing.kind == BW_SEALED_PROG ? programs : thing.kind == BW_SEALED_MAP ? maps : links);
    }
};

// Needs root in the first namespaces, BPF LSM, kernel 6.1. On an error nothing is sealed, and the policy that was in
// force is in force; so it is when the process ends in between.
Result<Sealed> seal(const Updater& updater, const Protect& others);
// More of others, by the updater.
Result<Sealed> protect(const Protect& others);
// What protect() has sealed is as it was before, by the updater: of things of others what only they decide by, too.
Result<> release(const Protect& others);
// Programs of this version take the place of the guard's and of the policy's, by the updater. Until all are attached,
// both decide; so it is when the process ends in between, and the next update ends it.
Result<> update();
// By the updater. The policy stays in force, and can be removed by root from then on.
Result<> unseal();

struct Status {
    bool armed = false;
    Updater updater;
    std::uint64_t since_ns = 0;  // since boot
    std::uint64_t attempts = 0, lost = 0;
    bool changing = false;
    std::uint32_t guardian = 0;
    std::vector<enforce::BpfThing> things;
    std::vector<std::string> core;  // hooks whose program is attached to the root of cgroup2, as it was just seen
    std::vector<std::string> rest;  // and names of those that are pinned
    std::vector<enforce::BpfThing>
        held_by_kernel;  // links whose fds kernel threads have; all others are held by pins alone
    std::vector<Way> ways;
    std::size_t names = 0, file_systems = 0;
    bool may_change = false;  // the caller is the updater
    // What was tried just now, and how it ended; empty for the updater.
    struct Tried {
        std::string what;
        bool refused = false;
    };
    std::vector<Tried> tried;
};
// Nothing: there is no seal.
Result<std::optional<Status>> status();

}  // namespace bpfwarden::guard
