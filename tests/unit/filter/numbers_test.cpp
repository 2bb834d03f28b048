// SPDX-License-Identifier: Apache-2.0
#include "filter/numbers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <seccomp.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>

namespace bpfwarden::filter {
namespace {

using Calls = std::map<std::string, std::uint32_t>;

// What a header of the installed kernel's defines: __NR_name as a number, as __X32_SYSCALL_BIT + a number, or as
// another of its macros (asm-generic's __NR3264_…).
Calls header_calls(const std::string& path) {
    static const std::regex define(R"(#define\s+(__NR\w+)\s+\(?(__X32_SYSCALL_BIT \+ )?(\w+)\)?)");
    std::ifstream file(path);
    std::map<std::string, std::string> values;
    std::string line;
    while (std::getline(file, line)) {
        std::smatch found;
        if (std::regex_search(line, found, define)) values.try_emplace(found[1], found[3]);
    }
    Calls calls;
    for (const auto& [name, value] : values) {
        if (!name.starts_with("__NR_") || name == "__NR_syscalls") continue;
        auto at = values.find(value);
        const auto& digits = at == values.end() ? value : at->second;
        if (std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }))
            calls[name.substr(5)] = static_cast<std::uint32_t>(std::stoul(digits));
    }
    return calls;
}

struct Header {
    Abi abi;
    const char* path;
};
// linux-libc-dev has every architecture's there since 6.12.
const Header headers[] = {
    {Abi::x86_64, "/usr/lib/linux/uapi/x86/asm/unistd_64.h"},
    {Abi::x32, "/usr/lib/linux/uapi/x86/asm/unistd_x32.h"},
    {Abi::i386, "/usr/lib/linux/uapi/x86/asm/unistd_32.h"},
    {Abi::aarch64, "/usr/lib/linux/uapi/arm64/asm/unistd_64.h"},
};

class Numbers : public testing::TestWithParam<Header> {};

TEST_P(Numbers, AgreeWithTheInstalledHeaders) {
    const auto [abi, path] = GetParam();
    const auto calls = header_calls(path);
    ASSERT_GT(calls.size(), 300U) << path;
    const std::uint32_t bit = abi == Abi::x32 ? x32_bit : 0;
    Kernel newest;
    for (const auto& [name, number] : calls) {
        if (name == "arch_specific_syscall") continue;
        EXPECT_EQ(number_of(abi, name), number | bit) << name;
        EXPECT_EQ(name_of(abi, number | bit), name);
        newest = std::max(newest, introduced(abi, number | bit).value_or(Kernel{}));
    }
    // And the table has no more than they: up to the newest call that they know.
    for (const std::uint32_t number : all_numbers(abi, newest))
        EXPECT_TRUE(calls.contains(std::string(name_of(abi, number)))) << number << name_of(abi, number);
}

TEST_P(Numbers, AgreeWithLibseccomp) {
    const auto abi = GetParam().abi;
    const std::map<Abi, std::uint32_t> tokens = {{Abi::x86_64, SCMP_ARCH_X86_64},
                                                 {Abi::x32, SCMP_ARCH_X32},
                                                 {Abi::i386, SCMP_ARCH_X86},
                                                 {Abi::aarch64, SCMP_ARCH_AARCH64}};
    unsigned agreed = 0;
    for (const std::uint32_t number : all_numbers(abi)) {
        const std::string name(name_of(abi, number));
        const int theirs = seccomp_syscall_resolve_name_arch(tokens.at(abi), name.c_str());
        // Newer than the library, or one of those that it has under a number below zero: socketcall's and ipc's.
        if (theirs < 0) {
            EXPECT_TRUE(theirs == __NR_SCMP_ERROR || multiplexed(abi, name) || introduced(abi, number) >= Kernel(5, 17))
                << name << theirs;
            continue;
        }
        EXPECT_EQ(static_cast<std::uint32_t>(theirs), number) << name;
        ++agreed;
    }
    EXPECT_GT(agreed, 280U);
}

