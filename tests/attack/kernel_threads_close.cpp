// SPDX-License-Identifier: Apache-2.0
// 6.12, 7.2: works; it is all that closes what these threads hold. Seen by bpf(BPF_PROG_LOAD) as a program of type
// syscall.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"
#include "attack/eventually.hpp"
#include "hostile.skel.h"
#include "root/guests.hpp"

namespace bpfwarden::test {

static const char* missing() { return role() == "floor" ? "work queues of BPF are from Linux 6.10" : nullptr; }

static int act(const Place&) {
    Hostile hostile("close_kernels");
    const int program = hostile.load();
    LIBBPF_OPTS(bpf_test_run_opts, run);
    if (program < 0 || ::bpf_prog_test_run_opts(program, &run)) return errno;
    if (run.retval) return EINVAL;
    return eventually(std::chrono::seconds(10), [&] { return hostile.objects->bss->has_closed_all != 0; }) ? 0
                                                                                                           : ETIMEDOUT;
}
static const Registered vector{"kernel_threads_close",
                               {.what = "a program has a kernel thread close the fds that these threads share",
                                .act = act,
                                .loses = Loses::act,
                                .missing = missing}};

}  // namespace bpfwarden::test
