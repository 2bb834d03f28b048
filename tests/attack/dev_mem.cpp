// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by locked_down(LOCKDOWN_DEV_MEM) at the open. Where the kernel is strict, memory of the
// kernel itself is refused anyway.
#include <fcntl.h>
#include <unistd.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    constexpr off_t of_the_screen = 0xb8000;
    const int memory = ::open("/dev/mem", O_RDWR | O_CLOEXEC);
    char byte = 0;
    return steps([&] { return memory; }, [&] { return ::pread(memory, &byte, 1, of_the_screen); },
                 [&] { return ::pwrite(memory, &byte, 1, of_the_screen); });
}
static const Registered vector{"dev_mem", {.what = "/dev/mem is written to", .act = act, .loses = Loses::act}};

}  // namespace bpfwarden::test
