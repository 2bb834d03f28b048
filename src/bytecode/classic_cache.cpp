// SPDX-License-Identifier: Apache-2.0
#include <linux/audit.h>
#include <linux/seccomp.h>

#include <algorithm>

#include "bytecode/classic.hpp"

namespace bpfwarden::bytecode {

using namespace classic;

std::optional<std::uint32_t> constant_action(Classic program, std::uint32_t arch, std::uint32_t nr) {
    std::uint32_t a = 0;
    for (std::size_t at = 0; at < program.size(); ++at) {
        const auto& insn = program[at];
        switch (insn.code) {
            case load_word:
                if (insn.k == nr_offset)
                    a = nr;
                else if (insn.k == arch_offset)
                    a = arch;
                else
                    return std::nullopt;
                break;
            case return_constant:
                return insn.k;
            case jump:
                at += insn.k;
                break;
            case jump_equal:
                at += a == insn.k ? insn.jt : insn.jf;
                break;
            case jump_not_less:
                at += a >= insn.k ? insn.jt : insn.jf;
                break;
            case jump_greater:
                at += a > insn.k ? insn.jt : insn.jf;
                break;
            case jump_any_bit:
                at += (a & insn.k) != 0 ? insn.jt : insn.jf;
                break;
            case BPF_ALU | BPF_AND | BPF_K:
                a &= insn.k;
                break;
            default:
                return std::nullopt;
        }
    }
    return std::nullopt;
}

bool has_cache_bit(std::uint32_t arch, std::uint32_t nr) {
    // Where a kernel has one, its table ends somewhat above 470 (7.2): each has bits for its own numbers only, and
    // numbers are given out one by one. From 512 on are those that only x32 has.
    constexpr std::uint32_t archs[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM};
    return nr < 512 && std::ranges::find(archs, arch) != std::end(archs);
}

bool cached(Classic program, std::uint32_t arch, std::uint32_t nr) {
    return has_cache_bit(arch, nr) && constant_action(program, arch, nr) == SECCOMP_RET_ALLOW;
}

}  // namespace bpfwarden::bytecode
