// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf_prog(the victim's program), bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_EXT, attach_prog_fd,
// attach_btf_id).
#include <bpf/libbpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    const int program = program_by_id("foreign_open");
    if (program < 0) return errno;
    Hostile hostile("nothing_is_refused");
    if (const int error = bpf_program__set_attach_target(hostile.program, program, "is_refused")) return -error;
    return hostile.attach();
}
static const Registered vector{"freplace", {.what = "a function of the victim's program is replaced", .act = act}};

}  // namespace bpfwarden::test
