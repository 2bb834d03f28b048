// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: EOPNOTSUPP; links of trampolines cannot be detached.
#include <bpf/bpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const int link = link_by_id("foreign_open");
    return link < 0 ? errno : status_of(::bpf_link_detach(link));
}
static const Registered vector{
    "link_detach_lsm",
    {.what = "BPF_LINK_DETACH of an LSM link", .act = act, .loses = Loses::nothing, .refused_anyway = true}};

}  // namespace bpfwarden::test
