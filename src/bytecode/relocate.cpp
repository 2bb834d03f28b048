// SPDX-License-Identifier: Apache-2.0
#include "bytecode/relocate.hpp"

#include <cerrno>
#include <cstddef>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "bytecode/instruction.hpp"

namespace bpfwarden::bytecode {

static bool by_index(std::uint32_t source) {
    return source == BPF_PSEUDO_MAP_IDX || source == BPF_PSEUDO_MAP_IDX_VALUE;
}

// BPF_PSEUDO_MAP_FD for BPF_PSEUDO_MAP_IDX, and the same for those with a value.
static void name_by_fd(bpf_insn& insn) {
    if (insn.src_reg == BPF_PSEUDO_MAP_IDX) insn.src_reg = BPF_PSEUDO_MAP_FD;
    if (insn.src_reg == BPF_PSEUDO_MAP_IDX_VALUE) insn.src_reg = BPF_PSEUDO_MAP_VALUE;
}

static bool loads_map(std::uint32_t source) {
    return source == BPF_PSEUDO_MAP_FD || source == BPF_PSEUDO_MAP_VALUE || by_index(source);
}

static bool is_wide_at(std::span<const bpf_insn> code, std::size_t at) {
    return at + 1 < code.size() && kind_of(code[at]) == Kind::wide;
}

static std::uint32_t source_of(MapBy by) {
    switch (by) {
        case MapBy::fd:
            return BPF_PSEUDO_MAP_FD;
        case MapBy::fd_value:
            return BPF_PSEUDO_MAP_VALUE;
        case MapBy::index:
            return BPF_PSEUDO_MAP_IDX;
        case MapBy::index_value:
            return BPF_PSEUDO_MAP_IDX_VALUE;
    }
    return 0;
}

static Failure not_as_read(std::uint32_t at) {
    return fail(Error::from_errno(EINVAL, fmt::format("instruction {} is not what was read", at)));
}

static Result<std::int32_t> checked(Result<int> fd, std::uint32_t at) {
    if (!fd) return fail(std::move(fd).error().within(fmt::format("instruction {}", at)));
    if (*fd < 0) return fail(Error::from_errno(EBADF, fmt::format("instruction {}: no fd for what it names", at)));
    return *fd;
}

// Soundness: a number of the client's that stays in would be looked up among our fds. So what is rewritten is what was
// read, each reference of it, checked against the stream again; and read() refuses every other form.
Result<> rewrite(std::span<bpf_insn> code, const Reading& reading, const NewMapFd& new_map, const NewBtfFd& new_btf) {
    if (code.size() != reading.instructions)
        return fail(Error::from_errno(EINVAL, "the instructions are not those that were read"));
    for (const auto& map : reading.maps) {
        const std::uint32_t at = map.instruction;
        if (!is_wide_at(code, at) || code[at].src_reg != source_of(map.by) ||
            static_cast<std::uint32_t>(code[at].imm) != map.number)
            return not_as_read(at);
        code[at].imm = BW_TRY(checked(new_map(map), at));
        name_by_fd(code[at]);
    }
    for (const auto& symbol : reading.symbols) {
        const std::uint32_t at = symbol.instruction;
        if (!is_wide_at(code, at) || code[at].src_reg != BPF_PSEUDO_BTF_ID ||
            static_cast<std::uint32_t>(code[at + 1].imm) != symbol.btf_fd)
            return not_as_read(at);
        if (symbol.btf_fd == 0) continue;
        if (!new_btf)
            return fail(Error::from_errno(EOPNOTSUPP, fmt::format("instruction {}: a symbol of a module", at)));
        const std::int32_t fd = BW_TRY(checked(new_btf(symbol), at));
        // 0 would mean vmlinux.
        if (fd == 0) return fail(Error::from_errno(EBADF, fmt::format("instruction {}: fd 0 is no BTF", at)));
        code[at + 1].imm = fd;
    }
    return {};
}

namespace {

// Numbers in the order in which they are first seen. A tree, as the numbers are the client's: it could make a hash
// table slow.
template <class Number>
class Order {
  public:
    explicit Order(std::int32_t first) : next_(first) {}
    std::int32_t of(Number number) {
        const auto [at, is_new] = seen_.try_emplace(number, next_);
        if (is_new) ++next_;
        return at->second;
    }

  private:
    std::map<Number, std::int32_t> seen_;
    std::int32_t next_;
};

}  // namespace

std::vector<bpf_insn> canonical(std::span<const bpf_insn> code) {
    std::vector<bpf_insn> out(code.begin(), code.end());
    Order<std::pair<bool, std::int32_t>> maps(0);  // {by index?, number}
    Order<std::int32_t> btfs(1);
    Order<std::int16_t> modules(1);
    for (std::size_t at = 0; at < out.size(); ++at) {
        bpf_insn& insn = out[at];
        if (is_wide_at(out, at)) {
            if (loads_map(insn.src_reg)) {
                insn.imm = maps.of({by_index(insn.src_reg), insn.imm});
                name_by_fd(insn);
            } else if (insn.src_reg == BPF_PSEUDO_BTF_ID && out[at + 1].imm != 0) {
                out[at + 1].imm = btfs.of(out[at + 1].imm);
            }
            ++at;
        } else if (kind_of(insn) == Kind::call && insn.src_reg == BPF_PSEUDO_KFUNC_CALL && insn.off != 0) {
            insn.off = static_cast<std::int16_t>(modules.of(insn.off));  // at most 65535, wrapping as they do
        }
    }
    return out;
}

}  // namespace bpfwarden::bytecode