INSTANTIATE_TEST_SUITE_P(All, Numbers, testing::ValuesIn(headers),
                         [](const auto& one) { return std::string(text(one.param.abi)); });

TEST(Numbers, GapsAreUnknown) {
    for (const std::uint32_t gap : {337U, 400U, 423U, 472U, 511U, 548U, 0xffffffffU, x32_bit | 0U}) {
        EXPECT_EQ(name_of(Abi::x86_64, gap), "") << gap;
        EXPECT_EQ(introduced(Abi::x86_64, gap), std::nullopt) << gap;
    }
    EXPECT_EQ(name_of(Abi::i386, 222), "");
    EXPECT_EQ(name_of(Abi::aarch64, 244), "");
    // x32 has numbers of its own in 512…547, and lacks those that x86-64 alone has.
    EXPECT_EQ(name_of(Abi::x32, x32_bit | 514), "ioctl");
    EXPECT_EQ(name_of(Abi::x32, x32_bit | 16), "");
    EXPECT_EQ(name_of(Abi::x32, 514), "");
    EXPECT_EQ(name_of(Abi::x32, 0xffffffff), "");
    EXPECT_EQ(name_of(Abi::x86_64, 514), "");
    EXPECT_EQ(number_of(Abi::x86_64, "socketcall"), std::nullopt);
    EXPECT_EQ(number_of(Abi::aarch64, "open"), std::nullopt);
    EXPECT_EQ(number_of(Abi::x86_64, ""), std::nullopt);
}

TEST(Numbers, EachKernelHasItsTable) {
    const auto known = [](Abi abi, const char* name, Kernel kernel) {
        return number_of(abi, name, kernel).has_value();
    };
    struct Case {
        Abi abi;
        const char* name;
        Kernel since;
    };
    for (const auto& [abi, name, since] : {Case{Abi::x86_64, "bpf", {3, 18}},
                                           {Abi::x86_64, "membarrier", {4, 3}},
                                           {Abi::i386, "socket", {4, 3}},
                                           {Abi::i386, "arch_prctl", {4, 12}},
                                           {Abi::i386, "semget", {5, 1}},
                                           {Abi::i386, "clock_gettime64", {5, 1}},
                                           {Abi::aarch64, "kexec_file_load", {5, 0}},
                                           {Abi::aarch64, "clone3", {5, 3}},
                                           {Abi::x86_64, "close_range", {5, 9}},
                                           {Abi::x86_64, "process_madvise", {5, 10}},
                                           {Abi::x86_64, "epoll_pwait2", {5, 11}},
                                           {Abi::x86_64, "quotactl_fd", {5, 14}},
                                           {Abi::x86_64, "map_shadow_stack", {6, 6}},
                                           {Abi::aarch64, "map_shadow_stack", {6, 7}},
                                           {Abi::x86_64, "uretprobe", {6, 11}},
                                           {Abi::x32, "setxattrat", {6, 13}},
                                           {Abi::x86_64, "uprobe", {6, 18}},
                                           {Abi::aarch64, "listns", {6, 19}},
                                           {Abi::i386, "rseq_slice_yield", {7, 0}}}) {
        EXPECT_TRUE(known(abi, name, since)) << name;
        const Kernel before = since.minor > 0 ? Kernel(since.major, static_cast<std::uint16_t>(since.minor - 1))
                                              : Kernel(static_cast<std::uint16_t>(since.major - 1), 99);
        EXPECT_FALSE(known(abi, name, before)) << name;
    }
    EXPECT_EQ(all_numbers(Abi::x86_64, {5, 10}).size(), 352U);
    EXPECT_EQ(all_numbers(Abi::x86_64, {5, 10}).back(), 440U);
    EXPECT_EQ(all_numbers(Abi::x86_64, {99, 0}), all_numbers(Abi::x86_64));
    EXPECT_TRUE(std::ranges::is_sorted(all_numbers(Abi::i386)));
    EXPECT_THAT(all_numbers(Abi::x32), testing::Each(testing::Ge(x32_bit)));
    EXPECT_TRUE(all_numbers(Abi::x86_64, {3, 4}).empty());
}

