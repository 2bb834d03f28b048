// SPDX-License-Identifier: Apache-2.0
#include "attack/module.hpp"

#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>

#include "attack/eventually.hpp"

namespace bpfwarden::test {

// It needs no other module and does nothing by itself.
static constexpr const char* name = "dummy";

std::string unsigned_module() {
    utsname system{};
    ::uname(&system);
    const std::string path = std::string("/lib/modules/") + system.release + "/kernel/drivers/net/" + name + ".ko";
    auto bytes = text_of(path);
    constexpr std::string_view mark = "~Module signature appended~\n";
    if (bytes.ends_with(mark)) bytes.resize(bytes.size() - mark.size());
    return bytes;
}

bool module_is_loaded(const Place&) { return std::filesystem::exists(std::string("/sys/module/") + name); }

void unload_module() { (void)::syscall(SYS_delete_module, name, 0); }

}  // namespace bpfwarden::test
