// SPDX-License-Identifier: Apache-2.0
#include "kernel/elf_symbols.hpp"

#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string_view>

namespace bpfwarden::kernel {

namespace {

constexpr std::size_t most_headers = 4096, most_names = 64, longest_name = 256;
// Of one symbol table: ten million symbols.
constexpr std::uint64_t largest_table = 256U << 20;

Failure no_program(const char* why) {
    return fail(Error(Code::bad_input, "it is no executable and no shared library").because(why));
}

// "memcpy@@GLIBC_2.14" -> "memcpy"
std::string_view without_version(std::string_view name) { return name.substr(0, name.find('@')); }

bool is_plain(std::string_view name) {
    return !name.empty() && name.size() <= longest_name &&
           std::ranges::all_of(name, [](char c) { return c > ' ' && c < 0x7f; });
}

void add_names(Elf* elf, Elf_Scn* section, const GElf_Shdr& header, const std::vector<std::uint64_t>& addresses,
               std::set<std::string>& names) {
    Elf_Data* data = header.sh_size <= largest_table ? elf_getdata(section, nullptr) : nullptr;
    if (data == nullptr || data->d_buf == nullptr) return;
    const std::size_t size = gelf_fsize(elf, ELF_T_SYM, 1, EV_CURRENT);
    // gelf_getsym() takes an int.
    for (int i = 0; static_cast<std::size_t>(i) < data->d_size / size; ++i) {
        GElf_Sym symbol;
        if (gelf_getsym(data, i, &symbol) == nullptr) return;
        if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF ||
            std::ranges::find(addresses, symbol.st_value) == addresses.end())
            continue;
        const char* text = elf_strptr(elf, header.sh_link, symbol.st_name);
        const auto name = without_version(text == nullptr ? "" : text);
        if (is_plain(name) && names.size() < most_names) names.emplace(name);
    }
}

}  // namespace

Result<std::vector<std::string>> functions_at(FdRef file, std::uint64_t offset) {
    elf_version(EV_CURRENT);
    const std::unique_ptr<Elf, int (*)(Elf*)> elf(elf_begin(file.get(), ELF_C_READ, nullptr), elf_end);
    GElf_Ehdr header;
    if (!elf || elf_kind(elf.get()) != ELF_K_ELF || gelf_getehdr(elf.get(), &header) == nullptr)
        return no_program("it is not ELF");
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN) return no_program("it is ELF of another type");

    // Where the place is in the memory of whoever runs it: the kernel maps by these headers alone.
    std::vector<std::uint64_t> addresses;
    std::size_t count = 0;
    if (elf_getphdrnum(elf.get(), &count) != 0 || count > most_headers) return no_program("its headers are broken");
    for (std::size_t i = 0; i < count; ++i) {
        GElf_Phdr segment;
        if (gelf_getphdr(elf.get(), static_cast<int>(i), &segment) == nullptr)
            return no_program("its headers are broken");
        if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0 && offset >= segment.p_offset &&
            offset - segment.p_offset < segment.p_filesz)
            addresses.push_back(offset - segment.p_offset + segment.p_vaddr);
    }
    std::set<std::string> names;
    std::size_t seen = 0;
    for (Elf_Scn* section = nullptr; !addresses.empty() && seen < most_headers; ++seen) {
        section = elf_nextscn(elf.get(), section);
        GElf_Shdr about;
        if (section == nullptr) break;
        if (gelf_getshdr(section, &about) != nullptr && (about.sh_type == SHT_SYMTAB || about.sh_type == SHT_DYNSYM))
            add_names(elf.get(), section, about, addresses, names);
    }
    return std::vector<std::string>(names.begin(), names.end());
}

}  // namespace bpfwarden::kernel
