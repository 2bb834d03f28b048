// SPDX-License-Identifier: Apache-2.0
// Of an object's BTF: how its maps and their contents are declared, and which source line an instruction comes from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "filter/elf_file.hpp"

namespace bpfwarden::filter {

// Ids and members are looked at when they are asked for: an object that is broken somewhere else is no matter.
class ObjectBtf {
  public:
    static Result<ObjectBtf> read(Blob bytes);

    struct Member {
        std::string_view name;
        std::uint32_t type = 0;
        std::uint32_t offset = 0;  // in bytes
    };

    // The type of the variable with this name; 0: there is none.
    std::uint32_t variable(std::string_view name) const;
    // Of a struct, and of what typedefs and qualifiers there are around it; empty if it is none.
    std::vector<Member> members(std::uint32_t type) const;
    // What a pointer points to.
    std::optional<std::uint32_t> pointed_to(std::uint32_t type) const;
    struct Array {
        std::uint32_t element = 0, count = 0;
    };
    std::optional<Array> array(std::uint32_t type) const;
    std::optional<std::uint64_t> size(std::uint32_t type) const;

    std::string_view text(std::uint32_t offset) const { return text_at(strings_, offset); }

  private:
    std::uint32_t plain(std::uint32_t type) const;
    std::optional<std::uint64_t> size(std::uint32_t type, int depth) const;
    struct Type {
        std::uint32_t name = 0, kind = 0, count = 0, other = 0;  // its size or another type
        Blob rest;
    };
    std::vector<Type> types_;  // 0 is void
    Blob strings_;
};

// Line information: of one section of code, by offset in bytes.
struct SourceLine {
    std::uint32_t offset = 0, line = 0;
    std::string_view file, text;
};
// None where there is none, or it is broken: it serves messages only.
std::vector<SourceLine> source_lines(const ObjectBtf& btf, Blob ext, std::string_view section);

}  // namespace bpfwarden::filter
