// SPDX-License-Identifier: Apache-2.0
// Which system calls the filter puts to the worker: by running it as the kernel does, and by the kernel's own idea of
// what it need not run.
#include "intercept/filter.hpp"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>

#include "bytecode/classic.hpp"
#include "intercept/calls.hpp"
#include "kernel/seccomp_filter.hpp"
#include "wire/bpf_layout.hpp"

namespace bpfwarden::intercept {
namespace {

constexpr std::uint32_t allow = SECCOMP_RET_ALLOW, ask = SECCOMP_RET_USER_NOTIF;
constexpr std::uint32_t none = SECCOMP_RET_ERRNO | ENOSYS;
constexpr std::uint32_t native = kernel::native_architecture;

// The halves of the arguments' registers that the kernel drops are full of rubbish everywhere here.
std::uint32_t verdict(const std::vector<sock_filter>& code, std::uint32_t arch, std::uint32_t number,
                      std::array<std::uint32_t, 3> arguments = {}, std::uint32_t upper_halves = 0xdeadbeef) {
    std::array<std::uint32_t, 16> words{number, arch};
    for (std::size_t i = 0; i < 6; ++i) {
        words[4 + 2 * i] = i < arguments.size() ? arguments[i] : 0;
        words[5 + 2 * i] = upper_halves;
    }
    return bytecode::run(code, words).result;
}

bool looks_at_arguments(std::uint32_t number) {
    return number == SYS_bpf || number == SYS_ioctl || number == SYS_setsockopt;
}

const std::vector<sock_filter>& plain() {
    static const auto code = filter({});
    return code;
}
const std::vector<sock_filter>& with_updates() {
    static const auto code = filter({.map_updates = true});
    return code;
}

TEST(InterceptFilter, IsOneThatTheKernelTakes) {
    EXPECT_TRUE(bytecode::check(plain()));
    EXPECT_TRUE(bytecode::check(with_updates()));
}

// A supervised program makes every other call at the speed of one that is not: the kernel does not run the filter.
TEST(InterceptFilter, CostsOtherCallsNothing) {
    for (const auto* code : {&plain(), &with_updates()}) {
        for (const long number : {SYS_getpid, SYS_read, SYS_write, SYS_openat, SYS_mmap, SYS_futex, SYS_close})
            EXPECT_TRUE(bytecode::cached(*code, native, static_cast<std::uint32_t>(number))) << number;
        for (std::uint32_t number = 0; number < 1024; ++number) {
            const auto action = bytecode::constant_action(*code, native, number);
            if (looks_at_arguments(number))
                EXPECT_FALSE(action) << number;
            else
                EXPECT_EQ(action, number == SYS_perf_event_open ? ask : allow) << number;
        }
    }
}

TEST(InterceptFilter, AsksAboutTheCommandsThatSessionsDo) {
    for (std::uint32_t command = 0; command < 4096; ++command) {
        const auto expected = wire::bpf_layout(command, {}) ? ask : allow;
        for (const std::uint32_t upper : {0U, 1U, ~0U}) {
            EXPECT_EQ(verdict(plain(), native, SYS_bpf, {command}, upper), expected) << command;
            // Two more arguments follow: asked about all the same, as no command of that kind may go by unseen.
            EXPECT_EQ(verdict(plain(), native, SYS_bpf, {command | common_attributes}, upper), expected) << command;
            // No command has any other bit.
            EXPECT_EQ(verdict(plain(), native, SYS_bpf, {command | 1U << 17}, upper), allow) << command;
        }
    }
    for (const std::uint32_t command : {BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_LINK_CREATE, BPF_OBJ_GET_INFO_BY_FD,
                                        BPF_BTF_LOAD, BPF_PROG_ATTACH, BPF_RAW_TRACEPOINT_OPEN})
        EXPECT_EQ(verdict(plain(), native, SYS_bpf, {command}), ask) << command;
}

TEST(InterceptFilter, LeavesElementsOfMapsAlone) {
    for (const std::uint32_t command : {BPF_MAP_LOOKUP_ELEM, BPF_MAP_DELETE_ELEM, BPF_MAP_GET_NEXT_KEY,
                                        BPF_MAP_LOOKUP_AND_DELETE_ELEM, BPF_MAP_LOOKUP_BATCH, BPF_MAP_UPDATE_BATCH}) {
        EXPECT_EQ(verdict(plain(), native, SYS_bpf, {command}), allow) << command;
        EXPECT_EQ(verdict(with_updates(), native, SYS_bpf, {command}), allow) << command;
    }
    EXPECT_EQ(verdict(plain(), native, SYS_bpf, {BPF_MAP_UPDATE_ELEM}), allow);
    EXPECT_EQ(verdict(with_updates(), native, SYS_bpf, {BPF_MAP_UPDATE_ELEM}), ask);
    for (std::uint32_t command = 0; command < 128; ++command) {
        if (command != BPF_MAP_UPDATE_ELEM) {
            EXPECT_EQ(verdict(plain(), native, SYS_bpf, {command}), verdict(with_updates(), native, SYS_bpf, {command}))
                << command;
        }
    }
}

TEST(InterceptFilter, AsksAboutTheRequestsThatNameProgramsAlone) {
    using Numbers = std::vector<std::uint32_t>;
    for (const auto request : Numbers{PERF_EVENT_IOC_SET_BPF, PERF_EVENT_IOC_QUERY_BPF, PERF_EVENT_IOC_ENABLE,
                                      PERF_EVENT_IOC_DISABLE, PERF_EVENT_IOC_ID}) {
        EXPECT_EQ(verdict(plain(), native, SYS_ioctl, {3, request}), ask) << request;
        EXPECT_EQ(verdict(plain(), native, SYS_ioctl, {request, 0, request}), allow) << request;
    }
    for (const auto request :
         Numbers{PERF_EVENT_IOC_REFRESH, PERF_EVENT_IOC_RESET, PERF_EVENT_IOC_PERIOD, TCGETS, FIONREAD, 0U, ~0U})
        EXPECT_EQ(verdict(plain(), native, SYS_ioctl, {3, request}), allow) << request;

    for (const auto option : Numbers{SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF}) {
        EXPECT_EQ(verdict(plain(), native, SYS_setsockopt, {3, SOL_SOCKET, option}), ask) << option;
        EXPECT_EQ(verdict(plain(), native, SYS_setsockopt, {3, IPPROTO_TCP, option}), allow) << option;
    }
    for (std::uint32_t option = 0; option < 100; ++option) {
        if (option != SO_ATTACH_BPF && option != SO_ATTACH_REUSEPORT_EBPF) {
            EXPECT_EQ(verdict(plain(), native, SYS_setsockopt, {3, SOL_SOCKET, option}), allow) << option;
        }
    }
}

// The same number is another call there: bpf(2) of i386 is 357, perf_event_open(2) 336.
TEST(InterceptFilter, KnowsOneArchitecture) {
    for (std::uint32_t number = 0; number < 600; ++number) {
        for (const std::uint32_t arch :
             {std::uint32_t{AUDIT_ARCH_I386}, std::uint32_t{AUDIT_ARCH_ARM}, 0U, ~0U, native - 1, native + 1})
            EXPECT_EQ(bytecode::constant_action(plain(), arch, number), none) << arch << " " << number;
    }
}

#if defined(__x86_64__)
TEST(InterceptFilter, RefusesX32) {
    constexpr std::uint32_t x32 = 0x40000000;
    for (const std::uint32_t number : {std::uint32_t{SYS_bpf}, std::uint32_t{SYS_getpid}, 0U, 512U, 547U})
        EXPECT_EQ(bytecode::constant_action(plain(), native, x32 | number), none) << number;
    for (const std::uint32_t number : {x32, 0x7fffffffU, 0x80000000U, ~0U - 1})
        EXPECT_EQ(bytecode::constant_action(plain(), native, number), none) << number;
    EXPECT_EQ(bytecode::constant_action(plain(), native, x32 - 1), allow);
}
#endif

// What a tracer writes for "no call".
TEST(InterceptFilter, AllowsNoCall) { EXPECT_EQ(verdict(plain(), native, ~0U), allow); }

}  // namespace
}  // namespace bpfwarden::intercept
