// SPDX-License-Identifier: Apache-2.0
// BPF_MAP_CREATE and BPF_BTF_LOAD. Maps and type information are given to the client as they are: their elements are
// its own business, and never pass through here.
#include <algorithm>

#include "broker/call_state.hpp"

namespace bpfwarden::broker {

namespace {

// Not in every header: 6.9.
constexpr std::uint32_t takes_value_types_from_fd = 1U << 15, takes_token = 1U << 16;

std::uint64_t up8(std::uint64_t size) { return (size + 7) & ~std::uint64_t{7}; }

// What a map will take at most, worked out before it is made: the limit must hold before the kernel allocates. Near
// what fdinfo's "memlock" says afterwards (within the kernel's own overhead), and never under it for arrays and hashes.
std::uint64_t memory_of(const bpf_attr& attr, std::uint64_t processors) {
    const std::uint64_t key = up8(attr.key_size), value = up8(attr.value_size), entries = attr.max_entries;
    constexpr std::uint64_t page = 4096, element = 64, base = 512;
    switch (attr.map_type) {
        case BPF_MAP_TYPE_ARRAY:
            return base + value * entries;
        case BPF_MAP_TYPE_PERCPU_ARRAY:
            return base + entries * (8 + value * processors);
        case BPF_MAP_TYPE_PERCPU_HASH:
        case BPF_MAP_TYPE_LRU_PERCPU_HASH:
            return base + entries * (element + key + 16 + value * processors);
        case BPF_MAP_TYPE_RINGBUF:
        case BPF_MAP_TYPE_USER_RINGBUF:
            return base + 3 * page + entries;
        case BPF_MAP_TYPE_ARENA:
            return base + entries * page;
        default:
            // Hashes keep one element a processor in reserve and a bucket of 16 bytes an element.
            return base + (entries + processors) * (element + 16 + key + value);
    }
}

}  // namespace

void create_map(CallState& state) {
    auto& attr = state.attr();
    const auto type = CallState::name(kernel::NameKind::map_type, attr.map_type);
    if (!state.judge(grant::MapCreate{type})) return;
    if ((attr.map_flags & (takes_token | takes_value_types_from_fd)) != 0 || attr.map_token_fd != 0) {
        state.refused(EINVAL, "session", "", "a map of a session takes no token and no types from another fd");
        return;
    }
    if (attr.map_ifindex != 0) {
        state.refused(EOPNOTSUPP, "session", "", "maps in a network device are not made through a session");
        return;
    }
    int types = -1;
    for (const auto& field : state.call.layout.fds) {
        auto& value = state.call.fd_field(field);
        const int fd = state.fd(value);
        if (field.kind == wire::FdKind::btf) types = fd;
        std::string inner;
        if (field.kind == wire::FdKind::map && !state.own_map(fd, inner)) return;
        value = fd < 0 ? 0 : static_cast<std::uint32_t>(fd);
    }
    const auto memory = memory_of(attr, state.session.machine.processors);
    if (!state.take(Count::maps)) return;
    if (!state.take(Count::map_memory, memory)) {
        state.session.ledger.give_back(Count::maps, 1);
        return;
    }
    const int fd = state.run();
    if (fd < 0) {
        state.session.ledger.give_back(Count::maps, 1);
        state.session.ledger.give_back(Count::map_memory, memory);
        state.failed(-fd);
        return;
    }
    state.out.fd = UniqueFd(fd);
    state.out.map_id = object_id(fd);
    state.out.map_memory = memory;
    state.session.objects.add_map(state.out.map_id, {type, memory});
    if (types >= 0) state.session.objects.add_types(types);
}

void load_btf(CallState& state) {
    if (!state.judge(grant::BtfLoad{})) return;
    if (state.attr().btf_flags != 0 || state.attr().btf_token_fd != 0) {
        state.refused(EINVAL, "session", "", "type information of a session is loaded without flags and token");
        return;
    }
    const int fd = state.run();
    if (fd < 0) {
        state.failed(-fd);
        return;
    }
    state.out.fd = UniqueFd(fd);
}

}  // namespace bpfwarden::broker
