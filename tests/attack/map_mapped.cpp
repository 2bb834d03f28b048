// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf(BPF_MAP_GET_FD_BY_ID), bpf_map(the map, read and write), mmap_file; what is
// written then is seen by nothing.
#include <sys/mman.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const int map = map_by_id("foreign.data");
    if (map < 0) return errno;
    auto* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    if (memory == MAP_FAILED) return errno;
    *static_cast<volatile int*>(memory) = 0;
    return 0;
}
static const Registered vector{
    "map_mapped", {.what = "the map of global variables, got by its number, is mapped and written", .act = act}};

}  // namespace bpfwarden::test
