// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Callers of security_bpf, security_bpf_map and security_bpf_prog ask for `< 0`. Seen by
// bpf(BPF_PROG_LOAD, BPF_MODIFY_RETURN, attach_btf_id).
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) { return Hostile("skip_bpf").attach(); }
static const Registered vector{
    "fmod_ret_bpf",
    {.what = "an fmod_ret program on security_bpf returns 1, which skips the hook and stops nothing",
     .act = act,
     .victim = Victim::bpf}};

}  // namespace bpfwarden::test
