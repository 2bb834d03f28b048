// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf_map(the array, read and write), bpf(BPF_MAP_UPDATE_ELEM).
#include <bpf/bpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const __u32 first = 0;
    const int array = map_by_id("verdict"), program = Hostile("allow_open").load();
    if (array < 0 || program < 0) return errno;
    return status_of(::bpf_map_update_elem(array, &first, &program, BPF_ANY));
}
static const Registered vector{"prog_array_replaced",
                               {.what = "another program is put into the victim's array of programs", .act = act}};

}  // namespace bpfwarden::test
