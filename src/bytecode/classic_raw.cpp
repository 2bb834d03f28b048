// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "bytecode/classic_text.hpp"

namespace bpfwarden::bytecode {

constexpr std::size_t insn_bytes = 8;

static void put(std::string& bytes, std::uint32_t value, unsigned count) {
    for (unsigned i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
}
static std::uint32_t get(std::string_view bytes, std::size_t at, unsigned count) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < count; ++i) value |= std::uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
    return value;
}

std::string write_raw(Classic program) {
    std::string bytes;
    bytes.reserve(program.size() * insn_bytes);
    for (const auto& insn : program) {
        put(bytes, insn.code, 2);
        put(bytes, insn.jt, 1);
        put(bytes, insn.jf, 1);
        put(bytes, insn.k, 4);
    }
    return bytes;
}

Result<std::vector<sock_filter>> read_raw(std::string_view bytes) {
    const auto refuse = [&](std::string why) {
        return fail(Error(Code::bad_input, fmt::format("{} bytes are no classic BPF program", bytes.size()))
                        .because(std::move(why))
                        .advise("give the instructions alone, as `bpfwarden filter dump --format raw` writes them"));
    };
    if (bytes.empty()) return refuse("there is no instruction");
    if (bytes.size() % insn_bytes != 0) return refuse("each instruction has 8 bytes");
    if (bytes.size() / insn_bytes > classic::max_instructions)
        return refuse("the kernel takes up to 4096 instructions");
    std::vector<sock_filter> program;
    program.reserve(bytes.size() / insn_bytes);
    for (std::size_t at = 0; at < bytes.size(); at += insn_bytes)
        program.push_back({.code = static_cast<std::uint16_t>(get(bytes, at, 2)),
                           .jt = static_cast<std::uint8_t>(get(bytes, at + 2, 1)),
                           .jf = static_cast<std::uint8_t>(get(bytes, at + 3, 1)),
                           .k = get(bytes, at + 4, 4)});
    return program;
}

}  // namespace bpfwarden::bytecode
