// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf(BPF_OBJ_GET), bpf_map(the map, read and write), bpf(BPF_MAP_DELETE_ELEM).
#include <bpf/bpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) { return remove_the_key(::bpf_obj_get(at.pin("refused").c_str())); }
static const Registered vector{"map_by_pin", {.what = "an entry is removed from the map, got by its pin", .act = act}};

}  // namespace bpfwarden::test
