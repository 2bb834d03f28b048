// SPDX-License-Identifier: Apache-2.0
// bpf(2) and its kin as a program calls them that knows nothing of sessions.
#pragma once

#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace bpfwarden::test::raw {

// "ok" or the error's name, at once: before anything else changes errno.
inline std::string word(long result) { return result >= 0 ? "ok" : ::strerrorname_np(errno); }

inline std::uint64_t address(const void* at) { return reinterpret_cast<std::uint64_t>(at); }

inline long sys_bpf(unsigned command, bpf_attr& attr, std::size_t size = sizeof(bpf_attr)) {
    return ::syscall(SYS_bpf, command, &attr, size);
}

inline int create_map(std::uint32_t type = BPF_MAP_TYPE_ARRAY, std::uint32_t entries = 1, std::uint32_t value = 8) {
    bpf_attr attr{};
    attr.map_type = type;
    attr.key_size = 4;
    attr.value_size = value;
    attr.max_entries = entries;
    return static_cast<int>(sys_bpf(BPF_MAP_CREATE, attr));
}

inline bpf_insn insn(int code, int dst, int src, int off, int imm) {
    return {.code = static_cast<__u8>(code),
            .dst_reg = static_cast<__u8>(dst & 15),
            .src_reg = static_cast<__u8>(src & 15),
            .off = static_cast<__s16>(off),
            .imm = imm};
}
using Code = std::vector<bpf_insn>;
inline Code return_value(int value) {
    return {insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, value), insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)};
}
// Adds one to the first element of an array map.
inline Code count_in(int map) {
    return {insn(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0),
            insn(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0),
            insn(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4),
            insn(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, map),
            insn(0, 0, 0, 0, 0),
            insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
            insn(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2, 0),
            insn(BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, 1),
            insn(BPF_STX | BPF_ATOMIC | BPF_DW, 0, 1, 0, BPF_ADD),
            insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),
            insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)};
}

// The attributes of a load; `code` must live as long.
inline bpf_attr load_of(std::uint32_t type, const Code& code) {
    bpf_attr attr{};
    attr.prog_type = type;
    attr.insns = address(code.data());
    attr.insn_cnt = static_cast<std::uint32_t>(code.size());
    attr.license = address("GPL");
    std::strcpy(attr.prog_name, "test");
    return attr;
}
inline int load(std::uint32_t type = BPF_PROG_TYPE_SOCKET_FILTER, const Code& code = return_value(0)) {
    auto attr = load_of(type, code);
    return static_cast<int>(sys_bpf(BPF_PROG_LOAD, attr));
}

// -1 with errno, or `what` filled in.
template <class Info>
long info_of(int object, Info& what) {
    bpf_attr attr{};
    attr.info.bpf_fd = static_cast<__u32>(object);
    attr.info.info_len = sizeof what;
    attr.info.info = address(&what);
    return sys_bpf(BPF_OBJ_GET_INFO_BY_FD, attr, sizeof attr.info);
}
inline bpf_map_info map_info(int map) {
    bpf_map_info info{};
    (void)info_of(map, info);
    return info;
}
inline bpf_prog_info program_info(int program) {
    bpf_prog_info info{};
    (void)info_of(program, info);
    return info;
}

inline std::uint64_t first_element(int map) {
    std::uint32_t key = 0;
    std::uint64_t value = ~std::uint64_t{0};
    bpf_attr attr{};
    attr.map_fd = static_cast<__u32>(map);
    attr.key = address(&key);
    attr.value = address(&value);
    (void)sys_bpf(BPF_MAP_LOOKUP_ELEM, attr);
    return value;
}

inline int link(int program, int target, std::uint32_t attach_type) {
    bpf_attr attr{};
    attr.link_create.prog_fd = static_cast<__u32>(program);
    attr.link_create.target_fd = static_cast<__u32>(target);
    attr.link_create.attach_type = attach_type;
    return static_cast<int>(sys_bpf(BPF_LINK_CREATE, attr));
}

// BPF_{PROG,MAP,LINK}_GET_NEXT_ID until there is none; "EPERM" where it is not allowed at all.
struct Ids {
    std::vector<std::uint32_t> all;
    std::string end;
};
inline Ids ids(unsigned command) {
    Ids found;
    bpf_attr attr{};
    for (std::uint32_t after = 0;; after = found.all.back()) {
        attr.start_id = after;
        if (sys_bpf(command, attr) != 0) {
            found.end = ::strerrorname_np(errno);
            return found;
        }
        found.all.push_back(attr.next_id);
    }
}
inline int by_id(unsigned command, std::uint32_t id) {
    bpf_attr attr{};
    attr.prog_id = id;
    return static_cast<int>(sys_bpf(command, attr));
}

}  // namespace bpfwarden::test::raw
