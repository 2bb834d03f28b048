// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf_map(the array, read and write), bpf(BPF_MAP_DELETE_ELEM).
#include <bpf/bpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const __u32 first = 0;
    const int array = map_by_id("verdict");
    return array < 0 ? errno : status_of(::bpf_map_delete_elem(array, &first));
}
static const Registered vector{
    "prog_array_cleared",
    {.what = "the program that refuses is removed from the victim's array of programs", .act = act}};

}  // namespace bpfwarden::test
