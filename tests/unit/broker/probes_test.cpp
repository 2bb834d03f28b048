// SPDX-License-Identifier: Apache-2.0
// The digests of libbpf's probes are those of what it loads, written out here as in its feature tests.
#include <gtest/gtest.h>

#include <algorithm>

#include "bytecode/relocate.hpp"
#include "grant/check.hpp"
#include "grant/facts.hpp"
#include "trust/digest.hpp"

namespace bpfwarden::grant {

namespace {

using Code = std::vector<bpf_insn>;

bpf_insn insn(int code, int dst = 0, int src = 0, int off = 0, int imm = 0) {
    return {.code = static_cast<__u8>(code),
            .dst_reg = static_cast<__u8>(dst & 15),
            .src_reg = static_cast<__u8>(src & 15),
            .off = static_cast<__s16>(off),
            .imm = imm};
}
bpf_insn call(int helper) { return insn(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
const bpf_insn zero = insn(BPF_ALU64 | BPF_MOV | BPF_K), leave = insn(BPF_JMP | BPF_EXIT);

const Code trivial{zero, leave},
    global_data{insn(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_VALUE, 0, 17), insn(0, 0, 0, 0, 16),
                insn(BPF_ST | BPF_MEM | BPF_DW, 1, 0, 0, 42), zero, leave},
    read_kernel{insn(BPF_ALU64 | BPF_MOV | BPF_X, 1, 10),
                insn(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, -8),
                insn(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, 8),
                insn(BPF_ALU64 | BPF_MOV | BPF_K, 3),
                call(BPF_FUNC_probe_read_kernel),
                leave},
    asked{call(BPF_FUNC_probe_read_kernel), leave}, coarse{call(BPF_FUNC_ktime_get_coarse_ns), leave},
    cookie{call(BPF_FUNC_get_attach_cookie), leave};

ProgLoad load_of(const char* type, const Code& code) {
    ProgLoad load{.type = type};
    const auto stream = bytecode::canonical(code);
    load.sha256 = trust::sha256(std::as_bytes(std::span(stream))).value();
    return load;
}
bool probe(const char* type, const Code& code) { return probe_of(load_of(type, code)) != nullptr; }
bool exempt_from_identity(const char* type, const Code& code) { return is_probe(load_of(type, code)); }

}  // namespace

TEST(Probes, AreKnownByTypeAndContent) {
    const std::pair<const char*, const Code*> all[] = {{"socket_filter", &trivial},
                                                       {"tracepoint", &trivial},
                                                       {"kprobe", &trivial},
                                                       {"socket_filter", &coarse},
                                                       {"socket_filter", &global_data},
                                                       {"tracepoint", &read_kernel},
                                                       {"cgroup_skb", &trivial},
                                                       {"kprobe", &asked},
                                                       {"kprobe", &cookie}};
    EXPECT_EQ(std::size(all), all_probe_facts().size());
    for (const auto& [type, code] : all) {
        EXPECT_TRUE(probe(type, *code)) << type << " of " << code->size();
        EXPECT_FALSE(probe("cgroup_sock", *code));
        EXPECT_FALSE(probe("xdp", *code));
        EXPECT_EQ(exempt_from_identity(type, *code), std::string_view(type) != "cgroup_skb");
        // Each instruction counts.
        for (std::size_t i = 0; i < code->size(); ++i) {
            auto other = *code;
            other[i].off = static_cast<__s16>(other[i].off + 1);
            EXPECT_FALSE(probe(type, other)) << i;
        }
    }
}

}  // namespace bpfwarden::grant
