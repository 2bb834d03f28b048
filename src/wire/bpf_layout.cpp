// SPDX-License-Identifier: Apache-2.0
#include "wire/bpf_layout.hpp"

#include <algorithm>
#include <cstring>

namespace bpfwarden::wire {

#define AT(field) static_cast<std::uint16_t>(offsetof(bpf_attr, field))
#define END(field) \
    static_cast<std::uint32_t>(offsetof(bpf_attr, field) + sizeof(static_cast<bpf_attr*>(nullptr)->field))

namespace {

// What the kernel takes of a licence or a tracepoint's name, with its NUL: of a longer one it would see another name
// than was checked.
constexpr std::uint64_t longest_name = 128;
constexpr std::uint64_t longest_path = 4096;

using Holds = Buffer::Holds;

// As a number: the installed header may be older.
constexpr std::uint32_t vtype_btf_obj_fd = 1U << 15;

Buffer input(std::uint16_t pointer, std::uint64_t length, Holds holds = Holds::bytes) {
    return {.pointer = pointer, .holds = holds, .length = length};
}
Buffer output(std::uint16_t pointer, std::uint64_t length, std::uint16_t used_at = 0, std::uint16_t unit = 1) {
    return {.pointer = pointer, .in = false, .out = true, .length = length, .used_at = used_at, .used_unit = unit};
}

BpfLayout map_create(const bpf_attr& attr) {
    BpfLayout layout{.size = END(map_token_fd), .fds = {}, .buffers = {}, .results = {}};
    if (attr.map_type == BPF_MAP_TYPE_ARRAY_OF_MAPS || attr.map_type == BPF_MAP_TYPE_HASH_OF_MAPS)
        layout.fds.add({AT(inner_map_fd), FdKind::map, false});
    layout.fds.add({AT(btf_fd), FdKind::btf, true});
    // struct_ops of a module: its BTF (6.9).
    if ((attr.map_flags & vtype_btf_obj_fd) != 0) layout.fds.add({AT(value_type_btf_obj_fd), FdKind::btf, false});
    return layout;
}

BpfLayout prog_load(const bpf_attr& attr) {
    BpfLayout layout{.size = END(prog_token_fd), .fds = {}, .buffers = {}, .results = {}};
    layout.fds.add({AT(prog_btf_fd), FdKind::btf, true});
    layout.fds.add({AT(attach_prog_fd), FdKind::any, true});
    layout.buffers.add(input(AT(insns), std::uint64_t{attr.insn_cnt} * sizeof(bpf_insn), Holds::instructions));
    layout.buffers.add(input(AT(license), longest_name, Holds::text));
    layout.buffers.add(input(AT(func_info), std::uint64_t{attr.func_info_rec_size} * attr.func_info_cnt));
    layout.buffers.add(input(AT(line_info), std::uint64_t{attr.line_info_rec_size} * attr.line_info_cnt));
    layout.buffers.add(input(AT(core_relos), std::uint64_t{attr.core_relo_rec_size} * attr.core_relo_cnt));
    // How long it is, only the instructions say.
    layout.buffers.add(input(AT(fd_array), 0, Holds::fds));
    // Also with log_level 0, which the kernel refuses: no address of another process is left in the attributes.
    layout.buffers.add(output(AT(log_buf), attr.log_size));
    layout.results.add({AT(log_true_size), 4});
    return layout;
}

BpfLayout btf_load(const bpf_attr& attr) {
    BpfLayout layout{.size = END(btf_token_fd), .fds = {}, .buffers = {}, .results = {}};
    layout.buffers.add(input(AT(btf), attr.btf_size));
    layout.buffers.add(output(AT(btf_log_buf), attr.btf_log_size));
    layout.results.add({AT(btf_log_true_size), 4});
    return layout;
}

bool by_interface(std::uint32_t attach_type) {
    return attach_type == BPF_XDP || attach_type == BPF_TCX_INGRESS || attach_type == BPF_TCX_EGRESS ||
           attach_type == BPF_NETKIT_PRIMARY || attach_type == BPF_NETKIT_PEER;
}
// 6.12 and 6.14; the installed header may not have them.
constexpr std::uint32_t trace_kprobe_session = 56, trace_uprobe_session = 57;
// What newer types have in their attributes is not known here, and may be pointers.
constexpr std::uint32_t newest_attach_type = trace_uprobe_session;

BpfLayout link_create(const bpf_attr& attr) {
    BpfLayout layout{.size = END(link_create), .fds = {}, .buffers = {}, .results = {}};
    const std::uint32_t type = attr.link_create.attach_type;
    layout.fds.add({AT(link_create.prog_fd), type == BPF_STRUCT_OPS ? FdKind::map : FdKind::program, false});
    const bool no_target = type == BPF_TRACE_KPROBE_MULTI || type == BPF_TRACE_UPROBE_MULTI || type == BPF_NETFILTER ||
                           type == trace_kprobe_session || type == trace_uprobe_session || type == BPF_TRACE_ITER ||
                           type == BPF_STRUCT_OPS || type == BPF_TRACE_RAW_TP || type == BPF_LSM_MAC;
    if (!by_interface(type) && !no_target)
        layout.fds.add({AT(link_create.target_fd), FdKind::attach_target, type >= BPF_TRACE_FENTRY});
    // relative_fd (tcx and netkit; control groups from 6.17 on) is left a number, which means nothing here: the broker
    // sets no order among programs.
    if (type == BPF_TRACE_ITER) {
        layout.buffers.add(input(AT(link_create.iter_info), attr.link_create.iter_info_len));
    } else if (type == BPF_TRACE_KPROBE_MULTI || type == trace_kprobe_session) {
        const std::uint64_t count = attr.link_create.kprobe_multi.cnt;
        layout.buffers.add(input(AT(link_create.kprobe_multi.syms), count, Holds::texts));
        layout.buffers.add(input(AT(link_create.kprobe_multi.addrs), count * 8));
        layout.buffers.add(input(AT(link_create.kprobe_multi.cookies), count * 8));
    } else if (type == BPF_TRACE_UPROBE_MULTI || type == trace_uprobe_session) {
        const std::uint64_t count = attr.link_create.uprobe_multi.cnt;
        layout.buffers.add(input(AT(link_create.uprobe_multi.path), longest_path, Holds::text));
        layout.buffers.add(input(AT(link_create.uprobe_multi.offsets), count * 8));
        layout.buffers.add(input(AT(link_create.uprobe_multi.ref_ctr_offsets), count * 8));
        layout.buffers.add(input(AT(link_create.uprobe_multi.cookies), count * 8));
    }
    return layout;
}

BpfLayout prog_attach(const bpf_attr& attr) {
    BpfLayout layout{.size = END(expected_revision), .fds = {}, .buffers = {}, .results = {}};
    if (!by_interface(attr.attach_type)) layout.fds.add({AT(target_fd), FdKind::attach_target, false});
    layout.fds.add({AT(attach_bpf_fd), FdKind::program, true});
    if ((attr.attach_flags & BPF_F_REPLACE) != 0) layout.fds.add({AT(replace_bpf_fd), FdKind::program, false});
    return layout;
}

BpfLayout prog_run(const bpf_attr& attr) {
    BpfLayout layout{.size = END(test.batch_size), .fds = {}, .buffers = {}, .results = {}};
    layout.fds.add({AT(test.prog_fd), FdKind::program, false});
    layout.buffers.add(input(AT(test.data_in), attr.test.data_size_in));
    layout.buffers.add(input(AT(test.ctx_in), attr.test.ctx_size_in));
    layout.buffers.add(output(AT(test.data_out), attr.test.data_size_out, AT(test.data_size_out)));
    layout.buffers.add(output(AT(test.ctx_out), attr.test.ctx_size_out, AT(test.ctx_size_out)));
    layout.results.add({AT(test.retval), 4});
    layout.results.add({AT(test.duration), 4});
    layout.results.add({AT(test.data_size_out), 4});
    layout.results.add({AT(test.ctx_size_out), 4});
    return layout;
}

BpfLayout prog_query(const bpf_attr& attr) {
    BpfLayout layout{.size = END(query), .fds = {}, .buffers = {}, .results = {}};
    if (!by_interface(attr.query.attach_type)) layout.fds.add({AT(query.target_fd), FdKind::attach_target, false});
    const std::uint64_t bytes = std::uint64_t{attr.query.prog_cnt} * 4;
    for (const std::uint16_t list :
         {AT(query.prog_ids), AT(query.prog_attach_flags), AT(query.link_ids), AT(query.link_attach_flags)})
        layout.buffers.add(output(list, bytes, AT(query.prog_cnt), 4));
    layout.results.add({AT(query.attach_flags), 4});
    layout.results.add({AT(query.prog_cnt), 4});
    layout.results.add({AT(query.revision), 8});
    return layout;
}

BpfLayout with_fds(std::uint32_t size, std::initializer_list<FdField> fields) {
    BpfLayout layout{.size = size, .fds = {}, .buffers = {}, .results = {}};
    for (const auto& field : fields) layout.fds.add(field);
    return layout;
}

}  // namespace

std::optional<BpfLayout> bpf_layout(std::uint32_t command, const bpf_attr& attr) {
    switch (command) {
        case BPF_MAP_CREATE:
            return map_create(attr);
        case BPF_PROG_LOAD:
            return prog_load(attr);
        case BPF_BTF_LOAD:
            return btf_load(attr);
        case BPF_LINK_CREATE:
            if (attr.link_create.attach_type > newest_attach_type) return std::nullopt;
            return link_create(attr);
        case BPF_LINK_UPDATE: {
            auto layout = with_fds(END(link_update), {{AT(link_update.link_fd), FdKind::link, false},
                                                      {AT(link_update.new_prog_fd), FdKind::program, false}});
            if ((attr.link_update.flags & BPF_F_REPLACE) != 0)
                layout.fds.add({AT(link_update.old_prog_fd), FdKind::program, false});
            return layout;
        }
        case BPF_LINK_DETACH:
            return with_fds(END(link_detach), {{AT(link_detach.link_fd), FdKind::link, false}});
        case BPF_ITER_CREATE:
            return with_fds(END(iter_create), {{AT(iter_create.link_fd), FdKind::link, false}});
        case BPF_PROG_BIND_MAP:
            return with_fds(END(prog_bind_map), {{AT(prog_bind_map.prog_fd), FdKind::program, false},
                                                 {AT(prog_bind_map.map_fd), FdKind::map, false}});
        case BPF_PROG_ATTACH:
        case BPF_PROG_DETACH:
            return prog_attach(attr);
        case BPF_PROG_TEST_RUN:
            return prog_run(attr);
        case BPF_PROG_QUERY:
            return prog_query(attr);
        case BPF_RAW_TRACEPOINT_OPEN: {
            auto layout = with_fds(END(raw_tracepoint), {{AT(raw_tracepoint.prog_fd), FdKind::program, false}});
            layout.buffers.add(input(AT(raw_tracepoint.name), longest_name, Holds::text));
            return layout;
        }
        case BPF_MAP_FREEZE:
            // Before 6.5 it asks for CAP_BPF, and libbpf freezes every .rodata.
            return with_fds(END(map_fd), {{AT(map_fd), FdKind::map, false}});
        case BPF_OBJ_GET_INFO_BY_FD: {
            auto layout = with_fds(END(info), {{AT(info.bpf_fd), FdKind::any, false}});
            // Out only: the addresses that a caller may put into it mean nothing in another process.
            layout.buffers.add(output(AT(info.info), attr.info.info_len, AT(info.info_len)));
            layout.results.add({AT(info.info_len), 4});
            return layout;
        }
        case BPF_PROG_GET_NEXT_ID:
        case BPF_MAP_GET_NEXT_ID:
        case BPF_LINK_GET_NEXT_ID: {
            BpfLayout layout{.size = END(open_flags), .fds = {}, .buffers = {}, .results = {}};
            layout.results.add({AT(next_id), 4});
            return layout;
        }
        case BPF_PROG_GET_FD_BY_ID:
        case BPF_MAP_GET_FD_BY_ID:
        case BPF_LINK_GET_FD_BY_ID:
        case BPF_BTF_GET_FD_BY_ID:
            return BpfLayout{.size = END(open_flags), .fds = {}, .buffers = {}, .results = {}};
        default:
            return std::nullopt;
    }
}

std::size_t used_bytes(const Buffer& buffer, const bpf_attr& attr, const std::byte* content, std::size_t length) {
    if (buffer.used_at == 0) {
        const auto* nul = static_cast<const std::byte*>(std::memchr(content, 0, length));
        return nul == nullptr ? length : static_cast<std::size_t>(nul - content) + 1;
    }
    std::uint32_t count = 0;
    std::memcpy(&count, reinterpret_cast<const std::byte*>(&attr) + buffer.used_at, sizeof count);
    return static_cast<std::size_t>(std::min<std::uint64_t>(std::uint64_t{count} * buffer.used_unit, length));
}

}  // namespace bpfwarden::wire
