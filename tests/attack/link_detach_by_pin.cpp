// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf(BPF_OBJ_GET, a user's pointer), inode_permission of the pin, bpf(BPF_LINK_DETACH,
// a descriptor).
#include <bpf/bpf.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    const int link = ::bpf_obj_get(at.pin("link").c_str());
    return link < 0 ? errno : status_of(::bpf_link_detach(link));
}
static const Registered vector{
    "link_detach_by_pin",
    {.what = "BPF_LINK_DETACH of a link to a cgroup, got by its pin", .act = act, .victim = Victim::connect}};

}  // namespace bpfwarden::test
