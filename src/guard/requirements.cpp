// SPDX-License-Identifier: Apache-2.0
#include "guard/requirements.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <utility>

#include <fmt/format.h>

#include "enforce/places.hpp"
#include "guard/holders.hpp"
#include "kernel/namespace.hpp"

namespace bpfwarden::guard {

// Soundness: what is mounted in another mount namespace ends with it, and the policy with that; an updater is root of
// the first user namespace.
Result<> require_first_namespaces() {
    // Their numbers are the same on each start of the machine; that of mounts is not, and the first process is in it.
    constexpr std::pair<const char*, ino_t> first[] = {
        {"user", 0xEFFFFFFD}, {"pid", 0xEFFFFFFC}, {"cgroup", 0xEFFFFFFB}};
    std::string other;
    for (const auto& [name, number] : first)
        if (other.empty() && BW_TRY(kernel::own_namespace(name)).inode != number) other = name;
    if (other.empty()) {
        const UniqueFd init(::open("/proc/1", O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!init) return fail_errno("cannot open /proc/1");
        if (BW_TRY(kernel::own_namespace("mnt")) != BW_TRY(kernel::namespace_of(init, "mnt"))) other = "mnt";
    }
    if (other.empty()) return {};
    return fail(
        Error(Code::failed, fmt::format("this is not the machine's first {} namespace", other))
            .because("what the guard mounts would end with this namespace, and the policy with that")
            .advise("run bpfwarden guard seal outside of containers, and of services with mounts of their own"));
}

Result<> refuse_programs_of_others(FdRef cgroup) {
    const auto ids = BW_TRY(enforce::attached_to_root(cgroup));
    if (ids.empty()) return {};
    return fail(Error(Code::failed, "there are programs of others at the root of cgroup2")
                    .because(fmt::format("prog:{}, of type lsm_cgroup or cgroup_sysctl, can turn a refusal of the "
                                         "guard into success",
                                         ids.front()))
                    .advise("detach them first: bpftool cgroup show /sys/fs/cgroup"));
}

// Programs that could overrule the guard or change its updater's memory, attached or not: whoever has them could do so
// after the seal. New ones are refused already.
Result<> refuse_hostile_programs() {
    auto before = BW_TRY(enforce::guard_state(enforce::sealed_guard)).hostile;
    for (__u32 id = 0; ::bpf_prog_get_next_id(id, &id) == 0;) {
        const UniqueFd program(::bpf_prog_get_fd_by_id(id));  // the guard looks at it
        const auto hostile = BW_TRY(enforce::guard_state(enforce::sealed_guard)).hostile;
        if (hostile == std::exchange(before, hostile)) continue;
        return fail(Error(Code::failed, fmt::format("prog:{} could overrule the guard", id))
                        .because("it is of type fmod_ret, which can have bpf() pass every LSM by, or of type syscall, "
                                 "which can have the kernel let go of links, or writes to the registers of the "
                                 "processes it is called for")
                        .advise(fmt::format("end whoever holds it: bpftool prog show id {}", id)));
    }
    return {};
}

// Soundness: every fd and pin of a sealed map is one that we know. Whoever else has one could write the policy's
// tables, and goes on being able to. From BEGIN on nobody gets a new one, so it is enough to count once.
Result<> require_no_other_holders(const enforce::GuardObject& object, const std::set<enforce::BpfThing>& things,
                                  const std::vector<std::string>& pinned_in, std::optional<pid_t> guardian) {
    std::vector<pid_t> known{::getpid()};
    if (guardian) known.push_back(*guardian);
    std::map<std::uint32_t, std::uint32_t> expected;
    for (const auto& directory : pinned_in)
        for (const auto& [id, count] : BW_TRY(map_pins_in(directory))) expected[id] += count;
    for (const auto pid : known)
        for (const auto& [id, count] : map_fds_of(pid)) expected[id] += count;
    // An fd that the guardian's was passed on as counts as one with it.
    auto others = map_holders_but(known);
    for (const auto& thing : things) {
        if (thing.kind != BW_SEALED_MAP) continue;
        BW_TRY(enforce::open_thing(thing));  // the guard counts
        const auto holders = BW_TRY(object.holders(thing.id));
        if (holders <= expected[thing.id] + 1 && !others.contains(thing.id)) continue;
        std::string who;
        for (const auto pid : others[thing.id]) who += fmt::format(" {}", pid);
        return fail(Error(Code::failed, fmt::format("somebody else holds {} of the policy", enforce::name_of(thing)))
                        .because(who.empty() ? "no process that /proc shows: a pin elsewhere, or an fd on its way"
                                             : fmt::format("processes{} have it open", who))
                        .advise("whoever holds it could change the policy after the seal: end it, and seal again"));
    }
    return {};
}

}  // namespace bpfwarden::guard
