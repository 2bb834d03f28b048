// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Open fails (EINVAL) on any result but 0, so this refuses and allows nothing. Seen as
// fmod_ret_bpf.
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) { return Hostile("skip_open").attach(); }
static const Registered vector{
    "fmod_ret_open",
    {.what = "an fmod_ret program on security_file_open: the policy decides, and its owner can open nothing",
     .act = act,
     .loses = Loses::other,
     .achieved = owner_is_refused}};

}  // namespace bpfwarden::test
