// SPDX-License-Identifier: Apache-2.0
#include "vm/guard_programs.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <sys/klog.h>

#include <cerrno>
#include <cstring>
#include <span>

namespace bpfwarden::test {

static bpf_insn insn(int code, int to, int from, int offset, int value) {
    bpf_insn made{};
    made.code = static_cast<__u8>(code);
    made.dst_reg = static_cast<__u8>(to & 15);
    made.src_reg = static_cast<__u8>(from & 15);
    made.off = static_cast<__s16>(offset);
    made.imm = value;
    return made;
}
static bpf_insn move(int to, int value) { return insn(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
static bpf_insn end() { return insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

static UniqueFd load(bpf_prog_type type, bpf_attach_type attach, const std::string& target,
                     std::span<const bpf_insn> code) {
    char log[4096] = {};
    LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach,
                .prog_flags = type == BPF_PROG_TYPE_SYSCALL ? BPF_F_SLEEPABLE : 0U, .log_level = 1,
                .log_size = sizeof log, .log_buf = log);
    if (!target.empty()) {
        const int id = ::libbpf_find_vmlinux_btf_id(target.c_str(), attach);
        EXPECT_GT(id, 0) << target;
        options.attach_btf_id = static_cast<__u32>(id);
    }
    UniqueFd made(::bpf_prog_load(type, "others", "GPL", code.data(), code.size(), &options));
    EXPECT_TRUE(made) << std::strerror(errno) << "\n" << log;
    return made;
}

UniqueFd permit_program(bpf_prog_type type, bpf_attach_type attach, const std::string& target) {
    const bool zero = type == BPF_PROG_TYPE_TRACING || (type == BPF_PROG_TYPE_LSM && attach == BPF_LSM_MAC);
    const bpf_insn code[] = {move(BPF_REG_0, type == BPF_PROG_TYPE_XDP ? int{XDP_PASS} : int{!zero}), end()};
    return load(type, attach, target, code);
}

RefusesSyslog RefusesSyslog::make() {
    RefusesSyslog made;
    made.map = UniqueFd(::bpf_map_create(BPF_MAP_TYPE_ARRAY, "others", 4, 4, 1, nullptr));
    const __u32 zero = 0, one = 1;
    EXPECT_EQ(::bpf_map_update_elem(made.map.get(), &zero, &one, BPF_ANY), 0);
    const bpf_insn code[] = {
        insn(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0),
        insn(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0),
        insn(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),
        insn(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, made.map.get()),
        insn(0, 0, 0, 0, 0),
        insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
        insn(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 4, 0),
        insn(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_0, 0, 0),
        insn(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, 2, 0),
        move(BPF_REG_0, -EPERM),
        end(),
        move(BPF_REG_0, 0),
        end(),
    };
    made.program = load(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "syslog", code);
    made.link = UniqueFd(::bpf_raw_tracepoint_open(nullptr, made.program.get()));
    EXPECT_TRUE(made.link) << std::strerror(errno);
    return made;
}

bool syslog_refused() {
    constexpr int size_of_the_buffer = 10;
    return ::klogctl(size_of_the_buffer, nullptr, 0) < 0 && errno == EPERM;
}

}  // namespace bpfwarden::test
