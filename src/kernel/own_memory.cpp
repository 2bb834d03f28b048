// SPDX-License-Identifier: Apache-2.0
#include "kernel/own_memory.hpp"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "kernel/file.hpp"
#include "kernel/seccomp_filter.hpp"

namespace bpfwarden::kernel {

namespace {

struct Mapping {
    std::uintptr_t begin = 0, end = 0;
    int protection = PROT_NONE;
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
    if (line[0] != 'r' || line[3] != 'p' || !line.contains('/')) return std::nullopt;
    found.protection = PROT_READ | (line[1] == 'w' ? PROT_WRITE : 0) | (line[2] == 'x' ? PROT_EXEC : 0);
    return found;
}

// The kernel gives the process a page of its own as soon as it is written to: what is there, in one step with the
// reading of it. (Through /proc/self/mem nothing would have to be writable, which kernels may refuse since 6.12.)
Result<> take(const Mapping& mapping, FdRef memory, std::uintptr_t page) {
    auto* const begin = reinterpret_cast<unsigned char*>(mapping.begin);
    const auto size = mapping.end - mapping.begin;
    if (::mprotect(begin, size, mapping.protection | PROT_WRITE))
        return fail_errno("cannot take this process's code into its own memory");
    for (std::uintptr_t at = 0; at < size; at += page) {
        // Behind the end of its file there is nothing, and touching it a signal.
        char byte = 0;
        if (::pread(memory.get(), &byte, 1, static_cast<off_t>(mapping.begin + at)) == 1)
            __atomic_fetch_or(begin + at, 0, __ATOMIC_RELAXED);
    }
    if (::mprotect(begin, size, mapping.protection))
        return fail_errno("cannot make this process's code read-only again");
    return {};
}

}  // namespace

Result<> keep_own_memory() {
    const UniqueFd memory(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
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

Result<> refuse_new_code() {
    const auto load = [](std::size_t offset) {
        return sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
    };
    constexpr std::uint32_t allow = SECCOMP_RET_ALLOW, deny = SECCOMP_RET_ERRNO | EPERM;
    const sock_filter code[] = {
        load(offsetof(seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, native_architecture, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        load(offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 7, 0),  // x32 has the same calls
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pkey_mprotect, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, allow),
        load(offsetof(seccomp_data, args) + 2 * sizeof(__u64)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, allow),
        BPF_STMT(BPF_RET | BPF_K, deny),
    };
    BW_TRY(install_filter(code));
    return {};
}

}  // namespace bpfwarden::kernel
