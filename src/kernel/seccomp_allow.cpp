// SPDX-License-Identifier: Apache-2.0
#include "kernel/seccomp_allow.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#include "kernel/seccomp_filter.hpp"

namespace bpfwarden::kernel {

Result<> allow_only(std::span<const AllowedCall> calls) {
    if (calls.size() > 100) return fail(Code::usage, "too many system calls for one filter");
    const auto load = [](std::size_t offset) {
        return sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
    };
    constexpr std::uint32_t deny = SECCOMP_RET_ERRNO | EPERM;
    std::vector<sock_filter> code{
        load(offsetof(seccomp_data, arch)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, native_architecture, 1, 0),
        // i386's numbers mean other calls. x32 has native's arch; its numbers are in no list.
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), load(offsetof(seccomp_data, nr))};
    for (const auto& call : calls) {
        if (call.argument > 5) {
            code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.number, 0, 1));
            code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
            continue;
        }
        // Not this call: past the five that look at the argument. This call, but not this argument: the number again.
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.number, 0, 5));
        code.push_back(load(offsetof(seccomp_data, args) + call.argument * 8));
        code.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, call.mask));
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.value, 0, 1));
        code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        code.push_back(load(offsetof(seccomp_data, nr)));
    }
    code.push_back(BPF_STMT(BPF_RET | BPF_K, deny));
    BW_TRY(install_filter(code));
    return {};
}

}  // namespace bpfwarden::kernel
