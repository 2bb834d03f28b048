// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. The last program's bpf_set_retval(0) is the result. Seen by bpf(BPF_LINK_CREATE, attach_type =
// BPF_CGROUP_SYSCTL).
#include <bpf/bpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) { return link_to_root("override_sysctl", BPF_CGROUP_SYSCTL); }
static const Registered vector{"override_sysctl_link",
                               {.what = "a link of a second cgroup/sysctl program, which allows what the first refuses",
                                .act = act,
                                .victim = Victim::sysctl}};

}  // namespace bpfwarden::test
