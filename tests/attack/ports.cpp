// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by locked_down(LOCKDOWN_IOPORT).
#include <sys/io.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) { return status_of(::ioperm(0x70, 2, 1)); }
static const Registered vector{
    "ports", {.what = "a process gets the ports of a device (ioperm)", .act = act, .loses = Loses::act}};

}  // namespace bpfwarden::test
