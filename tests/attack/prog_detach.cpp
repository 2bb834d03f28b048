// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf(BPF_PROG_GET_FD_BY_ID, prog_id), bpf_prog(the victim's), bpf(BPF_PROG_DETACH,
// attach_type, descriptors).
#include <bpf/bpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const int program = attached_to_root(BPF_CGROUP_SYSCTL);
    return program < 0 ? errno : status_of(::bpf_prog_detach2(program, root_cgroup(), BPF_CGROUP_SYSCTL));
}
static const Registered vector{"prog_detach",
                               {.what = "BPF_PROG_DETACH of what is attached to the root cgroup without a link",
                                .act = act,
                                .victim = Victim::sysctl}};

}  // namespace bpfwarden::test
