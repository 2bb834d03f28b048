// SPDX-License-Identifier: Apache-2.0
// One minimal, valid attempt for each map and program type, so that "refused" can only be for lack of a right.
#pragma once

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string_view>

namespace bpfwarden::test {

// BPF_F_TOKEN_FD; spelled out because older uapi headers lack it.
inline constexpr std::uint32_t token_flag = 1U << 16;
// A uapi fact that the build machine's headers may not have yet.
inline constexpr std::uint32_t arena_flags = (1U << 10) /* BPF_F_MMAPABLE */;

// A BTF blob with an int and a struct holding a bpf_spin_lock: what storage maps ask for.
inline btf* small_btf() {
    static btf* made = [] {
        btf* b = ::btf__new_empty();
        ::btf__add_int(b, "int", 4, BTF_INT_SIGNED);  // 1
        ::btf__add_struct(b, "value", 4);             // 2
        ::btf__add_field(b, "number", 1, 0, 0);
        return b;
    }();
    return made;
}

inline int load_small_btf(int token) {
    std::uint32_t size = 0;
    const void* raw = ::btf__raw_data(small_btf(), &size);
    LIBBPF_OPTS(bpf_btf_load_opts, opts);
    if (token >= 0) {
        opts.token_fd = static_cast<std::uint32_t>(token);
        opts.btf_flags = token_flag;
    }
    return ::bpf_btf_load(raw, size, &opts);
}

// Creates a map of `type` through `token` (-1: without one). 0, or a negative errno.
// `setup_token` is for what the map needs besides itself (BTF, an inner map): it must not be what is under test.
inline int try_map(std::string_view type_name, std::uint32_t type, int token, int setup_token) {
    LIBBPF_OPTS(bpf_map_create_opts, opts);
    std::uint32_t key = 4, value = 4, entries = 1;
    int inner = -1, btf_fd = -1;
    const auto wants = [&](std::string_view part) { return type_name.find(part) != std::string_view::npos; };

    if (wants("storage") && !wants("cgroup_storage")) {
        btf_fd = load_small_btf(setup_token);
        opts.btf_fd = static_cast<std::uint32_t>(btf_fd);
        opts.btf_key_type_id = 1;
        opts.btf_value_type_id = 2;
        opts.map_flags = BPF_F_NO_PREALLOC;
        entries = 0;
    } else if (wants("cgroup_storage")) {
        key = 16;  // struct bpf_cgroup_storage_key
        value = 8;
        entries = 0;
    } else if (wants("of_maps")) {
        LIBBPF_OPTS(bpf_map_create_opts, inner_opts);
        if (setup_token >= 0) {
            inner_opts.token_fd = static_cast<std::uint32_t>(setup_token);
            inner_opts.map_flags = token_flag;
        }
        inner = ::bpf_map_create(BPF_MAP_TYPE_ARRAY, "inner", 4, 4, 1, &inner_opts);
        opts.inner_map_fd = static_cast<std::uint32_t>(inner);
    } else if (wants("lpm_trie")) {
        key = 8;
        opts.map_flags = BPF_F_NO_PREALLOC;
    } else if (wants("queue") || type_name == "stack") {
        key = 0;
    } else if (wants("bloom")) {
        key = 0;
    } else if (wants("ringbuf")) {
        key = value = 0;
        entries = static_cast<std::uint32_t>(::getpagesize());
    } else if (wants("stack_trace")) {
        value = 8;
    } else if (type_name == "arena") {
        key = value = 0;
        opts.map_flags = arena_flags;
    } else if (type_name == "insn_array") {
        value = 16;  // struct bpf_insn_array_value
    } else if (type_name == "rhash") {
        opts.map_flags = BPF_F_NO_PREALLOC;
    }
    if (token >= 0) {
        opts.token_fd = static_cast<std::uint32_t>(token);
        opts.map_flags |= token_flag;
    }
    const int fd = ::bpf_map_create(static_cast<bpf_map_type>(type), "attempt", key, value, entries, &opts);
    const int err = fd < 0 ? -errno : 0;
    for (const int used : {fd, inner, btf_fd})
        if (used >= 0) ::close(used);
    return err;
}

// Loads "return 0" as a program of `type` with `attach_type` through `token`. 0, or a negative errno.
inline int try_program(std::uint32_t type, std::uint32_t attach_type, int token, std::uint32_t attach_btf_id = 0,
                       int result = 0) {
    const bpf_insn code[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = result},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    LIBBPF_OPTS(bpf_prog_load_opts, opts);
    opts.expected_attach_type = static_cast<bpf_attach_type>(attach_type);
    opts.attach_btf_id = attach_btf_id;
    if (type == 31 /* BPF_PROG_TYPE_SYSCALL, which only exists sleepable */) opts.prog_flags |= BPF_F_SLEEPABLE;
    if (token >= 0) {
        opts.token_fd = static_cast<std::uint32_t>(token);
        opts.prog_flags |= token_flag;
    }
    const int fd = ::bpf_prog_load(static_cast<bpf_prog_type>(type), "attempt", "GPL", code, 2, &opts);
    const int err = fd < 0 ? -errno : 0;
    if (fd >= 0) ::close(fd);
    return err;
}

}  // namespace bpfwarden::test
