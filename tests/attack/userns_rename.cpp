// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_rename(the victim's pin as what is replaced).
#include <bpf/bpf.h>
#include <sched.h>
#include <stdio.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    const auto other = at.mount + "/other";
    const int map = ::bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, 4, 1, nullptr);
    return steps([&] { return ::bpf_obj_pin(map, other.c_str()); }, [] { return ::unshare(CLONE_NEWUSER); },
                 [&] { return ::rename(other.c_str(), at.pin("link").c_str()); });
}
static const Registered vector{
    "userns_rename",
    {.what = "another pin is renamed onto it from a user namespace, by who is root outside", .act = act}};

}  // namespace bpfwarden::test
