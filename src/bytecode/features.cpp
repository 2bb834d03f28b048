// SPDX-License-Identifier: Apache-2.0
#include "bytecode/features.hpp"

#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "bytecode/instruction.hpp"

namespace bpfwarden::bytecode {

// bpf_prog_load() of 7.2 takes these, and BPF_F_TOKEN_FD. STRICT_ALIGNMENT only makes the verifier refuse more.
static constexpr std::uint32_t test_flags = BPF_F_TEST_RND_HI32 | BPF_F_TEST_STATE_FREQ | BPF_F_TEST_REG_INVARIANTS;
static constexpr std::uint32_t known_flags = BPF_F_STRICT_ALIGNMENT | BPF_F_ANY_ALIGNMENT | test_flags |
                                             BPF_F_SLEEPABLE | BPF_F_XDP_HAS_FRAGS | BPF_F_XDP_DEV_BOUND_ONLY;

// The kernel registers no open-coded iterator under other names (btf_check_iter_kfuncs, 6.4).
static bool is_iterator(std::string_view kfunc) {
    return kfunc.starts_with("bpf_iter_") &&
           (kfunc.ends_with("_new") || kfunc.ends_with("_next") || kfunc.ends_with("_destroy"));
}

// A callback is always a function whose address is taken in the instructions, so that alone would tell; these are for
// a name that says it all the same. Newer kernels drop the _impl of some names (7.0).
static bool calls_back(std::string_view kfunc) {
    return kfunc.starts_with("bpf_wq_set_callback") || kfunc.starts_with("bpf_task_work_schedule_") ||
           kfunc.starts_with("bpf_rbtree_add");
}

// Soundness: each feature is returned for whatever the kernel grants only with it, or for more; never for less. Loops
// need an edge of the control flow to the same or an earlier instruction, so a jump backwards, a table of jumps or an
// iterator; recursion is no way to loop, as calls are at most 8 deep. An arena can be used through its map, by a cast
// and by kfuncs; a jump table through its map and by gotox; each of them counts.
Result<Features> features(const Load& load) {
    const Reading& reading = load.reading;
    if (load.kfuncs.size() != reading.kfuncs.size())
        return fail(Error::from_errno(
            EINVAL, fmt::format("{} kfuncs are called, and {} have names", reading.kfuncs.size(), load.kfuncs.size())));
    const auto any_kfunc = [&](auto is) { return std::ranges::any_of(load.kfuncs, is); };
    const auto any_map = [&](std::uint32_t type) {
        return std::ranges::find(load.map_types, type) != load.map_types.end();
    };
    const auto flag = [&](std::uint32_t flags) { return (load.prog_flags & flags) != 0; };

    Features found;
    const auto add = [&](bool asked, std::string_view name) {
        if (asked) found.names.push_back(name);
    };
    add(reading.calls > 0, "bpf2bpf_calls");
    add(reading.jumps_back || reading.may_goto || any_kfunc(is_iterator), "bounded_loops");
    add(reading.callbacks > 0 || any_kfunc(calls_back), "callbacks");
    add(reading.casts_address_space || any_map(map_type_arena) ||
            any_kfunc([](std::string_view name) { return name.starts_with("bpf_arena_"); }),
        "arena");
    add(reading.jumps_indirectly || any_map(map_type_insn_array), "indirect_jumps");
    add(any_kfunc([](std::string_view name) { return name == "bpf_throw"; }), "exceptions");
    add(flag(BPF_F_SLEEPABLE), "sleepable");
    add(flag(BPF_F_XDP_HAS_FRAGS), "xdp_frags");
    add(flag(BPF_F_XDP_DEV_BOUND_ONLY) || load.prog_ifindex != 0, "device_bound");
    add(flag(BPF_F_ANY_ALIGNMENT), "any_alignment");
    add(flag(test_flags), "test_flags");
    found.unknown_flags = load.prog_flags & ~known_flags;
    return found;
}

}  // namespace bpfwarden::bytecode
