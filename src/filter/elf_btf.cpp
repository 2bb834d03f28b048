// SPDX-License-Identifier: Apache-2.0
#include "filter/elf_btf.hpp"

#include <linux/btf.h>

#include <algorithm>
#include <array>
#include <cstddef>

namespace bpfwarden::filter {

namespace {

// Types may refer to themselves.
constexpr int deepest = 16;

// How many bytes follow the head of a type; nothing: there is no such kind.
std::optional<std::size_t> bytes_after(std::uint32_t kind, std::size_t count) {
    switch (kind) {
        case BTF_KIND_PTR:
        case BTF_KIND_FWD:
        case BTF_KIND_TYPEDEF:
        case BTF_KIND_VOLATILE:
        case BTF_KIND_CONST:
        case BTF_KIND_RESTRICT:
        case BTF_KIND_FUNC:
        case BTF_KIND_FLOAT:
        case BTF_KIND_TYPE_TAG:
            return 0;
        case BTF_KIND_INT:
        case BTF_KIND_VAR:
        case BTF_KIND_DECL_TAG:
            return 4;
        case BTF_KIND_ARRAY:
            return sizeof(btf_array);
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
            return count * sizeof(btf_member);
        case BTF_KIND_ENUM:
            return count * sizeof(btf_enum);
        case BTF_KIND_FUNC_PROTO:
            return count * sizeof(btf_param);
        case BTF_KIND_DATASEC:
            return count * sizeof(btf_var_secinfo);
        case BTF_KIND_ENUM64:
            return count * sizeof(btf_enum64);
        default:
            return std::nullopt;
    }
}

Failure broken(std::string why) {
    return fail(Error(Code::bad_input, "the object's BTF cannot be read")
                    .because(std::move(why))
                    .advise("compile it with clang -target bpf -O2 -g"));
}

std::uint32_t word(Blob blob, std::size_t at) { return number_at<std::uint32_t>(blob, at); }

}  // namespace

Result<ObjectBtf> ObjectBtf::read(Blob bytes) {
    if (bytes.size() < sizeof(btf_header) || number_at<std::uint16_t>(bytes, 0) != BTF_MAGIC)
        return broken("it does not start as BTF does");
    const std::size_t header = word(bytes, offsetof(btf_header, hdr_len));
    if (header < sizeof(btf_header) || header > bytes.size()) return broken("its header is not inside");
    const Blob rest = bytes.subspan(header);
    const auto part = [&](std::size_t at) -> std::optional<Blob> {
        const std::uint32_t offset = word(bytes, at), size = word(bytes, at + 4);
        if (!is_inside(rest.size(), offset, size)) return std::nullopt;
        return rest.subspan(offset, size);
    };
    const auto types = part(offsetof(btf_header, type_off)), strings = part(offsetof(btf_header, str_off));
    if (!types || !strings) return broken("its types or names are not inside");

    ObjectBtf btf;
    btf.strings_ = *strings;
    btf.types_.emplace_back();
    for (std::size_t at = 0; is_inside(types->size(), at, sizeof(btf_type));) {
        const std::uint32_t info = word(*types, at + 4);
        Type type{
            .name = word(*types, at), .kind = info >> 24 & 0x1f, .count = info & 0xffff, .other = word(*types, at + 8)};
        at += sizeof(btf_type);
        const auto size = bytes_after(type.kind, type.count);
        if (!size || !is_inside(types->size(), at, *size))
            return broken("it has a type of an unknown kind, or half of one");
        type.rest = types->subspan(at, *size);
        at += *size;
        btf.types_.push_back(type);
    }
    return btf;
}

std::uint32_t ObjectBtf::variable(std::string_view name) const {
    for (const auto& type : types_)
        if (type.kind == BTF_KIND_VAR && text(type.name) == name) return type.other;
    return 0;
}

// Without typedefs and qualifiers; 0 where there is nothing.
std::uint32_t ObjectBtf::plain(std::uint32_t type) const {
    for (int depth = 0; depth < deepest; ++depth) {
        if (type >= types_.size()) return 0;
        switch (types_[type].kind) {
            case BTF_KIND_TYPEDEF:
            case BTF_KIND_VOLATILE:
            case BTF_KIND_CONST:
            case BTF_KIND_RESTRICT:
            case BTF_KIND_TYPE_TAG:
                type = types_[type].other;
                break;
            default:
                return type;
        }
    }
    return 0;
}

std::vector<ObjectBtf::Member> ObjectBtf::members(std::uint32_t type) const {
    const Type& whole = types_[plain(type)];
    std::vector<Member> members;
    if (whole.kind != BTF_KIND_STRUCT) return members;
    for (std::size_t at = 0; at < whole.rest.size(); at += sizeof(btf_member))
        // Of a bit field the upper eight bits are its size.
        members.push_back(
            {text(word(whole.rest, at)), word(whole.rest, at + 4), (word(whole.rest, at + 8) & 0xffffff) / 8});
    return members;
}

std::optional<std::uint32_t> ObjectBtf::pointed_to(std::uint32_t type) const {
    const Type& pointer = types_[plain(type)];
    if (pointer.kind != BTF_KIND_PTR) return std::nullopt;
    return pointer.other;
}

std::optional<ObjectBtf::Array> ObjectBtf::array(std::uint32_t type) const {
    const Type& whole = types_[plain(type)];
    if (whole.kind != BTF_KIND_ARRAY) return std::nullopt;
    return Array{word(whole.rest, offsetof(btf_array, type)), word(whole.rest, offsetof(btf_array, nelems))};
}

std::optional<std::uint64_t> ObjectBtf::size(std::uint32_t type) const { return size(type, 0); }
std::optional<std::uint64_t> ObjectBtf::size(std::uint32_t type, int depth) const {
    if (depth > deepest) return std::nullopt;
    const Type& whole = types_[plain(type)];
    switch (whole.kind) {
        case BTF_KIND_INT:
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
        case BTF_KIND_ENUM:
        case BTF_KIND_ENUM64:
        case BTF_KIND_FLOAT:
            return whole.other;
        case BTF_KIND_PTR:
            return 8;
        case BTF_KIND_ARRAY: {
            const auto parts = array(type);
            const auto element = size(parts->element, depth + 1);
            std::uint64_t result = 0;
            if (!element || __builtin_mul_overflow(*element, std::uint64_t{parts->count}, &result)) return std::nullopt;
            return result;
        }
        default:
            return std::nullopt;
    }
}

std::vector<SourceLine> source_lines(const ObjectBtf& btf, Blob ext, std::string_view section) {
    // struct btf_ext_header, which no header of user space has: magic, version, flags, its length, then offset and
    // length of information about functions and about lines.
    constexpr std::size_t header_length = 4, lines_offset = 16, lines_length = 20;
    std::vector<SourceLine> lines;
    if (ext.size() < 24 || number_at<std::uint16_t>(ext, 0) != BTF_MAGIC) return lines;
    const std::size_t header = word(ext, header_length);
    if (header < 24 || header > ext.size()) return lines;
    Blob rest = ext.subspan(header);
    if (!is_inside(rest.size(), word(ext, lines_offset), word(ext, lines_length))) return lines;
    rest = rest.subspan(word(ext, lines_offset), word(ext, lines_length));
    if (rest.size() < 4) return lines;
    const std::size_t record = word(rest, 0);
    if (record < 16) return lines;
    for (std::size_t at = 4; is_inside(rest.size(), at, 8);) {
        const auto name = btf.text(word(rest, at));
        const std::size_t count = word(rest, at + 4);
        at += 8;
        if (count > (rest.size() - at) / record) return lines;
        if (name == section)
            for (std::size_t one = 0; one < count; ++one) {
                const Blob line = rest.subspan(at + one * record, 16);
                lines.push_back(
                    {word(line, 0), word(line, 12) >> 10, btf.text(word(line, 4)), btf.text(word(line, 8))});
            }
        at += count * record;
    }
    std::ranges::stable_sort(lines, {}, &SourceLine::offset);
    return lines;
}

}  // namespace bpfwarden::filter
