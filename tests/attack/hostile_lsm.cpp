// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_LSM, attach_btf_id).
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) { return Hostile("refuse_open").attach(); }
static const Registered vector{
    "hostile_lsm",
    {.what = "an LSM program that refuses files to one process: the policy decides, and its owner can open nothing",
     .act = act,
     .loses = Loses::other,
     .achieved = owner_is_refused,
     .not_held = "programs of others permit nothing and end nothing"}};

}  // namespace bpfwarden::test
