// SPDX-License-Identifier: Apache-2.0
#include "bytecode/reading.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <optional>

#include <fmt/format.h>

#include "bytecode/instruction.hpp"

namespace bpfwarden::bytecode {

template <class T>
static void sort_unique(std::vector<T>& list) {
    if (list.size() < 2) return;
    std::ranges::sort(list);
    const auto rest = std::ranges::unique(list);
    list.erase(rest.begin(), rest.end());
}

[[gnu::cold]] static Failure refuse(std::size_t at, const char* flaw) {
    return fail(Error::from_errno(EINVAL, fmt::format("instruction {}: {}", at, flaw)).with_code(Code::bad_input));
}

namespace {

class Reader {
  public:
    explicit Reader(std::span<const bpf_insn> code) : code_(code) {}

    Result<Reading> run() {
        for (std::size_t at = 0; at < code_.size(); ++at) {
            const bpf_insn& insn = code_[at];
            if (!is_usual(insn)) {
                if (const char* flaw = misuse(insn)) return refuse(at, flaw);
                found_.casts_address_space |= is_address_space_cast(insn);
            }
            const Kind kind = kind_of(insn);
            if (is_computation(kind)) continue;
            switch (kind) {
                case Kind::wide: {
                    if (const char* flaw = wide(at)) return refuse(at, flaw);
                    ++at;
                    break;
                }
                case Kind::call: {
                    if (const char* flaw = call(at)) return refuse(at, flaw);
                    break;
                }
                case Kind::may_goto:
                    found_.may_goto = true;
                    [[fallthrough]];
                case Kind::jump:
                case Kind::conditional:
                    if (!target(at, distance(insn))) return refuse(at, "a jump out of the program");
                    found_.jumps_back |= distance(insn) < 0;
                    break;
                case Kind::indirect_jump:
                    found_.jumps_indirectly = true;
                    break;
                case Kind::packet:
                    found_.reads_packet = true;
                    break;
                default:
                    break;
            }
        }
        finish();
        return std::move(found_);
    }

  private:
    std::optional<std::uint32_t> target(std::size_t at, std::int32_t distance) const {
        const std::int64_t to = static_cast<std::int64_t>(at) + 1 + distance;
        if (to < 0 || to >= static_cast<std::int64_t>(code_.size())) return std::nullopt;
        return static_cast<std::uint32_t>(to);
    }

    const char* call(std::size_t at) {
        const bpf_insn& insn = code_[at];
        const auto number = static_cast<std::uint32_t>(insn.imm);
        switch (insn.src_reg) {
            case BPF_PSEUDO_CALL: {
                const auto to = target(at, insn.imm);
                if (!to) return "a call out of the program";
                functions_.push_back(*to);
                ++found_.calls;
                return nullptr;
            }
            case BPF_PSEUDO_KFUNC_CALL:
                if (number == 0 && insn.off == 0)
                    ++found_.poisoned;
                else if (const Kfunc kfunc{number, static_cast<std::uint16_t>(insn.off)};
                         found_.kfuncs.empty() || found_.kfuncs.back() != kfunc)
                    found_.kfuncs.push_back(kfunc);
                return nullptr;
            default:
                if (number < few_helpers)
                    helpers_[number / 64] |= std::uint64_t{1} << number % 64;
                else if (number >= first_poison)
                    ++found_.poisoned;
                else
                    found_.helpers.push_back(number);
                return nullptr;
        }
    }

