// SPDX-License-Identifier: Apache-2.0
// What is sealed: as the kernel says now, and what was tried now. Nothing is told that was only meant to be so.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "enforce/guard_object.hpp"
#include "enforce/kernel_links.hpp"
#include "enforce/places.hpp"
#include "enforce/policy_force.hpp"
#include "enforce/policy_record.hpp"
#include "enforce/sealed_change.hpp"
#include "guard/seal.hpp"
#include "guard/seal_state.hpp"

namespace bpfwarden::guard {

namespace fs = std::filesystem;
using enforce::BpfThing;

// Harmless acts of an attacker. Each is what would be done next.
static std::vector<Status::Tried> try_out(const std::vector<enforce::BpfThing>& things) {
    std::vector<Status::Tried> tried;
    const auto add = [&](std::string what, bool refused) { tried.push_back({std::move(what), refused}); };
    for (const auto kind : {BW_SEALED_PROG, BW_SEALED_MAP, BW_SEALED_LINK}) {
        const auto thing = std::ranges::find(things, kind, &enforce::BpfThing::kind);
        if (thing == things.end()) continue;
        const auto fd = enforce::open_thing(*thing);
        add(fmt::format("an fd for {}", enforce::name_of(*thing)), !fd);
    }
    // The value that it has.
    const UniqueFd ftrace(::open("/proc/sys/kernel/ftrace_enabled", O_WRONLY | O_CLOEXEC));
    if (ftrace) add("writing kernel.ftrace_enabled", ::write(ftrace.get(), "1", 1) < 0);
    // A name beside the guard's: nothing is lost if it works.
    const auto from = fmt::format("{}/show", enforce::sealed_guard), to = from + "2";
    const bool renamed = ::rename(from.c_str(), to.c_str()) == 0;
    if (renamed) ::rename(to.c_str(), from.c_str());
    add("renaming a pin of the guard", !renamed);
    return tried;
}

Result<std::optional<Status>> status() {
    BW_TRY(require_root());
    const auto seal = read_seal();
    if (!seal && BW_TRY(has_lost_its_pins())) return lost_its_pins();
    if (!seal) return std::nullopt;
    const auto& state = seal->guard;
    Status found;
    found.armed = state.armed;
    found.updater.kind = static_cast<bw_updater>(state.updater);
    if (state.domain) {
        // Names are kept beside; the kernel has numbers, which stay the same.
        const auto names = enforce::newest_record().domains;
        found.updater.domain = state.domain < names.size() ? names[state.domain] : std::to_string(state.domain);
    }
    found.since_ns = state.since;
    found.attempts = state.number;
    found.lost = state.lost;
    found.changing = state.changer && ::kill(static_cast<pid_t>(state.changer), 0) == 0;
    found.guardian = state.guardian;
    found.things = seal->things;
    found.names = state.places;
    found.file_systems = state.devices;
    const auto cgroup = BW_TRY(enforce::cgroup_root());
    // Which of them are ours: fds of what is sealed are given to nobody, so by their ids.
    for (const auto id : BW_TRY(enforce::attached_to_root(cgroup)))
        if (std::ranges::binary_search(found.things, enforce::BpfThing{BW_SEALED_PROG, id}))
            found.core.push_back(fmt::format("prog:{}", id));
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(enforce::sealed_guard, ignored))
        if (const auto name = entry.path().filename().string(); name.starts_with("link_"))
            found.rest.push_back(name.substr(5));
    std::ranges::sort(found.rest);
    if (enforce::kernel_can_hold())
        for (const auto& link : BW_TRY(enforce::held_by_kernel()))
            if (const BpfThing thing{BW_SEALED_LINK, link.link}; std::ranges::binary_search(found.things, thing))
                found.held_by_kernel.push_back(thing);
    found.ways = ways(found.core.size(), found.rest);
    found.may_change = found.armed && enforce::may_change(enforce::sealed_guard);
    if (found.armed && !found.may_change) found.tried = try_out(found.things);
    return found;
}

}  // namespace bpfwarden::guard
