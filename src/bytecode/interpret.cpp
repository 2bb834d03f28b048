// SPDX-License-Identifier: Apache-2.0
#include "bytecode/interpret.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "bytecode/instruction.hpp"

namespace bpfwarden::bytecode {

namespace {

constexpr std::int64_t stack_size = 512;
constexpr std::size_t most_frames = 8;

enum class Holds : std::uint8_t { nothing, number, context, stack, read_only, map, map_value };

// A register: a number, or a pointer to byte `number` of some object.
struct Register {
    Holds holds = Holds::nothing;
    std::size_t object = 0;  // which frame, section or map
    std::size_t entry = 0;   // of a map
    std::uint64_t number = 0;

    bool is_pointer() const { return holds > Holds::number; }
    bool same_object(const Register& other) const {
        return holds == other.holds && object == other.object && entry == other.entry;
    }
};

Register number(std::uint64_t value) { return {.holds = Holds::number, .number = value}; }

struct Frame {
    std::size_t return_to = 0;
    std::array<Register, 4> saved;  // r6 to r9
    // Each byte that was written, and, by their first byte, the pointers.
    std::map<std::int64_t, std::uint8_t> bytes;
    std::map<std::int64_t, Register> pointers;
};

// ---- what the operations are: RFC 9669, section 4

template <class Unsigned>
std::optional<Unsigned> calculate(unsigned operation, bool is_signed, Unsigned a, Unsigned b) {
    using Signed = std::make_signed_t<Unsigned>;
    const auto sa = static_cast<Signed>(a), sb = static_cast<Signed>(b);
    const Unsigned amount = b & (sizeof(Unsigned) * 8 - 1);
    constexpr Signed smallest = std::numeric_limits<Signed>::min();
    switch (operation) {
        case BPF_ADD:
            return a + b;
        case BPF_SUB:
            return a - b;
        case BPF_MUL:
            return a * b;
        case BPF_DIV:
            if (b == 0) return 0;
            if (!is_signed) return a / b;
            return sa == smallest && sb == -1 ? a : static_cast<Unsigned>(sa / sb);
        case BPF_MOD:
            if (b == 0) return a;
            if (!is_signed) return a % b;
            return sb == -1 ? 0 : static_cast<Unsigned>(sa % sb);
        case BPF_OR:
            return a | b;
        case BPF_AND:
            return a & b;
        case BPF_XOR:
            return a ^ b;
        case BPF_LSH:
            return a << amount;
        case BPF_RSH:
            return a >> amount;
        case BPF_ARSH:
            return static_cast<Unsigned>(sa >> amount);
        default:
            return std::nullopt;
    }
}

std::uint64_t extended(std::uint64_t value, unsigned bits) {
    switch (bits) {
        case 8:
            return static_cast<std::uint64_t>(std::int64_t{static_cast<std::int8_t>(value)});
        case 16:
            return static_cast<std::uint64_t>(std::int64_t{static_cast<std::int16_t>(value)});
        case 32:
            return static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(value)});
        default:
            return value;
    }
}

template <class Unsigned>
std::optional<bool> compare(unsigned operation, Unsigned a, Unsigned b) {
    using Signed = std::make_signed_t<Unsigned>;
    const auto sa = static_cast<Signed>(a), sb = static_cast<Signed>(b);
    switch (operation) {
        case BPF_JEQ:
            return a == b;
        case BPF_JNE:
            return a != b;
        case BPF_JGT:
            return a > b;
        case BPF_JGE:
            return a >= b;
        case BPF_JLT:
            return a < b;
        case BPF_JLE:
            return a <= b;
        case BPF_JSGT:
            return sa > sb;
        case BPF_JSGE:
            return sa >= sb;
        case BPF_JSLT:
            return sa < sb;
        case BPF_JSLE:
            return sa <= sb;
        case BPF_JSET:
            return (a & b) != 0;
        default:
            return std::nullopt;
    }
}

