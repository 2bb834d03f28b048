// SPDX-License-Identifier: Apache-2.0
#include "kernel/own_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::kernel {

namespace {

struct Mapping {
    std::uintptr_t begin = 0, end = 0;
    bool writable = false;
};

// A private mapping of a file, in a line of /proc/PID/maps: "55d0c0-55d0c8 r-xp 00001000 fe:00 1234   /usr/bin/x"
std::optional<Mapping> of_a_file(std::string_view line) {
    Mapping found;
    const auto number = [&](std::uintptr_t& into, char end) {
        const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), into, 16);
        if (error != std::errc() || rest == line.data() + line.size() || *rest != end) return false;
        line.remove_prefix(static_cast<std::size_t>(rest - line.data()) + 1);
        return true;
    };
    if (!number(found.begin, '-') || !number(found.end, ' ') || line.size() < 5) return std::nullopt;
    found.writable = line[1] == 'w';
    if (line[0] != 'r' || line[3] != 'p' || !line.contains('/')) return std::nullopt;
    return found;
}

// The kernel gives the process a page of its own as soon as it is written to; what it is written to with is what is
// there. Pages that the process may not write to are nobody's to change meanwhile; those that it may are written to in
// one step with the reading.
Result<> take(const Mapping& mapping, FdRef memory, std::uintptr_t page) {
    for (auto address = mapping.begin; address < mapping.end; address += page) {
        if (mapping.writable) {
            __atomic_fetch_or(reinterpret_cast<unsigned char*>(address), 0, __ATOMIC_RELAXED);
            continue;
        }
        char byte = 0;
        // Behind the end of its file nothing can be read.
        if (::pread(memory.get(), &byte, 1, static_cast<off_t>(address)) != 1) continue;
        if (::pwrite(memory.get(), &byte, 1, static_cast<off_t>(address)) != 1)
            return fail_errno("cannot take this process's code into its own memory");
    }
    return {};
}

}  // namespace

Result<> keep_own_memory() {
    const UniqueFd memory(::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
    if (!memory) return fail_errno("cannot open /proc/self/mem");
    const auto maps = BW_TRY(read_file("/proc/self/maps"));
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    for (const auto line : split(maps, '\n'))
        if (const auto mapping = of_a_file(line)) BW_TRY(take(*mapping, memory, page));
    if (::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
        return fail(Error::from_errno(errno, "cannot lock this process's memory")
                        .because("what is in swap can be changed there")
                        .advise("let it lock memory: LimitMEMLOCK=infinity, or CAP_IPC_LOCK"));
    return {};
}

}  // namespace bpfwarden::kernel
