// SPDX-License-Identifier: Apache-2.0
// What must hold of any bytes given as instructions: used by the fuzzer, and by the replay of its corpus in every
// build.
#pragma once

#include <linux/bpf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bytecode/features.hpp"
#include "bytecode/instruction.hpp"
#include "bytecode/reading.hpp"
#include "bytecode/relocate.hpp"

namespace bpfwarden::bytecode {

// What a reader that knows only calls and 64-bit loads sees, and `reading` does not have.
inline std::string missing_in(const Reading& reading, std::span<const bpf_insn> code) {
    std::size_t maps = 0, symbols = 0, functions = 0;
    for (std::size_t at = 0; at < code.size(); ++at) {
        const auto number = static_cast<std::uint32_t>(code[at].imm);
        if (code[at].code == 0x18) {
            maps += code[at].src_reg == 1 || code[at].src_reg == 2 || code[at].src_reg == 5 || code[at].src_reg == 6;
            symbols += code[at].src_reg == 3;
            functions += code[at].src_reg == 4;
            ++at;
        } else if ((code[at].code & 0xf7) == 0x85 || (code[at].code & 0xf7) == 0x86) {
            const auto source = code[at].src_reg;
            if (source == 0 && number < first_poison && !std::ranges::binary_search(reading.helpers, number))
                return "helper " + std::to_string(number);
            if (source == 2 && (number != 0 || code[at].off != 0) &&
                !std::ranges::binary_search(reading.kfuncs, Kfunc{number, static_cast<std::uint16_t>(code[at].off)}))
                return "kfunc " + std::to_string(number);
            functions += source == 1;
        }
    }
    if (maps != reading.maps.size()) return "a map";
    if (symbols != reading.symbols.size()) return "a symbol";
    if (functions != reading.calls + reading.callbacks) return "a function";
    return "";
}

// Empty if everything holds, else what does not.
inline std::string broken_invariant(std::span<const std::byte> bytes) {
    std::vector<bpf_insn> code(bytes.size() / sizeof(bpf_insn));
    if (!code.empty()) std::memcpy(code.data(), bytes.data(), code.size() * sizeof(bpf_insn));
    const auto is_same = [](const auto& one, const auto& other) {
        return one.size() == other.size() &&
               (one.empty() || std::memcmp(one.data(), other.data(), one.size() * sizeof(bpf_insn)) == 0);
    };
    // Safe with anything; of use only with what can be read.
    const auto form = canonical(code);
    if (!is_same(canonical(form), form)) return "the canonical form has another canonical form";

    const auto reading = read(code);
    if (!reading) return reading.error().number() == 0 ? "a refusal without errno" : "";
    if (const auto missed = missing_in(*reading, code); !missed.empty()) return missed + " was not read";
    if (reading->instructions != code.size()) return "another number of instructions";
    if (reading->trivial && reading->instructions != 2) return "trivial with more than two instructions";
    if (reading->subprograms > reading->calls + reading->callbacks + 1) return "more functions than uses of them";
    std::vector<std::string_view> names(reading->kfuncs.size(), "bpf_iter_num_new");
    const auto asked = features({.reading = *reading, .kfuncs = names, .map_types = {}});
    if (!asked) return "no features";
    if (std::set(asked->names.begin(), asked->names.end()).size() != asked->names.size()) return "a feature twice";

    auto moved = code;
    std::map<std::pair<bool, std::uint32_t>, int> maps;
    std::map<std::uint32_t, int> btfs;
    const auto done = rewrite(
        moved, *reading,
        [&](const MapReference& map) -> Result<int> {
            const bool by_index = map.by == MapBy::index || map.by == MapBy::index_value;
            return maps.try_emplace({by_index, map.number}, static_cast<int>(1000 + maps.size())).first->second;
        },
        [&](const KernelSymbol& symbol) -> Result<int> {
            return btfs.try_emplace(symbol.btf_fd, static_cast<int>(2000 + btfs.size())).first->second;
        });
    if (!done) return "what was read cannot be rewritten: " + done.error().what();
    if (!is_same(canonical(moved), form)) return "rewriting changes the canonical form";
    auto again = read(moved);
    if (!again) return "what was rewritten cannot be read";
    if (again->maps.size() != reading->maps.size()) return "rewriting loses a map";
    for (const auto& map : again->maps)
        if (map.number < 1000 || map.by == MapBy::index || map.by == MapBy::index_value) return "a map was left alone";
    for (const auto& symbol : again->symbols)
        if (symbol.btf_fd != 0 && symbol.btf_fd < 2000) return "a BTF fd was left alone";
    again->maps = reading->maps;
    again->symbols = reading->symbols;
    if (!(*again == *reading)) return "rewriting changes more than maps and symbols";
    return "";
}

}  // namespace bpfwarden::bytecode
