// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf(BPF_LINK_GET_FD_BY_ID, link_id), bpf(BPF_LINK_UPDATE, descriptors).
#include <bpf/bpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const int link = link_by_id("foreign_connect"), program = Hostile("allow_connect").load();
    if (link < 0 || program < 0) return errno;
    return status_of(::bpf_link_update(link, program, nullptr));
}
static const Registered vector{
    "link_update",
    {.what = "BPF_LINK_UPDATE puts another program into a link to a cgroup", .act = act, .victim = Victim::connect}};

}  // namespace bpfwarden::test
