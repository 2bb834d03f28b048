// SPDX-License-Identifier: Apache-2.0
#include "filter/numbers.hpp"

#include <fmt/format.h>
#include <linux/audit.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "base/text.hpp"
#include "filter/numbers_data.hpp"

namespace bpfwarden::filter {

namespace {

struct AbiName {
    std::string_view name;
    Abi abi;
};
// The first of each is the one that is written.
constexpr AbiName abi_names[] = {
    {"x86_64", Abi::x86_64}, {"x32", Abi::x32},       {"i386", Abi::i386},   {"aarch64", Abi::aarch64},
    {"amd64", Abi::x86_64},  {"x86-64", Abi::x86_64}, {"x86", Abi::i386},    {"386", Abi::i386},
    {"arm64", Abi::aarch64}, {"i686", Abi::i386},     {"x86_32", Abi::i386}, {"ia32", Abi::i386},
    {"amd64p32", Abi::x32},
};

// Calls of socketcall and ipc, by <linux/net.h> and <linux/ipc.h>.
struct Selector {
    std::string_view name;
    std::uint32_t selector;
};
constexpr Selector socket_calls[] = {
    {"socket", 1},      {"bind", 2},        {"connect", 3},    {"listen", 4},      {"accept", 5},
    {"getsockname", 6}, {"getpeername", 7}, {"socketpair", 8}, {"send", 9},        {"recv", 10},
    {"sendto", 11},     {"recvfrom", 12},   {"shutdown", 13},  {"setsockopt", 14}, {"getsockopt", 15},
    {"sendmsg", 16},    {"recvmsg", 17},    {"accept4", 18},   {"recvmmsg", 19},   {"sendmmsg", 20},
};
constexpr Selector ipc_calls[] = {
    {"semop", 1},   {"semget", 2},  {"semctl", 3}, {"semtimedop", 4}, {"msgsnd", 11}, {"msgrcv", 12},
    {"msgget", 13}, {"msgctl", 14}, {"shmat", 21}, {"shmdt", 22},     {"shmget", 23}, {"shmctl", 24},
};
constexpr std::uint32_t i386_socketcall = 102;
constexpr std::uint32_t i386_ipc = 117;

// Calls of other architectures only: a profile that names them is not misspelt.
constexpr std::string_view elsewhere[] = {
    "arm_fadvise64_64",
    "arm_sync_file_range",
    "atomic_barrier",
    "atomic_cmpxchg_32",
    "breakpoint",
    "cachectl",
    "cacheflush",
    "getpagesize",
    "get_tls",
    "multiplexer",
    "pciconfig_iobase",
    "pciconfig_read",
    "pciconfig_write",
    "recv",
    "riscv_flush_icache",
    "riscv_hwprobe",
    "rtas",
    "s390_guarded_storage",
    "s390_pci_mmio_read",
    "s390_pci_mmio_write",
    "s390_runtime_instr",
    "s390_sthyi",
    "send",
    "set_tls",
    "spu_create",
    "spu_run",
    "subpage_prot",
    "swapcontext",
    "switch_endian",
    "sync_file_range2",
    "syscall",
    "sys_debug_setcontext",
    "sysmips",
    "timerfd",
    "usr26",
    "usr32",
};

std::span<const Call> table(Abi abi) {
    switch (abi) {
        case Abi::x86_64:
            return {calls_x86_64, count_x86_64};
        case Abi::x32:
            return {calls_x32, count_x32};
        case Abi::i386:
            return {calls_i386, count_i386};
        case Abi::aarch64:
            return {calls_aarch64, count_aarch64};
    }
    return {};
}

std::uint32_t bit_of(Abi abi) { return abi == Abi::x32 ? x32_bit : 0; }

const Call* find(Abi abi, std::uint32_t number) {
    if ((number & x32_bit) != bit_of(abi)) return nullptr;
    number &= ~x32_bit;
    const auto calls = table(abi);
    const auto at = std::ranges::lower_bound(calls, number, {}, &Call::number);
    return at != calls.end() && at->number == number ? &*at : nullptr;
}

// Names are looked up for each name of each rule of a profile.
const std::unordered_map<std::string_view, const Call*>& by_name(Abi abi) {
    static const auto maps = [] {
        std::array<std::unordered_map<std::string_view, const Call*>, all_abis.size()> made;
        for (const Abi one : all_abis)
            for (const auto& call : table(one)) made[static_cast<std::size_t>(one)].emplace(call.name, &call);
        return made;
    }();
    return maps[static_cast<std::size_t>(abi)];
}

}  // namespace

std::string_view text(Abi abi) { return std::ranges::find(abi_names, abi, &AbiName::abi)->name; }

std::optional<Abi> parse_abi(std::string_view text) {
    const std::string small = lower(text);
    std::string_view name = small;
    for (const std::string_view prefix : {"scmp_arch_", "audit_arch_"})
        if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
    const auto* at = std::ranges::find(abi_names, name, &AbiName::name);
    if (at == std::end(abi_names)) return std::nullopt;
    return at->abi;
}

std::uint32_t audit_arch(Abi abi) {
    switch (abi) {
        case Abi::x86_64:
        case Abi::x32:
            return AUDIT_ARCH_X86_64;
        case Abi::i386:
            return AUDIT_ARCH_I386;
        case Abi::aarch64:
            return AUDIT_ARCH_AARCH64;
    }
    return 0;
}

bool is_32_bit(Abi abi) { return abi == Abi::i386 || abi == Abi::x32; }

std::optional<Abi> native_abi() {
#if defined(__x86_64__) && defined(__ILP32__)
    return Abi::x32;
#elif defined(__x86_64__)
    return Abi::x86_64;
#elif defined(__i386__)
    return Abi::i386;
#elif defined(__aarch64__)
    return Abi::aarch64;
#else
    return std::nullopt;
#endif
}

std::optional<Kernel> parse_kernel(std::string_view text) {
    Kernel kernel;
    const char* const end = text.data() + text.size();
    const auto [dot, bad_major] = std::from_chars(text.data(), end, kernel.major);
    if (bad_major != std::errc{} || dot == end || *dot != '.') return std::nullopt;
    const auto [rest, bad_minor] = std::from_chars(dot + 1, end, kernel.minor);
    if (bad_minor != std::errc{}) return std::nullopt;
    if (rest != end && *rest != '.' && *rest != '-' && *rest != '+') return std::nullopt;
    return kernel;
}

std::string text(Kernel kernel) { return fmt::format("{}.{}", kernel.major, kernel.minor); }

std::optional<std::uint32_t> number_of(Abi abi, std::string_view name, Kernel kernel) {
    const auto& names = by_name(abi);
    const auto at = names.find(name);
    if (at == names.end() || at->second->since > kernel) return std::nullopt;
    return at->second->number | bit_of(abi);
}

std::string_view name_of(Abi abi, std::uint32_t number) {
    const auto* call = find(abi, number);
    return call != nullptr ? call->name : std::string_view();
}

std::optional<Kernel> introduced(Abi abi, std::uint32_t number) {
    const auto* call = find(abi, number);
    if (call == nullptr) return std::nullopt;
    return call->since;
}

std::vector<std::uint32_t> all_numbers(Abi abi, Kernel kernel) {
    std::vector<std::uint32_t> numbers;
    for (const auto& call : table(abi))
        if (call.since <= kernel) numbers.push_back(call.number | bit_of(abi));
    return numbers;
}

bool is_known_name(std::string_view name) {
    return std::ranges::any_of(all_abis, [&](Abi abi) { return by_name(abi).contains(name); }) ||
           std::ranges::find(elsewhere, name) != std::end(elsewhere);
}

std::optional<Multiplexed> multiplexed(Abi abi, std::string_view name) {
    if (abi != Abi::i386) return std::nullopt;
    for (const auto& one : socket_calls)
        if (one.name == name) return Multiplexed{i386_socketcall, one.selector};
    for (const auto& one : ipc_calls)
        if (one.name == name) return Multiplexed{i386_ipc, one.selector};
    return std::nullopt;
}

}  // namespace bpfwarden::filter