    const char* wide(std::size_t at) {
        if (at + 1 >= code_.size()) return "a 64-bit load without its second half";
        const bpf_insn& insn = code_[at];
        const bpf_insn& half = code_[at + 1];
        if (half.code || half.dst_reg || half.src_reg || half.off) return "a 64-bit load with a wrong second half";
        const auto index = static_cast<std::uint32_t>(at);
        const auto low = static_cast<std::uint32_t>(insn.imm), high = static_cast<std::uint32_t>(half.imm);
        const auto map = [&](MapBy by, bool takes_offset) {
            found_.maps.push_back({index, by, low, high});
            return takes_offset || high == 0 ? nullptr : "a map with an offset into its value";
        };
        switch (insn.src_reg) {
            case 0:
                return nullptr;
            case BPF_PSEUDO_MAP_FD:
                return map(MapBy::fd, false);
            case BPF_PSEUDO_MAP_VALUE:
                return map(MapBy::fd_value, true);
            case BPF_PSEUDO_MAP_IDX:
                return map(MapBy::index, false);
            case BPF_PSEUDO_MAP_IDX_VALUE:
                return map(MapBy::index_value, true);
            case BPF_PSEUDO_BTF_ID:
                found_.symbols.push_back({index, low, high});
                return nullptr;
            case BPF_PSEUDO_FUNC: {
                // Counted from the first half (add_subprogs, 5.13).
                const auto to = target(at, insn.imm);
                if (!to || high != 0) return "a function out of the program";
                functions_.push_back(*to);
                ++found_.callbacks;
                return nullptr;
            }
            default:
                return "an unknown kind of 64-bit load";
        }
    }

    void finish() {
        found_.instructions = static_cast<std::uint32_t>(code_.size());
        sort_unique(found_.helpers);
        // The few come before those.
        std::size_t count = 0;
        for (const auto word : helpers_) count += static_cast<std::size_t>(std::popcount(word));
        if (count) {
            std::vector<std::uint32_t> all;
            all.reserve(count + found_.helpers.size());
            for (std::uint32_t word = 0; word < helpers_.size(); ++word)
                for (auto bits = helpers_[word]; bits; bits &= bits - 1)
                    all.push_back(word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits)));
            all.insert(all.end(), found_.helpers.begin(), found_.helpers.end());
            found_.helpers = std::move(all);
        }
        sort_unique(found_.kfuncs);
        sort_unique(functions_);
        // One that begins where the program does is the main one, called again.
        found_.subprograms = static_cast<std::uint32_t>(functions_.size()) + 1;
        if (!functions_.empty() && functions_.front() == 0) --found_.subprograms;
        found_.trivial = code_.size() == 2 && kind_of(code_[0]) == Kind::move && !takes_register(code_[0]) &&
                         code_[0].dst_reg == 0 && kind_of(code_[1]) == Kind::exit;
    }

    static constexpr std::uint32_t few_helpers = 256;
    std::span<const bpf_insn> code_;
    std::array<std::uint64_t, few_helpers / 64> helpers_{};
    std::vector<std::uint32_t> functions_;  // where they begin
    Reading found_;
};

}  // namespace

// Soundness: every instruction of the stream is read, reached or not, as the verifier's own first passes do, so what
// the kernel could come to run is a part of what is listed. The second half of a 64-bit load is skipped, which is safe
// because its opcode, 0, is none, and the kernel refuses a jump to it. What has no name in `Reading` is plain
// computation; everything else, from unknown opcodes to reserved fields, ends the reading (instruction.cpp).
//
// Not in the instructions, and so not read here: prog_flags and prog_ifindex (features.hpp); attach_btf_id; maps that
// are bound by fd_array_cnt alone (6.14); the exception callback that a BTF tag names (6.7), whose instructions are in
// the stream, and which runs only after a call of bpf_throw; core_relos (5.17), which the kernel applies after this:
// they change constants, offsets and sizes of loads, and turn what fails into a call of first_poison, so nothing listed
// here.
//
// The caller must read a private copy: from memory that the client can still write, the kernel would read another.
Result<Reading> read(std::span<const bpf_insn> code) {
    // The kernel's errno for both.
    if (code.empty()) return fail(Error::from_errno(E2BIG, "no instructions").with_code(Code::bad_input));
    if (code.size() > max_instructions)
        return fail(
            Error::from_errno(E2BIG, fmt::format("{} instructions, more than {}", code.size(), max_instructions))
                .with_code(Code::bad_input));
    return Reader(code).run();
}

}  // namespace bpfwarden::bytecode
