// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. The last program's bpf_set_retval(0) is the result. Seen by bpf(BPF_PROG_ATTACH, attach_type =
// BPF_CGROUP_SYSCTL).
#include <bpf/bpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const int program = Hostile("override_sysctl").load();
    return program < 0 ? errno
                       : status_of(::bpf_prog_attach(program, root_cgroup(), BPF_CGROUP_SYSCTL, BPF_F_ALLOW_MULTI));
}
static const Registered vector{
    "override_sysctl",
    {.what = "BPF_PROG_ATTACH of a second cgroup/sysctl program, which allows what the first refuses",
     .act = act,
     .victim = Victim::sysctl}};

}  // namespace bpfwarden::test
