// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf(BPF_MAP_GET_FD_BY_ID, map_id), bpf_map(the map, read and write),
// bpf(BPF_MAP_DELETE_ELEM).
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) { return remove_the_key(map_by_id("refused")); }
static const Registered vector{"map_by_id",
                               {.what = "an entry is removed from the map, got by its number", .act = act}};

}  // namespace bpfwarden::test
