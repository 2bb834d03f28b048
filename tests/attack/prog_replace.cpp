// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf(BPF_PROG_ATTACH, attach_type, attach_flags, descriptors).
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const int old = attached_to_root(BPF_CGROUP_SYSCTL), program = Hostile("override_sysctl").load();
    if (old < 0 || program < 0) return errno;
    LIBBPF_OPTS(bpf_prog_attach_opts, options, .flags = BPF_F_ALLOW_MULTI | BPF_F_REPLACE, .replace_prog_fd = old);
    return status_of(::bpf_prog_attach_opts(program, root_cgroup(), BPF_CGROUP_SYSCTL, &options));
}
static const Registered vector{
    "prog_replace",
    {.what = "BPF_PROG_ATTACH with BPF_F_REPLACE puts another program in the place of the victim",
     .act = act,
     .victim = Victim::sysctl}};

}  // namespace bpfwarden::test
