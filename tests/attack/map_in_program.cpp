// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. The verifier does not look at the descriptor's mode. Seen by bpf_map(the map, read), then
// bpf_prog(a program that uses it).
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"
#include "hostile.skel.h"

namespace bpfwarden::test {

static int act(const Place& at) {
    LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = BPF_F_RDONLY);
    const int map = ::bpf_obj_get_opts(at.pin("refused").c_str(), &options);
    if (map < 0) return errno;
    Hostile hostile("clear_all");
    bpf_map__reuse_fd(hostile.objects->maps.refused, map);
    const int program = hostile.load();
    LIBBPF_OPTS(bpf_test_run_opts, run);
    return program < 0 ? errno : status_of(::bpf_prog_test_run_opts(program, &run));
}
static const Registered vector{
    "map_in_program", {.what = "a read-only descriptor of the map is given to a program, which writes", .act = act}};

}  // namespace bpfwarden::test
