// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays. BPF_MAP_GET_FD_BY_ID is for who is privileged outside. Seen by
// bpf(BPF_MAP_GET_FD_BY_ID).
#include <sched.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    if (::unshare(CLONE_NEWUSER)) return errno;
    return remove_the_key(map_by_id("refused"));
}
static const Registered vector{
    "userns_map_by_id",
    {.what = "the map is looked for by its number by root of a user namespace", .act = act, .loses = Loses::nothing}};

}  // namespace bpfwarden::test
