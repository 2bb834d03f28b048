// SPDX-License-Identifier: Apache-2.0
#include "filter/elf_file.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>

namespace bpfwarden::filter {

static constexpr std::size_t longest_text = 1024;
// e_machine of eBPF, which old headers lack.
static constexpr std::uint16_t machine_bpf = 247;

std::string_view text_at(Blob strings, std::uint64_t at) {
    if (at >= strings.size()) return {};
    const auto rest = strings.subspan(at, std::min<std::size_t>(strings.size() - at, longest_text));
    const auto end = std::ranges::find(rest, std::uint8_t{0});
    return {reinterpret_cast<const char*>(rest.data()), static_cast<std::size_t>(end - rest.begin())};
}

static Failure broken(std::string why) {
    return fail(Error(Code::bad_input, "the object cannot be read")
                    .because(std::move(why))
                    .advise("compile it with clang -target bpf -O2 -g"));
}

Result<ElfFile> ElfFile::read(Blob bytes) {
    constexpr std::string_view magic = "\177ELF\2\1\1";  // 64 bits, little-endian
    if (bytes.size() < sizeof(Elf64_Ehdr) ||
        !std::ranges::equal(bytes.first(magic.size()), magic,
                            [](auto one, char other) { return one == static_cast<std::uint8_t>(other); }))
        return broken("it is no little-endian 64-bit ELF file");
    if (number_at<std::uint16_t>(bytes, offsetof(Elf64_Ehdr, e_machine)) != machine_bpf)
        return broken("it is for another machine than eBPF");
    if (number_at<std::uint16_t>(bytes, offsetof(Elf64_Ehdr, e_type)) != ET_REL) return broken("it is no object file");
    const auto table = number_at<std::uint64_t>(bytes, offsetof(Elf64_Ehdr, e_shoff));
    const std::size_t count = number_at<std::uint16_t>(bytes, offsetof(Elf64_Ehdr, e_shnum));
    const auto names = number_at<std::uint16_t>(bytes, offsetof(Elf64_Ehdr, e_shstrndx));
    if (number_at<std::uint16_t>(bytes, offsetof(Elf64_Ehdr, e_shentsize)) != sizeof(Elf64_Shdr) ||
        !is_inside(bytes.size(), table, count * sizeof(Elf64_Shdr)))
        return broken("its table of sections is not inside");

    ElfFile file;
    std::vector<std::uint32_t> name_offsets;
    for (std::size_t one = 0; one < count; ++one) {
        const auto header = bytes.subspan(table + one * sizeof(Elf64_Shdr), sizeof(Elf64_Shdr));
        ElfSection section;
        section.type = number_at<std::uint32_t>(header, offsetof(Elf64_Shdr, sh_type));
        section.flags = number_at<std::uint64_t>(header, offsetof(Elf64_Shdr, sh_flags));
        section.link = number_at<std::uint32_t>(header, offsetof(Elf64_Shdr, sh_link));
        section.info = number_at<std::uint32_t>(header, offsetof(Elf64_Shdr, sh_info));
        section.entry_size = number_at<std::uint64_t>(header, offsetof(Elf64_Shdr, sh_entsize));
        const auto offset = number_at<std::uint64_t>(header, offsetof(Elf64_Shdr, sh_offset));
        const auto size = number_at<std::uint64_t>(header, offsetof(Elf64_Shdr, sh_size));
        if (section.type != SHT_NOBITS && section.type != SHT_NULL) {
            if (!is_inside(bytes.size(), offset, size)) return broken(fmt::format("section {} is not inside", one));
            section.bytes = bytes.subspan(offset, size);
        }
        name_offsets.push_back(number_at<std::uint32_t>(header, offsetof(Elf64_Shdr, sh_name)));
        file.sections_.push_back(section);
    }
    if (names >= count) return broken("its sections have no names");
    for (std::size_t one = 0; one < count; ++one)
        file.sections_[one].name = text_at(file.sections_[names].bytes, name_offsets[one]);

    for (const auto& section : file.sections_) {
        if (section.type != SHT_SYMTAB) continue;
        if (!file.symbols_.empty()) return broken("it has two tables of symbols");
        if (section.link >= count) return broken("its symbols have no names");
        const Blob texts = file.sections_[section.link].bytes;
        for (std::size_t at = 0; is_inside(section.bytes.size(), at, sizeof(Elf64_Sym)); at += sizeof(Elf64_Sym)) {
            const auto symbol = section.bytes.subspan(at, sizeof(Elf64_Sym));
            const auto info = number_at<std::uint8_t>(symbol, offsetof(Elf64_Sym, st_info));
            file.symbols_.push_back({
                .name = text_at(texts, number_at<std::uint32_t>(symbol, offsetof(Elf64_Sym, st_name))),
                .type = static_cast<std::uint8_t>(info & 0xf),
                .section = number_at<std::uint16_t>(symbol, offsetof(Elf64_Sym, st_shndx)),
                .value = number_at<std::uint64_t>(symbol, offsetof(Elf64_Sym, st_value)),
                .size = number_at<std::uint64_t>(symbol, offsetof(Elf64_Sym, st_size)),
            });
        }
    }

    file.relocations_.resize(count);
    for (const auto& section : file.sections_) {
        if (section.type == SHT_RELA) return broken("it has relocations of a kind that eBPF has not");
        if (section.type != SHT_REL || section.info >= count) continue;
        auto& relocations = file.relocations_[section.info];
        for (std::size_t at = 0; is_inside(section.bytes.size(), at, sizeof(Elf64_Rel)); at += sizeof(Elf64_Rel)) {
            const auto info = number_at<std::uint64_t>(section.bytes, at + offsetof(Elf64_Rel, r_info));
            const auto symbol = static_cast<std::uint32_t>(info >> 32);
            if (symbol >= file.symbols_.size()) return broken("a relocation is to a symbol that is not there");
            relocations.push_back(
                {number_at<std::uint64_t>(section.bytes, at), static_cast<std::uint32_t>(info), symbol});
        }
        std::ranges::stable_sort(relocations, {}, &ElfRelocation::offset);
    }
    return file;
}

std::size_t ElfFile::find(std::string_view name) const {
    const auto at = std::ranges::find(sections_, name, &ElfSection::name);
    return at == sections_.end() ? 0 : static_cast<std::size_t>(at - sections_.begin());
}

}  // namespace bpfwarden::filter
