// SPDX-License-Identifier: Apache-2.0
// What must hold of any bytes given as a filter, an object or plain instructions: used by the fuzzer, and by the replay
// of its corpus in every build.
#pragma once

#include <linux/audit.h>
#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "bytecode/interpret.hpp"
#include "filter/action.hpp"
#include "filter/evaluate.hpp"
#include "filter/object.hpp"

namespace bpfwarden::filter {

// Instructions alone have a map and a table to name.
inline bytecode::Program program_of(Blob bytes) {
    bytecode::Program program;
    program.code.resize(bytes.size() / sizeof(bpf_insn));
    if (!program.code.empty()) std::memcpy(program.code.data(), bytes.data(), program.code.size() * sizeof(bpf_insn));
    program.maps.push_back({.name = "m", .entries = {{{1, 0, 0, 0}, {7}}, {{2, 0, 0, 0}, {8}}}});
    program.read_only.push_back({"t", {1, 2, 3, 4, 5, 6, 7, 8}});
    return program;
}

// Empty if everything holds, else what does not.
inline std::string broken_invariant(Blob bytes) {
    constexpr std::string_view elf = "\177ELF";
    const bool is_object =
        std::ranges::equal(bytes.first(std::min(bytes.size(), elf.size())), elf,
                           [](auto one, char other) { return one == static_cast<std::uint8_t>(other); });
    bytecode::Program program;
    if (is_object) {
        auto object = read_object(bytes, {{"extra", {5, 6}}});
        if (!object) object = read_object(bytes, {});
        if (!object) return object.error().what().empty() ? "a refusal without a word" : "";
        program = std::move(object->program);
    } else {
        program = program_of(bytes);
    }
    EvaluateOptions options;
    options.architectures = {{AUDIT_ARCH_X86_64, "x86_64", {0, 1, 16, 1000, 0x40000000}}};
    options.limits = {.work = 50'000, .terms = 50'000, .nodes = 10'000, .memory = 1'000'000};
    const auto evaluated = evaluate(program, options);
    if (!evaluated) return evaluated.error().what().empty() ? "a refusal without a word" : "";
    // What was accepted is safe, and is the function that was found. Inputs are taken from the bytes themselves.
    for (std::size_t round = 0; round < 8; ++round) {
        Data data;
        for (std::size_t at = 0; at < word_count; ++at)
            for (std::size_t byte = 0; byte < 4 && !bytes.empty(); ++byte)
                data.words[at] = data.words[at] << 8 | bytes[(round * 61 + at * 4 + byte) % bytes.size()];
        data[Word::nr] = round < 5 ? options.architectures.front().numbers[round] : data[Word::nr];
        if (round != 4) data[Word::arch] = AUDIT_ARCH_X86_64;
        std::array<std::uint8_t, 64> context{};
        std::memcpy(context.data(), data.words.data(), context.size());
        const auto plain = bytecode::interpret(program, context);
        if (!plain) return "accepted, and not safe: " + plain.error().what();
        if (evaluated->function.evaluate(data) != normalized(static_cast<std::uint32_t>(*plain)))
            return "evaluated to another action than the program returns";
    }
    return "";
}

}  // namespace bpfwarden::filter
