// SPDX-License-Identifier: Apache-2.0
#include "filter/lookup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <span>

namespace bpfwarden::filter {

namespace {

using bytecode::Bytes;
using bytecode::MapKind;
using Number = std::uint64_t;

constexpr Number wider_key = 0x62706677;
// Of all keys of a map, where they have several: more do not fit into a filter.
constexpr std::size_t most_parts = 16'384;

// A key in memory, cut into numbers of at most eight bytes.
struct Key {
    struct Part {
        std::uint32_t at = 0, size = 0;
        Term term;
    };
    std::vector<Part> parts;
};

class Lookup {
  public:
    Lookup(const bytecode::Program& program, Terms& terms, Reasoner& reasoner, Machine& machine, const State& state)
        : program_(program), terms_(terms), reasoner_(reasoner), machine_(machine), state_(state) {}

    Result<std::vector<Found>> run() {
        const Value& which = state_.registers[1];
        if (which.kind != ValueKind::map)
            return fail(Error(Code::bad_input, "looks up in what is no map")
                            .advise("give bpfw_has() and bpfw_get() the address of a map by its name"));
        object_ = which.object;
        const auto& map = program_.maps[object_];
        const auto found = [&]() -> Result<> {
            switch (map.kind) {
                case MapKind::array:
                    return in_array(map);
                case MapKind::hash:
                    return in_hash(map);
                case MapKind::lpm_trie:
                    return in_trie(map);
            }
            return {};
        }();
        if (!found) return fail(found.error());
        // What cannot be is left out, and so is what comes after what must be.
        std::vector<Found> left;
        for (auto& one : found_) {
            one.condition = reasoner_.simplify(state_.facts, one.condition);
            if (one.condition == terms_.never()) continue;
            left.push_back(one);
            if (one.condition == terms_.always()) return left;
        }
        left.push_back({terms_.always(), {.kind = ValueKind::missing, .object = object_, .term = terms_.constant(0)}});
        return left;
    }

  private:
    void add(Condition condition, Term entry) {
        found_.push_back(
            {condition, {.kind = ValueKind::map_value, .object = object_, .term = terms_.constant(0), .entry = entry}});
    }

    Result<Key> key(std::uint32_t from, std::uint32_t size) {
        Key key;
        for (std::uint32_t at = from; at < size;) {
            std::uint32_t part = 8;
            while (part > size - at) part /= 2;
            const Value value = BW_TRY(machine_.load(state_, state_.registers[2], at, part));
            if (!value.is_number())
                return fail(
                    Error(Code::bad_input, "uses a pointer as the key of a lookup").advise("use numbers as keys"));
            key.parts.push_back({at, part, value.term});
            at += part;
        }
        const auto& map = program_.maps[object_];
        if (key.parts.size() > 1 && map.entries.size() * key.parts.size() > most_parts)
            return fail(Error(Code::bad_input,
                              fmt::format("looks up one of {} long keys in `{}`", map.entries.size(), map.name))
                            .advise("use keys of at most eight bytes, or fewer"));
        return key;
    }

    // The parts of the key are those of `entry`, of the bits in `mask`.
    Condition matches(const Key& key, std::span<const std::uint8_t> entry, std::span<const std::uint8_t> mask) {
        Condition all = terms_.always();
        for (const auto& part : key.parts) {
            const Number bits = bytecode::number_in(mask.subspan(part.at, part.size));
            const Number value = bytecode::number_in(entry.subspan(part.at, part.size)) & bits;
            all = terms_.both(all, terms_.equal(terms_.binary(TermKind::bit_and, part.term, terms_.constant(bits)),
                                                terms_.constant(value)));
        }
        return all;
    }

    // As a tree, not as a list: whoever takes it apart does so recursively.
    Condition any_of(const Key& key, const bytecode::Map& map, std::span<const std::size_t> entries,
                     std::span<const std::uint8_t> mask) {
        if (entries.size() == 1) return matches(key, map.entries[entries.front()].key, mask);
        const auto half = entries.size() / 2;
        const Condition first = any_of(key, map, entries.first(half), mask);
        return terms_.either(first, any_of(key, map, entries.subspan(half), mask));
    }

