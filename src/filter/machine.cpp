// SPDX-License-Identifier: Apache-2.0
#include "filter/machine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>

#include "bytecode/instruction.hpp"
#include "filter/flow.hpp"

namespace bpfwarden::filter {

using bytecode::Kind;

namespace {

using Number = std::uint64_t;

Failure refuse(std::string what, std::string hint) {
    return fail(Error(Code::bad_input, std::move(what)).advise(std::move(hint)));
}

constexpr Number mask_of(unsigned bits) { return bits >= 64 ? ~Number{0} : (Number{1} << bits) - 1; }
Number extended(std::int32_t value) { return static_cast<Number>(std::int64_t{value}); }

std::uint32_t width(const bpf_insn& insn) {
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

std::optional<TermKind> kind_of_operation(const bpf_insn& insn) {
    const bool is_signed = insn.off == 1;
    switch (insn.code & 0xf0U) {
        case BPF_ADD:
        case BPF_SUB:
            return TermKind::add;
        case BPF_MUL:
            return TermKind::multiply;
        case BPF_DIV:
            return is_signed ? TermKind::divide_signed : TermKind::divide;
        case BPF_MOD:
            return is_signed ? TermKind::modulo_signed : TermKind::modulo;
        case BPF_OR:
            return TermKind::bit_or;
        case BPF_AND:
            return TermKind::bit_and;
        case BPF_XOR:
            return TermKind::bit_xor;
        case BPF_LSH:
            return TermKind::shift_left;
        case BPF_RSH:
            return TermKind::shift_right;
        case BPF_ARSH:
            return TermKind::shift_right_signed;
        default:
            return std::nullopt;
    }
}

// Is it a hash, rather than a part of a number? Each entry of a table would be a case of its own.
constexpr Number most_mixed = 64;
bool mixes(const Terms& terms, Term term, int depth) {
    const auto view = terms[term];
    if (view.kind < TermKind::add || view.kind > TermKind::shift_right_signed || depth > 6) return false;
    const bool by_constant = terms.value(view.b).has_value();
    if (view.kind == TermKind::multiply || view.kind == TermKind::modulo) return true;
    if ((view.kind == TermKind::bit_xor || view.kind == TermKind::add) && !by_constant) return true;
    return mixes(terms, view.a, depth + 1) || mixes(terms, view.b, depth + 1);
}

constexpr const char* keep_pointers =
    "use pointers only to read what they point to: a filter's result cannot depend on addresses";

}  // namespace

Machine::Machine(const bytecode::Program& program, Terms& terms, Reasoner& reasoner)
    : program_(program), terms_(terms), reasoner_(reasoner) {
    for (unsigned one = 0; one < word_count; ++one) words[one] = terms_.word(static_cast<Word>(one));
    for (const auto& map : program.maps) {
        auto& all = values_.emplace_back();
        for (const auto& entry : map.entries) all.insert(all.end(), entry.value.begin(), entry.value.end());
    }
}

State Machine::start() const {
    State state;
    state.frames.emplace_back();
    state.registers[1] = {.kind = ValueKind::context, .term = constant(0)};
    state.point_to_stack(constant(0));
    return state;
}

Term Machine::low(Term a, unsigned bits) { return binary(TermKind::bit_and, a, constant(mask_of(bits))); }

std::string Machine::name_of(const Value& value) const {
    switch (value.kind) {
        case ValueKind::unset:
            return "a register that was not set";
        case ValueKind::number:
            return "a number";
        case ValueKind::missing:
            return fmt::format("the null pointer of a lookup in `{}`", program_.maps[value.object].name);
        case ValueKind::context:
            return "struct seccomp_data";
        case ValueKind::stack:
            return "the stack";
        case ValueKind::read_only:
            return fmt::format("constant data (`{}`)", program_.read_only[value.object].name);
        case ValueKind::map:
            return fmt::format("the map `{}`", program_.maps[value.object].name);
        case ValueKind::map_value:
            return fmt::format("a value of the map `{}`", program_.maps[value.object].name);
    }
    return "";
}

Result<Value> Machine::read(const State& state, unsigned which) const {
    const Value& value = state.registers[which];
    if (value.kind != ValueKind::unset) return value;
    return refuse(fmt::format("uses a value that was not set (register r{})", which),
                  "give every variable a value on every path before it is used");
}

Result<Value> Machine::source(const State& state, const bpf_insn& insn) const {
    if (bytecode::takes_register(insn)) return read(state, insn.src_reg);
    return number(extended(insn.imm));
}

Result<> Machine::compute(State& state, const bpf_insn& insn) {
    Value& to = state.registers[insn.dst_reg];
    const auto kind = bytecode::kind_of(insn);
    switch (kind) {
        case Kind::arithmetic:
            to = BW_TRY(arithmetic(state, insn));
            break;
        case Kind::negate:
        case Kind::byte_swap: {
            const Value a = BW_TRY(read(state, insn.dst_reg));
            if (!a.is_number()) return refuse("calculates with a pointer to " + name_of(a), keep_pointers);
            if (kind == Kind::byte_swap) {
                to = swap(insn, a.term);
            } else {
                const Term negative = terms_.subtract(constant(0), a.term);
                to = {.kind = ValueKind::number,
                      .term = bytecode::class_of(insn) == BPF_ALU ? low(negative, 32) : negative};
            }
            break;
        }
        case Kind::move:
            to = BW_TRY(move(state, insn));
            break;
        case Kind::load: {
            const Value pointer = BW_TRY(read(state, insn.src_reg));
            Value value = BW_TRY(load(state, pointer, insn.off, width(insn)));
            if ((insn.code & 0xe0U) == BPF_MEMSX) {
                if (!value.is_number()) return refuse("takes a pointer apart", keep_pointers);
                value = {.kind = ValueKind::number, .term = terms_.sign_extend(value.term, 8 * width(insn))};
            }
            to = value;
            break;
        }
        case Kind::store:
        case Kind::store_constant:
            BW_TRY(store(state, insn));
            break;
        case Kind::wide:
            to = BW_TRY(wide(state, insn));
            ++state.at;
            break;
        default:
            return refuse("uses an instruction that a filter cannot have", "");
    }
    ++state.at;
    return {};
}

// ---- arithmetic

Result<Value> Machine::arithmetic(const State& state, const bpf_insn& insn) {
    const Value left = BW_TRY(read(state, insn.dst_reg));
    const Value right = BW_TRY(source(state, insn));
    const bool is_64 = bytecode::class_of(insn) == BPF_ALU64;
    if (left.is_pointer() || right.is_pointer()) {
        if (!is_64) return refuse("cuts a pointer to 32 bits", keep_pointers);
        return with_pointer(insn, left, right);
    }
    const auto kind = kind_of_operation(insn);
    if (!kind) return refuse("uses an unknown instruction", "");
    Term a = left.term, b = right.term;
    const unsigned bits = is_64 ? 64 : 32;
    const bool is_shift =
        *kind == TermKind::shift_left || *kind == TermKind::shift_right || *kind == TermKind::shift_right_signed;
    const bool is_signed = *kind == TermKind::divide_signed || *kind == TermKind::modulo_signed;
    if (!is_64) {
        a = is_signed || *kind == TermKind::shift_right_signed ? terms_.sign_extend(a, 32) : low(a, 32);
        b = is_signed ? terms_.sign_extend(b, 32) : low(b, 32);
    }
    if (is_shift) b = binary(TermKind::bit_and, b, constant(bits - 1));
    Term result;
    if ((insn.code & 0xf0U) == BPF_SUB)
        result = terms_.subtract(a, b);
    else if (is_signed || *kind == TermKind::divide || *kind == TermKind::modulo)
        result = is_64 ? BW_TRY(divide(state, *kind, a, b)) : binary(*kind, a, b);
    else
        result = binary(*kind, a, b);
    return Value{.kind = ValueKind::number, .term = is_64 ? result : low(result, 32)};
}

Result<Term> Machine::divide(const State& state, TermKind kind, Term a, Term b) {
    if (!terms_.value(b)) {
        const auto fits = [&](Term term) { return reasoner_.range(state.facts, term).high <= 0xffffffff; };
        if (!fits(a) || !fits(b))
            return refuse(
                "divides 64-bit numbers by one that is not constant",
                "divide by a constant, or cast both to __u32: classic BPF has no 64-bit division, and to do it "
                "without takes thousands of instructions");
    }
    return binary(kind, a, b);
}

Result<Value> Machine::with_pointer(const bpf_insn& insn, const Value& a, const Value& b) {
    const unsigned operation = insn.code & 0xf0U;
    const auto moved = [&](Value pointer, Term by) -> Result<Value> {
        if (pointer.kind == ValueKind::map)
            return refuse("calculates with the address of " + name_of(pointer), keep_pointers);
        pointer.term = binary(TermKind::add, pointer.term, by);
        return pointer;
    };
    if (operation == BPF_ADD && !b.is_pointer()) return moved(a, b.term);
    if (operation == BPF_ADD && !a.is_pointer()) return moved(b, a.term);
    if (operation == BPF_SUB && !b.is_pointer()) return moved(a, terms_.subtract(constant(0), b.term));
    if (operation == BPF_SUB && a.same_object(b))
        return Value{.kind = ValueKind::number, .term = terms_.subtract(a.term, b.term)};
    // The compiler adds so where it knows that both have no bit in common: the stack starts at a multiple of eight.
    if (operation == BPF_OR && a.kind == ValueKind::stack && !b.is_pointer()) {
        const auto at = terms_.value(a.term);
        if (at && (terms_.bits(b.term) & ~Number{7}) == 0 && (terms_.bits(b.term) & *at) == 0) return moved(a, b.term);
    }
    return refuse("calculates with a pointer to " + name_of(a.is_pointer() ? a : b), keep_pointers);
}

Result<Value> Machine::move(const State& state, const bpf_insn& insn) {
    Value from = BW_TRY(source(state, insn));
    const bool is_64 = bytecode::class_of(insn) == BPF_ALU64;
    if (bytecode::is_address_space_cast(insn))
        return refuse("uses an arena", "a filter has maps of constant contents only");
    if (from.is_pointer()) {
        if (!is_64 || insn.off != 0) return refuse("cuts a pointer to " + name_of(from), keep_pointers);
        return from;
    }
    if (is_64 && insn.off == 0) return from;
    Term term = insn.off == 0 ? from.term : terms_.sign_extend(from.term, static_cast<unsigned>(insn.off));
    return Value{.kind = ValueKind::number, .term = is_64 ? term : low(term, 32)};
}

Result<Value> Machine::wide(const State& state, const bpf_insn& insn) {
    if (state.at + 1 >= program_.code.size()) return refuse("ends within an instruction", "");
    const auto first = static_cast<std::uint32_t>(insn.imm);
    const std::int32_t second = program_.code[state.at + 1].imm;
    if (insn.src_reg == 0) return number(Number{static_cast<std::uint32_t>(second)} << 32 | first);
    if (insn.src_reg == BPF_PSEUDO_MAP_FD && first < program_.maps.size())
        return Value{.kind = ValueKind::map, .object = first, .term = constant(0)};
    if (insn.src_reg == BPF_PSEUDO_MAP_VALUE && first < program_.read_only.size())
        return Value{.kind = ValueKind::read_only, .object = first, .term = constant(extended(second))};
    if (insn.src_reg == BPF_PSEUDO_FUNC)
        return refuse("takes the address of a function",
                      "call functions by their names: choose with `switch` or `if` which one to call");
    return refuse("takes the address of something that a filter cannot have",
                  "use constant data and the maps of bpfwarden/seccomp_filter.h");
}

Value Machine::swap(const bpf_insn& insn, Term a) {
    const auto bits = static_cast<unsigned>(insn.imm);
    if (insn.code == (BPF_ALU | BPF_END | BPF_TO_LE)) return {.kind = ValueKind::number, .term = low(a, bits)};
    Term result = constant(0);
    for (unsigned at = 0; at < bits; at += 8) {
        const Term byte = low(binary(TermKind::shift_right, a, constant(at)), 8);
        result = binary(TermKind::bit_or, result, binary(TermKind::shift_left, byte, constant(bits - 8 - at)));
    }
    return {.kind = ValueKind::number, .term = result};
}

// ---- conditions

bool Machine::assume(Facts& facts, const bpf_insn& insn, const Comparison& comparison, bool taken) {
    if (!reasoner_.assume(facts, comparison.condition, taken)) return false;
    const auto known = terms_.value(comparison.b);
    if (!known) return true;
    const Number k = *known, most = mask_of(64);
    const auto limit = [&](Range range) { return reasoner_.limit(facts, comparison.a, range); };
    const auto below = [&](Number bound) { return bound != 0 && limit({0, bound - 1}); };
    const auto above = [&](Number bound) { return bound != most && limit({bound + 1, most}); };
    switch (insn.code & 0xf0U) {
        case BPF_JEQ:
            return !taken || limit({k, k});
        case BPF_JNE:
            return taken || limit({k, k});
        case BPF_JGT:
            return taken ? above(k) : limit({0, k});
        case BPF_JGE:
            return taken ? limit({k, most}) : below(k);
        case BPF_JLT:
            return taken ? below(k) : limit({k, most});
        case BPF_JLE:
            return taken ? limit({0, k}) : above(k);
        default:
            return true;
    }
}

Result<Machine::Comparison> Machine::compare(const State& state, const bpf_insn& insn) {
    const Value left = BW_TRY(read(state, insn.dst_reg));
    const Value right = BW_TRY(source(state, insn));
    const unsigned operation = insn.code & 0xf0U;
    const bool is_64 = bytecode::class_of(insn) == BPF_JMP;
    const bool is_signed =
        operation == BPF_JSGT || operation == BPF_JSGE || operation == BPF_JSLT || operation == BPF_JSLE;
    Term a = left.term, b = right.term;
    if (left.is_pointer() || right.is_pointer()) {
        const bool against_null = is_64 && !right.is_pointer() && terms_.value(right.term) == 0;
        if (against_null && (operation == BPF_JEQ || operation == BPF_JNE))
            return Comparison{terms_.truth(operation == BPF_JNE), a, a};
        // Addresses of one object are ordered as the offsets into it.
        if (!is_64 || !left.same_object(right) || operation == BPF_JSET)
            return refuse("compares a pointer to " + name_of(left.is_pointer() ? left : right),
                          "compare a pointer with null, or two into the same array");
        const Number start = left.kind == ValueKind::stack ? stack_size : 0;
        for (Term* one : {&a, &b}) {
            *one = binary(TermKind::add, *one, constant(start));
            if (operation != BPF_JEQ && operation != BPF_JNE && reasoner_.range(state.facts, *one).high > 0xffffffff)
                return refuse("compares a pointer that may be outside of " + name_of(left),
                              "compare indices instead of pointers");
        }
    } else if (!is_64) {
        a = is_signed ? terms_.sign_extend(a, 32) : low(a, 32);
        b = is_signed ? terms_.sign_extend(b, 32) : low(b, 32);
    }
    switch (operation) {
        case BPF_JEQ:
            return Comparison{terms_.equal(a, b), a, b};
        case BPF_JNE:
            return Comparison{terms_.opposite(terms_.equal(a, b)), a, b};
        case BPF_JSET:
            return Comparison{terms_.opposite(terms_.equal(binary(TermKind::bit_and, a, b), constant(0))), a, b};
        case BPF_JGT:
            return Comparison{terms_.below(b, a), a, b};
        case BPF_JGE:
            return Comparison{terms_.opposite(terms_.below(a, b)), a, b};
        case BPF_JLT:
            return Comparison{terms_.below(a, b), a, b};
        case BPF_JLE:
            return Comparison{terms_.opposite(terms_.below(b, a)), a, b};
        case BPF_JSGT:
            return Comparison{terms_.below_signed(b, a), a, b};
        case BPF_JSGE:
            return Comparison{terms_.opposite(terms_.below_signed(a, b)), a, b};
        case BPF_JSLT:
            return Comparison{terms_.below_signed(a, b), a, b};
        case BPF_JSLE:
            return Comparison{terms_.opposite(terms_.below_signed(b, a)), a, b};
        default:
            return refuse("uses an unknown comparison", "");
    }
}

// ---- memory

Result<Value> Machine::load(const State& state, const Value& pointer, std::int64_t offset, std::uint32_t size) {
    const Term at = binary(TermKind::add, pointer.term, constant(static_cast<Number>(offset)));
    switch (pointer.kind) {
        case ValueKind::context:
            return load_context(state, at, size);
        case ValueKind::stack:
            return load_stack(state, pointer, at, size);
        case ValueKind::read_only:
            return load_bytes(state, program_.read_only[pointer.object].bytes, name_of(pointer), at, size);
        case ValueKind::map_value: {
            const auto& map = program_.maps[pointer.object];
            const auto range = reasoner_.range(state.facts, at);
            if (range.high > map.value_size || map.value_size - range.high < size)
                return refuse(
                    fmt::format("may read outside of {}, which has {} bytes", name_of(pointer), map.value_size),
                    "look at the type that the map's values have");
            // The entry is known to be one of them: what it is computed from may say less.
            if (range.low == range.high)
                return Value{.kind = ValueKind::number,
                             .term = BW_TRY(entry_of(state, values_[pointer.object], range.low, map.value_size,
                                                     pointer.entry, size))};
            const Term whole =
                binary(TermKind::add, at, binary(TermKind::multiply, pointer.entry, constant(map.value_size)));
            return load_bytes(state, values_[pointer.object], name_of(pointer), whole, size);
        }
        case ValueKind::missing:
            return refuse(fmt::format("reads what a lookup in `{}` found, and it may have found nothing",
                                      program_.maps[pointer.object].name),
                          "compare the pointer with null first: `if (p) … *p …`");
        case ValueKind::unset:
            return refuse("reads through a pointer that was not set", "give every variable a value before it is used");
        default:
            return refuse("reads memory through " + name_of(pointer),
                          "read only seccomp_data, local variables, constant data and the values of maps");
    }
}

Result<Value> Machine::load_context(const State& state, Term offset, std::uint32_t size) {
    const auto range = reasoner_.range(state.facts, offset);
    if (range.low != range.high)
        return refuse("reads a field of struct seccomp_data that is not the same one for every input",
                      "choose the argument by the system call or a constant: `switch` over the index");
    const Number at = range.low;
    if (at >= 4 * word_count || 4 * word_count - at < size)
        return refuse("reads outside of struct seccomp_data, which has 64 bytes",
                      "look at the index of args[]: there are six");
    if (at % size != 0)
        return refuse("reads struct seccomp_data at an address that is no multiple of what it reads",
                      "read whole fields, and take them apart with shifts");
    if (at < 8) reasoner_.looked_at |= (at < 4 ? 1U : 0U) | (at + size > 4 ? 2U : 0U);
    const Term word = words[at / 4];
    if (size == 8)
        return Value{
            .kind = ValueKind::number,
            .term = binary(TermKind::bit_or, word, binary(TermKind::shift_left, words[at / 4 + 1], constant(32)))};
    return Value{.kind = ValueKind::number,
                 .term = low(binary(TermKind::shift_right, word, constant(8 * (at % 4))), 8 * size)};
}

Result<Value> Machine::load_bytes(const State& state, std::span<const std::uint8_t> bytes, std::string_view name,
                                  Term offset, std::uint32_t size) {
    const auto range = reasoner_.range(state.facts, offset);
    if (range.high > bytes.size() || bytes.size() - range.high < size) {
        return refuse(
            fmt::format("{} outside of {}, which has {} bytes", range.low == range.high ? "reads" : "may read", name,
                        bytes.size()),
            "compare the index with the number of entries first, as an unsigned number: `if (i >= N) return …`; "
            "what looks numbers up is better a BPFW_SET or BPFW_MAP, which become a search");
    }
    return Value{.kind = ValueKind::number, .term = BW_TRY(pick(state, bytes, offset, size))};
}

// The number at `offset`, which is known to be inside: as a table over what the offset is computed from.
Result<Term> Machine::pick(const State& state, std::span<const std::uint8_t> bytes, Term offset, std::uint32_t size) {
    const auto whole = reasoner_.range(state.facts, offset);
    if (whole.low == whole.high) return constant(bytecode::number_in(bytes.subspan(whole.low, size)));
    // offset = base + stride * index
    Number base = 0;
    Term rest = offset;
    for (;;) {
        const auto view = terms_[rest];
        const bool adds = view.kind == TermKind::add ||
                          (view.kind == TermKind::bit_or && (terms_.bits(view.a) & terms_.bits(view.b)) == 0);
        const auto more = adds ? terms_.value(view.b) : std::nullopt;
        if (!more) break;
        base += *more;
        rest = view.a;
    }
    Number stride = Number{1} << std::countr_zero(terms_.bits(rest) | Number{1} << 63);
    Term index = binary(TermKind::shift_right, rest, constant(static_cast<Number>(std::countr_zero(stride))));
    if (const auto view = terms_[rest]; view.kind == TermKind::multiply)
        // Unless the product wraps.
        if (const auto by = terms_.value(view.b);
            by && *by != 0 && reasoner_.range(state.facts, view.a).high <= mask_of(64) / *by) {
            stride = *by;
            index = view.a;
        }
    return entry_of(state, bytes, base, stride, index, size);
}

// The number at base + stride * index, as a table over the index.
Result<Term> Machine::entry_of(const State& state, std::span<const std::uint8_t> bytes, std::uint64_t base,
                               std::uint64_t stride, Term index, std::uint32_t size) {
    const auto range = reasoner_.range(state.facts, index);
    if (range.high - range.low >= most_entries)
        return refuse(fmt::format("reads a table at an index that may be any from {} to {}", range.low, range.high),
                      fmt::format("use an index of at most {} values; to look a number up among many (also where it is "
                                  "hashed), use BPFW_SET or BPFW_MAP, which become a search",
                                  most_entries));
    const Number entries = std::bit_ceil(range.high - range.low + 1);
    if (entries > most_mixed && mixes(terms_, index, 0))
        return refuse(
            fmt::format("reads a table of {} entries at an index that mixes bits: a hash", entries),
            "to look a number up among many, use BPFW_SET or BPFW_MAP, which become a search: a hash would become "
            "a case for each entry");
    std::vector<Number> values;
    values.reserve(entries);
    // What cannot be is what its neighbour is.
    Number last = 0;
    for (Number one = 0; one < entries; ++one) {
        const Number at = base + stride * (range.low + one);
        if (one <= range.high - range.low && at <= bytes.size() && bytes.size() - at >= size)
            last = bytecode::number_in(bytes.subspan(at, size));
        values.push_back(last);
    }
    reasoner_.work += entries;
    if (range.low == range.high) return constant(last);
    if (range.low != 0) index = terms_.subtract(index, constant(range.low));
    return terms_.table(binary(TermKind::bit_and, index, constant(entries - 1)), std::move(values));
}

Result<Value> Machine::load_stack(const State& state, const Value& pointer, Term offset, std::uint32_t size) {
    if (pointer.object >= state.frames.size())
        return refuse("reads a local variable of a function that has returned",
                      "return values, not pointers to locals");
    const auto& stack = state.frames[pointer.object].stack;
    const auto range = reasoner_.range(state.facts, binary(TermKind::add, offset, constant(stack_size)));
    if (range.high > stack_size || stack_size - range.high < size)
        return refuse("may read outside of the stack", "compare the index with the number of elements first");
    const auto first = static_cast<std::int32_t>(range.low) - static_cast<std::int32_t>(stack_size);
    const auto last = static_cast<std::int32_t>(range.high) - static_cast<std::int32_t>(stack_size);
    const auto unset = [] {
        return refuse(
            "reads a local variable, or a part of one, that was not set",
            "give every variable a value on every path before it is used, padding too where it is part of a key");
    };
    if (first == last) {
        Term result = constant(0);
        std::int32_t at = first;
        const std::int32_t end = first + static_cast<std::int32_t>(size);
        auto slot = std::ranges::find_if(stack, [&](const Slot& one) { return one.at + one.size > at; });
        for (; at < end; ++slot) {
            if (slot == stack.end() || slot->at > at) return unset();
            if (slot->at == first && slot->size == static_cast<std::int32_t>(size)) return slot->value;
            if (!slot->value.is_number()) return refuse("takes a pointer apart", keep_pointers);
            const std::int32_t upto = std::min(end, slot->at + slot->size);
            const Term part =
                low(binary(TermKind::shift_right, slot->value.term, constant(static_cast<Number>(8 * (at - slot->at)))),
                    static_cast<unsigned>(8 * (upto - at)));
            result = binary(TermKind::bit_or, result,
                            binary(TermKind::shift_left, part, constant(static_cast<Number>(8 * (at - first)))));
            at = upto;
        }
        return Value{.kind = ValueKind::number, .term = result};
    }
    // An array of constants can be read at any index.
    bytecode::Bytes bytes;
    for (const auto& slot : stack) {
        const std::int32_t from = std::max(slot.at, first);
        const std::int32_t upto = std::min(slot.at + slot.size, last + static_cast<std::int32_t>(size));
        if (from >= upto) continue;
        if (from != first + static_cast<std::int32_t>(bytes.size())) return unset();
        const auto value = slot.value.is_number() ? terms_.value(slot.value.term) : std::nullopt;
        if (!value)
            return refuse("reads a local array at an index that is not constant, and its elements are not constants",
                          "make the array `static const`, or write the loop so that its bounds are constants");
        const auto all = bytecode::bytes_of(*value, static_cast<std::size_t>(slot.size));
        bytes.insert(bytes.end(), all.begin() + (from - slot.at), all.begin() + (upto - slot.at));
    }
    if (bytes.size() != static_cast<std::size_t>(last - first) + size) return unset();
    const Term inside = terms_.subtract(offset, constant(static_cast<Number>(std::int64_t{first})));
    return Value{.kind = ValueKind::number, .term = BW_TRY(pick(state, bytes, inside, size))};
}

Result<> Machine::store(State& state, const bpf_insn& insn) {
    const Value pointer = BW_TRY(read(state, insn.dst_reg));
    Value value =
        bytecode::kind_of(insn) == Kind::store ? BW_TRY(read(state, insn.src_reg)) : number(extended(insn.imm));
    if (pointer.kind != ValueKind::stack) {
        if (pointer.is_pointer())
            return refuse("writes to " + name_of(pointer),
                          "write to local variables only: a filter has no side effect");
        return refuse("writes through " + name_of(pointer),
                      "write to local variables only: a filter has no side effect");
    }
    if (pointer.object >= state.frames.size())
        return refuse("writes to a local variable of a function that has returned",
                      "return values, not pointers to locals");
    const auto size = static_cast<std::int32_t>(width(insn));
    const auto range = reasoner_.range(
        state.facts,
        binary(TermKind::add, pointer.term, constant(static_cast<Number>(std::int64_t{insn.off} + stack_size))));
    if (range.low != range.high)
        return refuse("writes to a local array at an index that is not constant",
                      "write the loop so that its bounds are constants, or compute the value without an array");
    if (range.high > stack_size || stack_size - range.high < static_cast<Number>(size))
        return refuse("writes outside of the stack, which has 512 bytes", "look at the index");
    if (value.is_pointer() && size != 8) return refuse("cuts a pointer to " + name_of(value), keep_pointers);
    if (value.is_number() && size < 8)
        value = {.kind = ValueKind::number, .term = low(value.term, static_cast<unsigned>(8 * size))};

    const auto at = static_cast<std::int32_t>(range.low) - static_cast<std::int32_t>(stack_size);
    auto& stack = state.frames[pointer.object].stack;
    std::vector<Slot> now;
    now.reserve(stack.size() + 2);
    const auto keep = [&](const Slot& slot, std::int32_t from, std::int32_t upto) {
        if (from >= upto) return;
        if (from == slot.at && upto == slot.at + slot.size) {
            now.push_back(slot);
        } else if (slot.value.is_number()) {  // what is left of a pointer is nothing
            const Term part =
                low(binary(TermKind::shift_right, slot.value.term, constant(static_cast<Number>(8 * (from - slot.at)))),
                    static_cast<unsigned>(8 * (upto - from)));
            now.push_back({from, upto - from, {.kind = ValueKind::number, .term = part}});
        }
    };
    for (const auto& slot : stack) keep(slot, slot.at, std::min(slot.at + slot.size, at));
    now.push_back({at, size, value});
    for (const auto& slot : stack) keep(slot, std::max(slot.at, at + size), slot.at + slot.size);
    stack = std::move(now);
    return {};
}

}  // namespace bpfwarden::filter
