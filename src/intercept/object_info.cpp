// SPDX-License-Identifier: Apache-2.0
#include "intercept/object_info.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

#include "base/fd.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::intercept {

namespace {

// Larger than any information the kernel has.
using Info = std::array<std::byte, 1024>;

// A list or text that the information points to: how many there is room for and how long each is, in the information
// itself.
struct Part {
    std::size_t pointer = 0, count = 0;  // offsets of 8 and 4 bytes
    std::uint32_t each = 1;
    std::size_t each_at = 0;  // offset of 4 bytes, in the place of `each`
};

constexpr Part of_program[] = {
    {offsetof(bpf_prog_info, jited_prog_insns), offsetof(bpf_prog_info, jited_prog_len)},
    {offsetof(bpf_prog_info, xlated_prog_insns), offsetof(bpf_prog_info, xlated_prog_len)},
    {offsetof(bpf_prog_info, map_ids), offsetof(bpf_prog_info, nr_map_ids), 4},
    {offsetof(bpf_prog_info, jited_ksyms), offsetof(bpf_prog_info, nr_jited_ksyms), 8},
    {offsetof(bpf_prog_info, jited_func_lens), offsetof(bpf_prog_info, nr_jited_func_lens), 4},
    {offsetof(bpf_prog_info, func_info), offsetof(bpf_prog_info, nr_func_info), 1,
     offsetof(bpf_prog_info, func_info_rec_size)},
    {offsetof(bpf_prog_info, line_info), offsetof(bpf_prog_info, nr_line_info), 1,
     offsetof(bpf_prog_info, line_info_rec_size)},
    {offsetof(bpf_prog_info, jited_line_info), offsetof(bpf_prog_info, nr_jited_line_info), 1,
     offsetof(bpf_prog_info, jited_line_info_rec_size)},
    {offsetof(bpf_prog_info, prog_tags), offsetof(bpf_prog_info, nr_prog_tags), BPF_TAG_SIZE},
};
// Of links the names: of a raw tracepoint or an iterator, and of a perf event, which all have theirs in one place.
constexpr std::size_t link_union = offsetof(bpf_link_info, raw_tracepoint);
constexpr Part of_named_link[] = {{link_union, link_union + 8}};
constexpr Part of_event_link[] = {{link_union + 8, link_union + 16}};

template <class T>
T field(const Info& info, std::size_t at) {
    T value;
    std::memcpy(&value, info.data() + at, sizeof value);
    return value;
}
template <class T>
void set_field(Info& info, std::size_t at, T value) {
    std::memcpy(info.data() + at, &value, sizeof value);
}

std::uint64_t each_of(const Info& info, const Part& part) {
    return part.each_at != 0 ? field<std::uint32_t>(info, part.each_at) : part.each;
}

int query(int object, Info& info, std::uint32_t& length) {
    bpf_attr attr{};
    attr.info.bpf_fd = static_cast<__u32>(object);
    attr.info.info_len = length;
    attr.info.info = reinterpret_cast<__u64>(info.data());
    if (::syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr.info) != 0) return -errno;
    length = attr.info.info_len;
    return 0;
}

Result<std::span<const Part>> parts_of(int object) {
    if (kernel::kernel_calls_it(FdRef(object), "anon_inode:bpf-prog")) return std::span<const Part>(of_program);
    Info info{};
    std::uint32_t length = sizeof(bpf_link_info);
    if (const int result = query(object, info, length); result != 0) return fail_errno(-result, "asking about a link");
    switch (field<std::uint32_t>(info, offsetof(bpf_link_info, type))) {
        case BPF_LINK_TYPE_RAW_TRACEPOINT:
        case BPF_LINK_TYPE_ITER:
            return std::span<const Part>(of_named_link);
        case BPF_LINK_TYPE_PERF_EVENT:
            return std::span<const Part>(of_event_link);
        default:
            return std::span<const Part>();
    }
}

}  // namespace

Result<int> object_info(int object, const bpf_attr& attr, std::uint64_t address, const wire::CallerMemory& caller) {
    if (object < 0) return -EBADF;
    std::uint32_t length = attr.info.info_len;
    Info info{};
    if (length > info.size()) return -E2BIG;
    BW_TRY(caller.read(attr.info.info, std::span(info).first(length)));
    struct Copied {
        std::uint64_t address;
        Part part;
        std::vector<std::byte> content;
    };
    std::vector<Copied> copied;
    for (const auto& part : BW_TRY(parts_of(object))) {
        if (part.pointer + 8 > length || part.count + 4 > length) continue;
        const auto there = field<std::uint64_t>(info, part.pointer);
        const std::uint64_t count = field<std::uint32_t>(info, part.count);
        const std::uint64_t each = each_of(info, part);
        set_field(info, part.pointer, std::uint64_t{0});
        if (there == 0 || count == 0) continue;
        // A million instructions as the processor has them.
        constexpr std::uint64_t most = 64 * 1024 * 1024;
        if (count * each > most) return -E2BIG;
        copied.push_back({there, part, std::vector<std::byte>(static_cast<std::size_t>(count * each))});
        set_field(info, part.pointer, reinterpret_cast<std::uint64_t>(copied.back().content.data()));
    }
    const int result = query(object, info, length);
    if (result != 0 && result != -ENOSPC) return result;
    for (const auto& one : copied) {
        // The kernel takes away the address of what it does not show, and says how much there is of the rest.
        const bool shown = field<std::uint64_t>(info, one.part.pointer) != 0;
        set_field(info, one.part.pointer, shown ? one.address : 0);
        if (!shown) continue;
        const auto written = std::uint64_t{field<std::uint32_t>(info, one.part.count)} * each_of(info, one.part);
        BW_TRY(caller.write(one.address, std::span(one.content).first(std::min(written, one.content.size()))));
    }
    BW_TRY(caller.write(attr.info.info, std::span(info).first(std::min<std::size_t>(length, attr.info.info_len))));
    BW_TRY(caller.write(address + offsetof(bpf_attr, info.info_len), std::as_bytes(std::span(&length, 1))));
    return result;
}

}  // namespace bpfwarden::intercept
