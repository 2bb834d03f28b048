// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays. The kernel's memory can be read there, not written.
// locked_down(LOCKDOWN_KCORE) sees it, and only lockdown=confidentiality is about it.
#include <fcntl.h>
#include <unistd.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    char bytes[64];
    const int memory = ::open("/proc/kcore", O_RDONLY | O_CLOEXEC);
    return steps([&] { return memory; }, [&] { return ::read(memory, bytes, sizeof bytes); });
}
static const Registered vector{"kcore", {.what = "/proc/kcore is read", .act = act, .loses = Loses::nothing}};

}  // namespace bpfwarden::test
