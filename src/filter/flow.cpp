// SPDX-License-Identifier: Apache-2.0
#include "filter/flow.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "bytecode/instruction.hpp"

namespace bpfwarden::filter {

namespace {

using bytecode::Kind;
using Code = std::vector<bpf_insn>;

// Loops are gone round this often. Few programs need more than three or four.
constexpr int most_rounds = 32;

std::optional<std::size_t> target(const Code& code, std::size_t at, std::int64_t distance) {
    const auto to = static_cast<std::int64_t>(at) + 1 + distance;
    if (to < 0 || to >= static_cast<std::int64_t>(code.size())) return std::nullopt;
    return static_cast<std::size_t>(to);
}

// Where it goes on, in the same function.
std::array<std::optional<std::size_t>, 2> next(const Code& code, std::size_t at) {
    const auto& insn = code[at];
    switch (bytecode::kind_of(insn)) {
        case Kind::exit:
            return {};
        case Kind::jump:
            return {target(code, at, bytecode::distance(insn)), {}};
        case Kind::conditional:
            return {target(code, at, 0), target(code, at, insn.off)};
        case Kind::wide:
            return {target(code, at, 1), {}};
        default:
            return {target(code, at, 0), {}};
    }
}

bool is_own_call(const bpf_insn& insn) {
    return bytecode::kind_of(insn) == Kind::call && insn.src_reg == BPF_PSEUDO_CALL;
}

unsigned bytes_of(const bpf_insn& insn) {
    switch (bytecode::size_of(insn)) {
        case BPF_B:
            return 1;
        case BPF_H:
            return 2;
        case BPF_W:
            return 4;
        default:
            return 8;
    }
}

// ---- which registers point to the function's own stack, and where

constexpr std::int32_t unknown_yet = 1, no_pointer = 2, anywhere = 3;  // else the offset, which is never above 0
using Pointers = std::array<std::int32_t, 11>;

bool points(std::int32_t one) { return one <= 0 || one == anywhere; }

bool join(std::int32_t& into, std::int32_t other) {
    if (other == unknown_yet || into == other) return false;
    const auto joined = into == unknown_yet ? other : points(into) || points(other) ? anywhere : no_pointer;
    return std::exchange(into, joined) != joined;
}

class StackPointers {
  public:
    explicit StackPointers(const Code& code) : code_(code), at_(code.size()) {
        for (auto& one : at_) one.fill(unknown_yet);
        if (!code.empty()) at_.front() = at_start();
        bool changed = true;
        for (int round = 0; changed && round < most_rounds; ++round) {
            changed = false;
            for (std::size_t at = 0; at < code.size(); ++at)
                if (at_[at][10] != unknown_yet) changed |= step(at);
        }
    }
    const Pointers& operator[](std::size_t at) const { return at_[at]; }

  private:
    static Pointers at_start() {
        Pointers pointers;
        pointers.fill(no_pointer);
        pointers[10] = 0;
        return pointers;
    }

    bool step(std::size_t at) {
        const auto& insn = code_[at];
        Pointers now = at_[at];
        if (insn.dst_reg > 10 || insn.src_reg > 10) return false;
        switch (bytecode::kind_of(insn)) {
            case Kind::move:
                now[insn.dst_reg] = bytecode::takes_register(insn) ? now[insn.src_reg] : no_pointer;
                break;
            case Kind::arithmetic: {
                auto& to = now[insn.dst_reg];
                const bool adds = insn.code == (BPF_ALU64 | BPF_ADD | BPF_K);
                if (adds && to <= 0 && insn.imm >= -static_cast<std::int32_t>(stack_size) - to && insn.imm <= -to)
                    to += insn.imm;
                else if (points(to) || (bytecode::takes_register(insn) && points(now[insn.src_reg])))
                    to = anywhere;
                break;
            }
            case Kind::load:
                now[insn.dst_reg] = stored_ ? anywhere : no_pointer;
                break;
            case Kind::store:
                stored_ |= points(now[insn.src_reg]);
                break;
            case Kind::wide:
                now[insn.dst_reg] = no_pointer;
                break;
            case Kind::call: {
                const bool given = std::any_of(now.begin() + 1, now.begin() + 6, points);
                for (std::size_t one = 0; one < 6; ++one) now[one] = no_pointer;
                if (is_own_call(insn)) {
                    if (given) now[0] = anywhere;
                    if (const auto to = target(code_, at, insn.imm)) (void)join_at(*to, at_start());
                }
                break;
            }
            default:
                break;
        }
        bool changed = false;
        for (const auto to : next(code_, at))
            if (to) changed |= join_at(*to, now);
        return changed;
    }

