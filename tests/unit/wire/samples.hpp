// SPDX-License-Identifier: Apache-2.0
// A call of every command that goes through a session, with every pointer and file descriptor that it can have.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "wire/bpf_call.hpp"

namespace bpfwarden::wire {

inline std::size_t open_fds() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& one : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
    return count;
}
inline UniqueFd some_file() { return UniqueFd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING)); }
inline bool same_file(int a, int b) {
    struct stat of_a{}, of_b{};
    return ::fstat(a, &of_a) == 0 && ::fstat(b, &of_b) == 0 && of_a.st_ino == of_b.st_ino && of_a.st_dev == of_b.st_dev;
}

struct Pair {
    Pair() {
        int ends[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        near = UniqueFd(ends[0]);
        far = UniqueFd(ends[1]);
    }
    UniqueFd near, far;
};

struct Sample {
    std::string name;
    std::uint32_t command = 0;
    bpf_attr attr{};
    BpfLayout layout;
    std::deque<std::vector<std::byte>> memory;  // what the attributes point to, by buffer
    std::deque<std::string> texts;
    std::vector<UniqueFd> fds;

    bpf_insn* instructions() {
        for (std::size_t i = 0; i < layout.buffers.size(); ++i)
            if (layout.buffers[i].holds == Buffer::Holds::instructions)
                return reinterpret_cast<bpf_insn*>(memory[i].data());
        return nullptr;
    }
    int new_fd() {
        fds.push_back(some_file());
        return fds.back().get();
    }
    template <class T>
    void set(std::uint16_t offset, T value) {
        std::memcpy(reinterpret_cast<std::byte*>(&attr) + offset, &value, sizeof value);
    }
    template <class T>
    T get(std::uint16_t offset) const {
        T value;
        std::memcpy(&value, reinterpret_cast<const std::byte*>(&attr) + offset, sizeof value);
        return value;
    }
};

// Puts memory and files where the layout of the attributes as they are has pointers and fds.
inline void complete(Sample& sample) {
    sample.layout = bpf_layout(sample.command, sample.attr).value();
    std::uint8_t next = 1;
    for (const auto& buffer : sample.layout.buffers) {
        auto& memory = sample.memory.emplace_back();
        switch (buffer.holds) {
            case Buffer::Holds::texts:
                for (std::uint64_t i = 0; i < buffer.length; ++i) {
                    const char* text = sample.texts.emplace_back("function_" + std::to_string(i)).c_str();
                    const auto bytes = std::as_bytes(std::span(&text, 1));
                    memory.insert(memory.end(), bytes.begin(), bytes.end());
                }
                break;
            case Buffer::Holds::text:
                for (const char c : std::string_view("GPL\0", 4)) memory.push_back(static_cast<std::byte>(c));
                break;
            case Buffer::Holds::fds: {
                const int array[] = {0, sample.new_fd(), sample.new_fd()};
                const auto bytes = std::as_bytes(std::span(array));
                memory.assign(bytes.begin(), bytes.end());
                break;
            }
            case Buffer::Holds::bytes:
            case Buffer::Holds::instructions:
                memory.resize(buffer.length);
                if (buffer.holds == Buffer::Holds::bytes && buffer.in)
                    for (auto& byte : memory) byte = static_cast<std::byte>(next++);
        }
        if (!memory.empty()) sample.set(buffer.pointer, reinterpret_cast<std::uint64_t>(memory.data()));
    }
    for (const auto& field : sample.layout.fds) sample.set(field.offset, sample.new_fd());
}

inline std::deque<Sample> every_call() {
    std::deque<Sample> all;  // which does not move them
    const auto add = [&](std::string name, std::uint32_t command, auto fill) {
        auto& sample = all.emplace_back();
        sample.name = std::move(name);
        sample.command = command;
        fill(sample.attr);
        complete(sample);
    };
    add("map_create", BPF_MAP_CREATE, [](bpf_attr& a) {
        a.map_type = BPF_MAP_TYPE_HASH_OF_MAPS;
        a.max_entries = 77;
        std::memcpy(a.map_name, "sample", 7);
        a.map_flags = 1U << 15;  // BPF_F_VTYPE_BTF_OBJ_FD
    });
    add("prog_load", BPF_PROG_LOAD, [](bpf_attr& a) {
        a.prog_type = BPF_PROG_TYPE_TRACING;
        a.insn_cnt = 9;
        a.func_info_rec_size = 8;
        a.func_info_cnt = 3;
        a.line_info_rec_size = 16;
        a.line_info_cnt = 5;
        a.core_relo_rec_size = 16;
        a.core_relo_cnt = 2;
        a.log_level = 1;
        a.log_size = 4096;
    });
    {
        // Every way in which an instruction names a file descriptor, or one of the array.
        auto& sample = all.back();
        auto* insns = sample.instructions();
        constexpr std::uint8_t wide = BPF_LD | BPF_IMM | BPF_DW;
        insns[0] = {.code = wide, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .off = 0, .imm = sample.new_fd()};
        insns[2] = {.code = wide, .dst_reg = 2, .src_reg = BPF_PSEUDO_MAP_VALUE, .off = 0, .imm = sample.new_fd()};
        insns[3].imm = 44;
        insns[4] = {.code = wide, .dst_reg = 3, .src_reg = BPF_PSEUDO_MAP_IDX, .off = 0, .imm = 1};
        insns[6] = {.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = BPF_PSEUDO_KFUNC_CALL, .off = 2, .imm = 1234};
        insns[7] = {.code = wide, .dst_reg = 4, .src_reg = BPF_PSEUDO_BTF_ID, .off = 0, .imm = 99};
        insns[8].imm = sample.new_fd();
    }
    add("btf_load", BPF_BTF_LOAD, [](bpf_attr& a) {
        a.btf_size = 300;
        a.btf_log_level = 2;
        a.btf_log_size = 500;
    });
    const auto link = [&](const char* name, std::uint32_t type, auto fill) {
        add(std::string("link_create ") + name, BPF_LINK_CREATE, [&](bpf_attr& a) {
            a.link_create.attach_type = type;
            fill(a);
        });
    };
    link("cgroup", BPF_CGROUP_INET_INGRESS, [](bpf_attr&) {});
    link("cgroup before", BPF_CGROUP_INET_EGRESS, [](bpf_attr& a) { a.link_create.flags = BPF_F_BEFORE; });
    link("xdp", BPF_XDP, [](bpf_attr& a) { a.link_create.target_ifindex = 3; });
    link("tcx after", BPF_TCX_INGRESS, [](bpf_attr& a) {
        a.link_create.target_ifindex = 3;
        a.link_create.flags = BPF_F_AFTER;
        a.link_create.tcx.expected_revision = 5;
    });
    link("tcx by id", BPF_TCX_EGRESS, [](bpf_attr& a) {
        a.link_create.flags = BPF_F_AFTER | BPF_F_ID;
        a.link_create.tcx.relative_id = 12;
    });
    link("perf event", BPF_PERF_EVENT, [](bpf_attr& a) { a.link_create.perf_event.bpf_cookie = 0x123456789AB; });
    link("struct_ops", BPF_STRUCT_OPS, [](bpf_attr&) {});
    link("fentry", BPF_TRACE_FENTRY, [](bpf_attr& a) { a.link_create.target_btf_id = 5; });
    link("ext", 0, [](bpf_attr& a) { a.link_create.target_btf_id = 5; });
    link("iterator", BPF_TRACE_ITER, [](bpf_attr& a) { a.link_create.iter_info_len = 16; });
    link("netfilter", BPF_NETFILTER, [](bpf_attr& a) { a.link_create.netfilter.pf = 2; });
    link("kprobe_multi", BPF_TRACE_KPROBE_MULTI, [](bpf_attr& a) { a.link_create.kprobe_multi.cnt = 4; });
    link("uprobe_multi", BPF_TRACE_UPROBE_MULTI, [](bpf_attr& a) {
        a.link_create.uprobe_multi.cnt = 3;
        a.link_create.uprobe_multi.pid = 17;
    });
    add("link_update", BPF_LINK_UPDATE, [](bpf_attr& a) { a.link_update.flags = BPF_F_REPLACE; });
    add("link_detach", BPF_LINK_DETACH, [](bpf_attr&) {});
    add("iter_create", BPF_ITER_CREATE, [](bpf_attr&) {});
    add("prog_bind_map", BPF_PROG_BIND_MAP, [](bpf_attr&) {});
    add("prog_attach", BPF_PROG_ATTACH, [](bpf_attr& a) {
        a.attach_type = BPF_CGROUP_DEVICE;
        a.attach_flags = BPF_F_REPLACE;
    });
    add("prog_attach tcx", BPF_PROG_ATTACH, [](bpf_attr& a) {
        a.attach_type = BPF_TCX_INGRESS;
        a.target_ifindex = 3;
        a.attach_flags = BPF_F_BEFORE;
    });
    add("prog_detach", BPF_PROG_DETACH, [](bpf_attr& a) { a.attach_type = BPF_CGROUP_SOCK_OPS; });
    add("prog_run", BPF_PROG_TEST_RUN, [](bpf_attr& a) {
        a.test.data_size_in = 60;
        a.test.data_size_out = 80;
        a.test.ctx_size_in = 24;
        a.test.ctx_size_out = 24;
        a.test.repeat = 3;
    });
    add("prog_query", BPF_PROG_QUERY, [](bpf_attr& a) {
        a.query.attach_type = BPF_CGROUP_DEVICE;
        a.query.prog_cnt = 6;
    });
    add("raw_tracepoint_open", BPF_RAW_TRACEPOINT_OPEN, [](bpf_attr& a) { a.raw_tracepoint.cookie = 8; });
    add("map_freeze", BPF_MAP_FREEZE, [](bpf_attr&) {});
    add("obj_get_info_by_fd", BPF_OBJ_GET_INFO_BY_FD, [](bpf_attr& a) { a.info.info_len = 100; });
    for (const auto& [name, command] :
         std::initializer_list<std::pair<const char*, std::uint32_t>>{{"prog_get_next_id", BPF_PROG_GET_NEXT_ID},
                                                                      {"map_get_next_id", BPF_MAP_GET_NEXT_ID},
                                                                      {"link_get_next_id", BPF_LINK_GET_NEXT_ID},
                                                                      {"prog_get_fd_by_id", BPF_PROG_GET_FD_BY_ID},
                                                                      {"map_get_fd_by_id", BPF_MAP_GET_FD_BY_ID},
                                                                      {"link_get_fd_by_id", BPF_LINK_GET_FD_BY_ID}})
        add(name, command, [](bpf_attr& a) { a.start_id = 33; });
    return all;
}

// What the client makes of it, as the broker gets it.
inline Message sent(const BpfRequest& request, Receiver& receiver) {
    Pair pair;
    EXPECT_TRUE(send(pair.near, Type::bpf, 1, request.body(), request.fds()).has_value());
    auto message = receiver.receive(pair.far);
    EXPECT_TRUE(message.has_value() && message->has_value());
    return std::move(**message);
}

}  // namespace bpfwarden::wire