TEST(Numbers, NamesOfArchitectures) {
    for (const Abi abi : all_abis) EXPECT_EQ(parse_abi(text(abi)), abi);
    for (const auto* name : {"x86", "i386", "SCMP_ARCH_X86", "AUDIT_ARCH_I386", "scmp_arch_x86"})
        EXPECT_EQ(parse_abi(name), Abi::i386) << name;
    for (const auto* name : {"arm64", "aarch64", "SCMP_ARCH_AARCH64", "AUDIT_ARCH_AARCH64"})
        EXPECT_EQ(parse_abi(name), Abi::aarch64) << name;
    EXPECT_EQ(parse_abi("SCMP_ARCH_X32"), Abi::x32);
    EXPECT_EQ(parse_abi("amd64"), Abi::x86_64);
    for (const auto* name : {"", "arm", "SCMP_ARCH_ARM", "SCMP_ARCH_", "SCMP_ARCH_NATIVE", "x86_644"})
        EXPECT_EQ(parse_abi(name), std::nullopt) << name;
    EXPECT_EQ(audit_arch(Abi::x32), std::uint32_t{AUDIT_ARCH_X86_64});
    EXPECT_EQ(audit_arch(Abi::aarch64), std::uint32_t{AUDIT_ARCH_AARCH64});
}

TEST(Numbers, Releases) {
    EXPECT_EQ(parse_kernel("5.10"), Kernel(5, 10));
    EXPECT_EQ(parse_kernel("6.12.94+deb13-amd64"), Kernel(6, 12));
    EXPECT_EQ(parse_kernel("7.2-rc1"), Kernel(7, 2));
    EXPECT_EQ(text(Kernel{5, 10}), "5.10");
    EXPECT_LT(Kernel(5, 9), Kernel(5, 10));
    for (const auto* wrong : {"", "5", "5.", ".1", "5.10x", "-5.1", "5,10", "99999999.1", "5.99999999"})
        EXPECT_EQ(parse_kernel(wrong), std::nullopt) << wrong;
}

TEST(Numbers, MultiplexedCalls) {
    // libseccomp's numbers below zero hold the selector: -100 - n of socketcall, -200 - n of ipc.
    unsigned seen = 0;
    for (const auto* name :
         {"socket",  "bind",    "connect",  "listen",   "accept",   "getsockname", "getpeername", "socketpair",
          "send",    "recv",    "sendto",   "recvfrom", "shutdown", "setsockopt",  "getsockopt",  "sendmsg",
          "recvmsg", "accept4", "recvmmsg", "sendmmsg", "semop",    "semget",      "semctl",      "semtimedop",
          "msgsnd",  "msgrcv",  "msgget",   "msgctl",   "shmat",    "shmdt",       "shmget",      "shmctl"}) {
        const auto ours = multiplexed(Abi::i386, name);
        ASSERT_TRUE(ours) << name;
        const int theirs = -seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86, name);
        EXPECT_EQ(static_cast<int>(ours->selector), theirs % 100) << name;
        EXPECT_EQ(name_of(Abi::i386, ours->number), theirs < 200 ? "socketcall" : "ipc") << name;
        EXPECT_FALSE(multiplexed(Abi::x86_64, name)) << name;
        EXPECT_TRUE(is_known_name(name));
        ++seen;
    }
    EXPECT_EQ(seen, 32U);
    EXPECT_FALSE(multiplexed(Abi::i386, "read"));
    EXPECT_FALSE(is_known_name("opne"));
}

}  // namespace
}  // namespace bpfwarden::filter
