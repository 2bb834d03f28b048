// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf(BPF_LINK_GET_FD_BY_ID, link_id), bpf(BPF_LINK_DETACH, a descriptor); there is no
// hook for links.
#include <bpf/bpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const int link = link_by_id("foreign_connect");
    return link < 0 ? errno : status_of(::bpf_link_detach(link));
}
static const Registered vector{
    "link_detach",
    {.what = "BPF_LINK_DETACH of a link to a cgroup, got by its number", .act = act, .victim = Victim::connect}};

}  // namespace bpfwarden::test