    bool join_at(std::size_t at, const Pointers& other) {
        bool changed = false;
        for (std::size_t one = 0; one < other.size(); ++one) changed |= join(at_[at][one], other[one]);
        return changed;
    }

    const Code& code_;
    std::vector<Pointers> at_;
    bool stored_ = false;
};

// ---- what is read

void set_bytes(std::bitset<stack_size>& stack, std::int64_t from, std::int64_t size, bool value) {
    const auto base = from + static_cast<std::int64_t>(stack_size);
    for (auto at = std::max<std::int64_t>(base, 0); at < std::min<std::int64_t>(base + size, stack_size); ++at)
        stack.set(static_cast<std::size_t>(at), value);
}

}  // namespace

Flow::Flow(const bytecode::Program& program) : alive_(program.code.size()) {
    const Code& code = program.code;
    const StackPointers pointers(code);
    std::uint32_t largest_key = 0;
    for (const auto& map : program.maps) largest_key = std::max(largest_key, map.key_size);

    const auto before = [&](std::size_t at, Alive alive) {
        const auto& insn = code[at];
        const auto bit = [](unsigned which) { return static_cast<std::uint16_t>(1U << which); };
        const auto kill = [&](unsigned which) {
            alive.registers &= static_cast<std::uint16_t>(~bit(which));
            alive.addresses &= static_cast<std::uint16_t>(~bit(which));
        };
        const auto read = [&](unsigned which, bool for_address) {
            alive.registers |= bit(which);
            if (for_address) alive.addresses |= bit(which);
        };
        const auto read_stack = [&](std::int32_t pointer, std::int64_t offset, std::int64_t size) {
            if (pointer <= 0)
                set_bytes(alive.stack, pointer + offset, size, true);
            else if (pointer == anywhere)
                alive.stack.set();
        };
        const auto& where = pointers[at];
        if (insn.dst_reg > 10 || insn.src_reg > 10) return alive;
        switch (bytecode::kind_of(insn)) {
            case Kind::arithmetic:
            case Kind::negate:
            case Kind::byte_swap:
            case Kind::move: {
                const bool for_address = (alive.addresses & bit(insn.dst_reg)) != 0;
                if (bytecode::kind_of(insn) == Kind::move)
                    kill(insn.dst_reg);
                else
                    read(insn.dst_reg, for_address);
                const bool has_source =
                    bytecode::kind_of(insn) == Kind::move || bytecode::kind_of(insn) == Kind::arithmetic;
                if (has_source && bytecode::takes_register(insn)) read(insn.src_reg, for_address);
                break;
            }
            case Kind::load:
                kill(insn.dst_reg);
                read(insn.src_reg, true);
                read_stack(where[insn.src_reg], insn.off, bytes_of(insn));
                break;
            case Kind::store:
            case Kind::store_constant:
                if (where[insn.dst_reg] <= 0)
                    set_bytes(alive.stack, where[insn.dst_reg] + insn.off, bytes_of(insn), false);
                read(insn.dst_reg, true);
                if (bytecode::kind_of(insn) == Kind::store) read(insn.src_reg, true);
                break;
            case Kind::wide:
                kill(insn.dst_reg);
                break;
            case Kind::conditional:
                read(insn.dst_reg, false);
                if (bytecode::takes_register(insn)) read(insn.src_reg, false);
                break;
            case Kind::call:
                for (unsigned one = 0; one < 6; ++one) kill(one);
                if (is_own_call(insn)) {
                    const auto to = target(code, at, insn.imm);
                    for (unsigned one = 1; one < 6; ++one) {
                        if (to && (alive_[*to].registers & bit(one)) != 0) read(one, true);
                        if (points(where[one])) alive.stack.set();
                    }
                } else {
                    for (unsigned one = 1; one < 5; ++one) read(one, true);
                    read_stack(where[2], 0, largest_key);
                }
                break;
            case Kind::exit:
                read(0, false);
                break;
            default:
                break;
        }
        return alive;
    };

    bool changed = true;
    for (int round = 0; changed && round < most_rounds; ++round) {
        changed = false;
        for (std::size_t at = code.size(); at-- > 0;) {
            Alive alive;
            for (const auto to : next(code, at))
                if (to) {
                    alive.registers |= alive_[*to].registers;
                    alive.addresses |= alive_[*to].addresses;
                    alive.stack |= alive_[*to].stack;
                }
            alive = before(at, std::move(alive));
            if (alive == alive_[at]) continue;
            alive_[at] = alive;
            changed = true;
        }
    }
}

}  // namespace bpfwarden::filter