    // Entries with equal values are found alike: one condition for all of them.
    void add_group(const Key& key, const bytecode::Map& map, std::span<const std::size_t> entries,
                   std::span<const std::uint8_t> mask) {
        reasoner_.work += entries.size();
        Condition condition = terms_.never();
        if (key.parts.size() == 1) {
            const auto& part = key.parts.front();
            const Number bits = bytecode::number_in(mask.subspan(part.at, part.size));
            std::vector<Number> values;
            for (const auto one : entries)
                values.push_back(bytecode::number_in(std::span(map.entries[one].key).subspan(part.at, part.size)) &
                                 bits);
            condition =
                terms_.one_of(terms_.binary(TermKind::bit_and, part.term, terms_.constant(bits)), std::move(values));
        } else {
            condition = any_of(key, map, entries, mask);
        }
        add(condition, terms_.constant(entries.front()));
    }

    using Groups = std::map<Bytes, std::vector<std::size_t>>;

    Result<> in_array(const bytecode::Map& map) {
        const Key index = BW_TRY(key(0, map.key_size));
        if (index.parts.size() != 1 || map.entries.empty()) return {};
        const Term at = index.parts.front().term;
        const bool all_alike =
            std::ranges::all_of(map.entries, [&](const auto& one) { return one.value == map.entries.front().value; });
        add(terms_.below(at, terms_.constant(map.entries.size())), all_alike ? terms_.constant(0) : at);
        return {};
    }

    Result<> in_hash(const bytecode::Map& map) {
        const Key wanted = BW_TRY(key(0, map.key_size));
        Groups groups;
        for (std::size_t at = 0; at < map.entries.size(); ++at) groups[map.entries[at].value].push_back(at);
        const Bytes whole(map.key_size, 0xff);
        for (const auto& [value, entries] : groups) add_group(wanted, map, entries, whole);
        return {};
    }

    Result<> in_trie(const bytecode::Map& map) {
        const Key length = BW_TRY(key(0, 4));
        const auto range = reasoner_.range(state_.facts, length.parts.front().term);
        if (range.low != range.high)
            return fail(
                Error(Code::bad_input, fmt::format("looks up a prefix in `{}` whose length is not constant", map.name))
                    .advise("give the key's length as a constant, 32 for a whole IPv4 address"));
        // Read even if nothing is found: all of a key must be set.
        const Key wanted = BW_TRY(key(4, map.key_size));
        if (range.low > 8 * (map.key_size - 4)) return {};
        std::map<Number, Groups, std::greater<>> by_length;
        for (std::size_t at = 0; at < map.entries.size(); ++at) {
            const Number bits = bytecode::number_in(std::span(map.entries[at].key).first(4));
            if (bits <= range.low) by_length[bits][map.entries[at].value].push_back(at);
        }
        for (const auto& [bits, groups] : by_length) {
            Bytes mask(map.key_size);
            for (Number bit = 0; bit < bits; ++bit)
                mask[4 + bit / 8] = static_cast<std::uint8_t>(mask[4 + bit / 8] | 0x80U >> (bit % 8));
            for (const auto& [value, entries] : groups) add_group(wanted, map, entries, mask);
        }
        return {};
    }

    const bytecode::Program& program_;
    Terms& terms_;
    Reasoner& reasoner_;
    Machine& machine_;
    const State& state_;
    std::uint32_t object_ = 0;
    std::vector<Found> found_;
};

}  // namespace

Result<std::vector<Found>> look_up(const bytecode::Program& program, Terms& terms, Reasoner& reasoner, Machine& machine,
                                   const State& state) {
    return Lookup(program, terms, reasoner, machine, state).run();
}

std::optional<Term> what_is_cut(const bytecode::Program& program, Terms& terms, Reasoner& reasoner,
                                const State& state) {
    const Value &map = state.registers[1], &given = state.registers[3], &marker = state.registers[4];
    if (marker.kind != ValueKind::number || terms.value(marker.term) != wider_key) return std::nullopt;
    if (map.kind != ValueKind::map || given.kind != ValueKind::number) return std::nullopt;
    const std::uint32_t size = program.maps[map.object].key_size;
    if (size >= 8 || reasoner.range(state.facts, given.term).high >> (8 * size) == 0) return std::nullopt;
    return given.term;
}

}  // namespace bpfwarden::filter
