// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by locked_down(LOCKDOWN_PCI_ACCESS).
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place&) {
    constexpr off_t interrupt_line = 0x3c;
    const std::filesystem::directory_iterator devices("/sys/bus/pci/devices");
    const int file = ::open((devices->path() / "config").c_str(), O_RDWR | O_CLOEXEC);
    char byte = 0;
    return steps([&] { return file; }, [&] { return ::pread(file, &byte, 1, interrupt_line); },
                 [&] { return ::pwrite(file, &byte, 1, interrupt_line); });
}
static const Registered vector{
    "pci_config",
    {.what = "the configuration of a PCI device is written to, which could have it write to memory",
     .act = act,
     .loses = Loses::act}};

}  // namespace bpfwarden::test
