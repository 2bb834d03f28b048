// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf() and bpf_map() as from a process (7.2: with kernel = true).
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    struct {
        __u64 ino, dev;
        __u32 map_id;
        __s32 result;
    } target{};
    const int map = map_by_id("refused");
    if (map < 0 || ::bpf_map_get_next_key(map, nullptr, &target)) return errno;
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (::bpf_obj_get_info_by_fd(map, &info, &size)) return errno;
    target.map_id = info.id;
    Hostile hostile("delete_by_commands");
    const int program = hostile.load();
    // What the program leaves in its context is put back where that came from.
    LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &target, .ctx_size_in = sizeof target);
    if (program < 0 || ::bpf_prog_test_run_opts(program, &run)) return errno;
    return target.result < 0 ? -target.result : 0;
}
static const Registered vector{
    "map_by_commands",
    {.what = "a program gives the commands of bpf() that get the map by its number and remove the entry", .act = act}};

}  // namespace bpfwarden::test
