// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. The last program's bpf_set_retval(0) is the result. Seen by bpf(BPF_PROG_ATTACH, attach_type =
// BPF_LSM_CGROUP).
#include <bpf/bpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const int program = Hostile("override_open").load();
    return program < 0 ? errno
                       : status_of(::bpf_prog_attach(program, root_cgroup(), BPF_LSM_CGROUP, BPF_F_ALLOW_MULTI));
}
static const Registered vector{
    "override_lsm",
    {.what = "BPF_PROG_ATTACH of a second lsm_cgroup program, which allows what the first refuses",
     .act = act,
     .victim = Victim::open_in_root}};

}  // namespace bpfwarden::test