std::size_t width(const bpf_insn& insn) {
    switch (size_of(insn)) {
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

// ---- the machine

class Machine {
  public:
    Machine(const Program& program, std::span<const std::uint8_t> context) : program_(program), context_(context) {
        registers_[1] = {.holds = Holds::context};
        frames_.emplace_back();
        point_to_stack();
    }

    // `path`: the instructions that were executed, in order.
    Result<std::uint64_t> run(std::uint64_t steps, std::vector<std::uint32_t>* path) {
        while (steps-- > 0) {
            if (path != nullptr) path->push_back(static_cast<std::uint32_t>(at_));
            if (at_ >= program_.code.size()) return stop("runs past the end");
            const bpf_insn& insn = program_.code[at_];
            if (const char* problem = misuse(insn)) return stop(problem);
            const auto going = step(insn);
            if (!going) return fail(going.error());
            if (result_) return *result_;
        }
        return stop("does not end");
    }

  private:
    Failure stop(std::string_view what) const {
        return fail(Code::bad_input, fmt::format("instruction {}: {}", at_, what));
    }
    void point_to_stack() { registers_[10] = {.holds = Holds::stack, .object = frames_.size() - 1}; }

    Result<> step(const bpf_insn& insn) {
        switch (kind_of(insn)) {
            case Kind::arithmetic:
                BW_TRY(arithmetic(insn));
                break;
            case Kind::negate: {
                Register& to = registers_[insn.dst_reg];
                if (to.holds != Holds::number) return stop("negates what is no number");
                to.number = 0 - to.number;
                if (class_of(insn) == BPF_ALU) to.number &= 0xffffffff;
                break;
            }
            case Kind::byte_swap:
                BW_TRY(swap(insn));
                break;
            case Kind::move:
                BW_TRY(move(insn));
                break;
            case Kind::load: {
                auto value = BW_TRY(load(registers_[insn.src_reg], insn.off, width(insn)));
                if ((insn.code & 0xe0) == BPF_MEMSX) {
                    if (value.is_pointer()) return stop("takes a pointer apart");
                    value.number = extended(value.number, static_cast<unsigned>(8 * width(insn)));
                }
                registers_[insn.dst_reg] = value;
                break;
            }
            case Kind::store:
                BW_TRY(store(registers_[insn.dst_reg], insn.off, width(insn), registers_[insn.src_reg]));
                break;
            case Kind::store_constant:
                BW_TRY(store(registers_[insn.dst_reg], insn.off, width(insn),
                             number(static_cast<std::uint64_t>(std::int64_t{insn.imm}))));
                break;
            case Kind::wide:
                return wide(insn);
            case Kind::jump:
                jump(distance(insn));
                return {};
            case Kind::conditional:
                jump(BW_TRY(decide(insn)) ? insn.off : 0);
                return {};
            case Kind::call:
                return call(insn);
            case Kind::exit:
                return exit();
            default:
                return stop("is no instruction of a filter");
        }
        ++at_;
        return {};
    }

    // Far out is past the end.
    void jump(std::int32_t distance) { at_ = static_cast<std::size_t>(static_cast<std::int64_t>(at_) + 1 + distance); }

    Register source(const bpf_insn& insn) const {
        return takes_register(insn) ? registers_[insn.src_reg]
                                    : number(static_cast<std::uint64_t>(std::int64_t{insn.imm}));
    }

    Result<> arithmetic(const bpf_insn& insn) {
        Register& to = registers_[insn.dst_reg];
        const Register from = source(insn);
        const unsigned operation = insn.code & 0xf0U;
        if (to.holds == Holds::nothing || from.holds == Holds::nothing) return stop("reads an unset register");
        const bool is_64 = class_of(insn) == BPF_ALU64;
        if (to.is_pointer() || from.is_pointer()) {
            if (!is_64) return stop("cuts a pointer");
            if (operation == BPF_ADD && !(to.is_pointer() && from.is_pointer())) {
                Register sum = to.is_pointer() ? to : from;
                sum.number = to.number + from.number;
                to = sum;
            } else if (operation == BPF_SUB && to.is_pointer() && !from.is_pointer()) {
                to.number -= from.number;
            } else if (operation == BPF_SUB && to.same_object(from)) {
                to = number(to.number - from.number);
            } else if (operation == BPF_OR && to.holds == Holds::stack && !from.is_pointer() && from.number < 8 &&
                       (to.number & from.number) == 0) {
                to.number |= from.number;  // the stack starts at a multiple of eight
            } else {
                return stop("calculates with a pointer");
            }
            return {};
        }
        const bool is_signed = insn.off == 1;
        std::optional<std::uint64_t> result;
        if (is_64)
            result = calculate<std::uint64_t>(operation, is_signed, to.number, from.number);
        else
            result = calculate<std::uint32_t>(operation, is_signed, static_cast<std::uint32_t>(to.number),
                                              static_cast<std::uint32_t>(from.number));
        if (!result) return stop("is no operation");
        to.number = *result;
        return {};
    }

    Result<> swap(const bpf_insn& insn) {
        Register& to = registers_[insn.dst_reg];
        if (to.holds != Holds::number) return stop("swaps what is no number");
        const auto bytes = static_cast<std::size_t>(insn.imm / 8);
        // To little-endian: this machine's order is kept, and the rest cut off.
        const bool swaps = insn.code != (BPF_ALU | BPF_END | BPF_TO_LE);
        std::uint64_t result = 0;
        for (std::size_t at = 0; at < bytes; ++at) {
            const std::uint64_t byte = to.number >> (8 * at) & 0xff;
            result |= byte << (8 * (swaps ? bytes - 1 - at : at));
        }
        to.number = result;
        return {};
    }

    Result<> move(const bpf_insn& insn) {
        Register from = source(insn);
        if (from.holds == Holds::nothing) return stop("reads an unset register");
        if (is_address_space_cast(insn)) return stop("casts between address spaces");
        if (from.is_pointer() && (insn.off != 0 || class_of(insn) == BPF_ALU)) return stop("cuts a pointer");
        if (!from.is_pointer()) {
            from.number = extended(from.number, static_cast<unsigned>(insn.off));
            if (class_of(insn) == BPF_ALU) from.number &= 0xffffffff;
        }
        registers_[insn.dst_reg] = from;
        return {};
    }

    // The bytes of an object that do not change; nothing if it is no such object.
    std::optional<std::span<const std::uint8_t>> constant_bytes(const Register& pointer) const {
        switch (pointer.holds) {
            case Holds::context:
                return context_;
            case Holds::read_only:
                return program_.read_only[pointer.object].bytes;
            case Holds::map_value:
                return program_.maps[pointer.object].entries[pointer.entry].value;
            default:
                return std::nullopt;
        }
    }

    Result<Register> load(const Register& pointer, std::int64_t offset, std::size_t size) const {
        const auto at = static_cast<std::int64_t>(pointer.number + static_cast<std::uint64_t>(offset));
        if (const auto bytes = constant_bytes(pointer)) {
            if (at < 0 || static_cast<std::uint64_t>(at) > bytes->size() ||
                bytes->size() - static_cast<std::uint64_t>(at) < size)
                return stop("reads outside");
            if (pointer.holds == Holds::context && static_cast<std::size_t>(at) % size != 0)
                return stop("reads the context unaligned");
            return number(number_in(bytes->subspan(static_cast<std::size_t>(at), size)));
        }
        if (pointer.holds != Holds::stack) return stop("reads through what is no pointer");
        if (pointer.object >= frames_.size()) return stop("reads the stack of a function that has returned");
        if (at < -stack_size || at + static_cast<std::int64_t>(size) > 0) return stop("reads outside of the stack");
        const Frame& frame = frames_[pointer.object];
        if (const auto found = frame.pointers.find(at); found != frame.pointers.end() && size == 8)
            return found->second;
        Bytes bytes;
        for (std::int64_t one = at; one < at + static_cast<std::int64_t>(size); ++one) {
            const auto byte = frame.bytes.find(one);
            if (byte == frame.bytes.end()) return stop("reads what was not written");
            bytes.push_back(byte->second);
        }
        return number(number_in(bytes));
    }

    Result<> store(const Register& pointer, std::int64_t offset, std::size_t size, const Register& value) {
        const auto at = static_cast<std::int64_t>(pointer.number + static_cast<std::uint64_t>(offset));
        if (pointer.holds != Holds::stack) return stop("writes to what is not the stack");
        if (pointer.object >= frames_.size()) return stop("writes to the stack of a function that has returned");
        if (at < -stack_size || at + static_cast<std::int64_t>(size) > 0) return stop("writes outside of the stack");
        if (value.holds == Holds::nothing) return stop("reads an unset register");
        if (value.is_pointer() && size != 8) return stop("cuts a pointer");
        Frame& frame = frames_[pointer.object];
        // What is left of a pointer of which a part is overwritten is nothing.
        for (std::int64_t one = at - 7; one < at + static_cast<std::int64_t>(size); ++one) frame.pointers.erase(one);
        for (std::size_t one = 0; one < size; ++one) {
            const auto byte = at + static_cast<std::int64_t>(one);
            if (value.is_pointer())
                frame.bytes.erase(byte);
            else
                frame.bytes[byte] = static_cast<std::uint8_t>(value.number >> (8 * one));
        }
        if (value.is_pointer()) frame.pointers[at] = value;
        return {};
    }

    Result<> wide(const bpf_insn& insn) {
        if (at_ + 1 >= program_.code.size()) return stop("runs past the end");
        const auto low = static_cast<std::uint32_t>(insn.imm);
        const auto high = static_cast<std::uint32_t>(program_.code[at_ + 1].imm);
        Register& to = registers_[insn.dst_reg];
        if (insn.src_reg == 0)
            to = number(std::uint64_t{high} << 32 | low);
        else if (insn.src_reg == BPF_PSEUDO_MAP_FD && low < program_.maps.size())
            to = {.holds = Holds::map, .object = low};
        else if (insn.src_reg == BPF_PSEUDO_MAP_VALUE && low < program_.read_only.size())
            to = {.holds = Holds::read_only, .object = low, .number = extended(high, 32)};
        else
            return stop("loads the address of something that is not there");
        at_ += 2;
        return {};
    }

    Result<bool> decide(const bpf_insn& insn) const {
        const Register a = registers_[insn.dst_reg], b = source(insn);
        if (a.holds == Holds::nothing || b.holds == Holds::nothing) return stop("reads an unset register");
        const unsigned operation = insn.code & 0xf0U;
        const bool is_64 = class_of(insn) == BPF_JMP;
        std::optional<bool> result;
        if (a.is_pointer() || b.is_pointer()) {
            const bool is_null_check = is_64 && !b.is_pointer() && b.number == 0;
            if (is_null_check && (operation == BPF_JEQ || operation == BPF_JNE)) return operation == BPF_JNE;
            if (!is_64 || !a.same_object(b)) return stop("compares a pointer");
            // Addresses of one object are ordered as the offsets into it, which count from its start.
            const std::uint64_t start = a.holds == Holds::stack ? stack_size : 0;
            result = compare<std::uint64_t>(operation, a.number + start, b.number + start);
            if (operation == BPF_JSET) return stop("compares a pointer");
        } else if (is_64) {
            result = compare<std::uint64_t>(operation, a.number, b.number);
        } else {
            result = compare<std::uint32_t>(operation, static_cast<std::uint32_t>(a.number),
                                            static_cast<std::uint32_t>(b.number));
        }
        if (!result) return stop("is no comparison");
        return *result;
    }

    Result<> call(const bpf_insn& insn) {
        if (insn.src_reg == BPF_PSEUDO_CALL) {
            if (frames_.size() == most_frames) return stop("calls too deeply");
            Frame frame;
            frame.return_to = at_ + 1;
            for (std::size_t one = 0; one < 4; ++one) frame.saved[one] = std::exchange(registers_[6 + one], {});
            registers_[0] = {};
            frames_.push_back(std::move(frame));
            point_to_stack();
            jump(insn.imm);
            return {};
        }
        if (insn.src_reg != 0 || insn.imm != BPF_FUNC_map_lookup_elem) return stop("calls what a filter cannot");
        if (registers_[1].holds != Holds::map) return stop("looks up in what is no map");
        const std::size_t which = registers_[1].object;
        const Map& map = program_.maps[which];
        Bytes key;
        for (std::uint32_t one = 0; one < map.key_size; ++one) {
            const auto byte = BW_TRY(load(registers_[2], one, 1));
            key.push_back(static_cast<std::uint8_t>(byte.number));
        }
        const auto found = map.find(key);
        for (std::size_t one = 1; one <= 5; ++one) registers_[one] = {};
        registers_[0] = found ? Register{.holds = Holds::map_value, .object = which, .entry = *found} : number(0);
        ++at_;
        return {};
    }

    Result<> exit() {
        const Register& result = registers_[0];
        if (frames_.size() == 1) {
            if (result.holds != Holds::number) return stop("returns what is no number");
            result_ = result.number;
            return {};
        }
        const Frame frame = std::move(frames_.back());
        frames_.pop_back();
        for (std::size_t one = 1; one <= 5; ++one) registers_[one] = {};
        for (std::size_t one = 0; one < 4; ++one) registers_[6 + one] = frame.saved[one];
        point_to_stack();
        at_ = frame.return_to;
        return {};
    }

    const Program& program_;
    std::span<const std::uint8_t> context_;
    std::size_t at_ = 0;
    std::array<Register, 11> registers_;
    std::vector<Frame> frames_;
    std::optional<std::uint64_t> result_;
};

}  // namespace

Result<std::uint64_t> interpret(const Program& program, std::span<const std::uint8_t> context, std::uint64_t steps,
                                std::vector<std::uint32_t>* path) {
    return Machine(program, context).run(steps, path);
}

}  // namespace bpfwarden::bytecode
