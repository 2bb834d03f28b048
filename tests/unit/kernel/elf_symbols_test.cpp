// SPDX-License-Identifier: Apache-2.0
#include "kernel/elf_symbols.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <link.h>
#include <sys/mman.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

namespace bpfwarden::kernel {

using testing::Contains;
using testing::IsEmpty;
using testing::Not;

extern "C" __attribute__((noinline, used, nothrow)) int elf_symbols_test_function(int value) { return value * 3 + 1; }
extern "C" int elf_symbols_test_alias(int value) __attribute__((alias("elf_symbols_test_function"), nothrow));

namespace {

// Where the kernel says that an address of this process comes from: file and place in it.
struct Place {
    std::string file;
    std::uint64_t offset = 0;
};
Place place_of(const void* address) {
    const auto wanted = reinterpret_cast<std::uint64_t>(address);
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        unsigned long long from = 0, to = 0, offset = 0;
        char path[4096] = {};
        if (std::sscanf(line.c_str(), "%llx-%llx %*s %llx %*s %*s %4095s", &from, &to, &offset, path) >= 3 &&
            wanted >= from && wanted < to)
            return {path, wanted - from + offset};
    }
    return {};
}

UniqueFd open_file(const std::string& path) { return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); }

std::string own_bytes() {
    std::ifstream file("/proc/self/exe", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
UniqueFd file_of(std::string_view bytes) {
    UniqueFd file(::memfd_create("elf", MFD_CLOEXEC));
    EXPECT_EQ(::write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    return file;
}
std::vector<std::string> names_in(std::string_view bytes, std::uint64_t offset) {
    return functions_at(file_of(bytes), offset).value_or(std::vector<std::string>{});
}

Elf64_Ehdr& header_of(std::string& bytes) { return *reinterpret_cast<Elf64_Ehdr*>(bytes.data()); }

}  // namespace

TEST(ElfSymbols, FunctionsThatBeginThere) {
    const auto place = place_of(reinterpret_cast<const void*>(&elf_symbols_test_function));
    const auto file = open_file(place.file);
    const auto names = functions_at(file, place.offset).value();
    EXPECT_THAT(names, Contains("elf_symbols_test_function"));
    EXPECT_THAT(names, Contains("elf_symbols_test_alias"));
    // Its second byte, the one before it, and places that no program has.
    for (const std::uint64_t offset :
         {place.offset + 1, place.offset - 1, std::uint64_t{0}, std::uint64_t{1} << 40, ~std::uint64_t{0}})
        EXPECT_THAT(functions_at(file, offset).value(), Not(Contains("elf_symbols_test_function"))) << offset;
}

// A shared library without a table of all symbols, and with versions.
TEST(ElfSymbols, OfTheCLibrary) {
    for (const char* name : {"getppid", "malloc", "pthread_create"}) {
        const auto place = place_of(::dlsym(RTLD_DEFAULT, name));
        EXPECT_THAT(functions_at(open_file(place.file), place.offset).value(), Contains(name)) << place.file;
    }
}

// Without section headers nothing has a name.
TEST(ElfSymbols, StrippedFiles) {
    auto bytes = own_bytes();
    const auto place = place_of(reinterpret_cast<const void*>(&elf_symbols_test_function));
    EXPECT_THAT(names_in(bytes, place.offset), Contains("elf_symbols_test_function"));
    header_of(bytes).e_shoff = 0;
    header_of(bytes).e_shnum = header_of(bytes).e_shstrndx = 0;
    EXPECT_THAT(names_in(bytes, place.offset), IsEmpty());
}

TEST(ElfSymbols, WhatIsNoProgram) {
    for (const char* path : {"/dev/null", "/etc/passwd", "/"})
        EXPECT_EQ(functions_at(open_file(path), 0).error().code(), Code::bad_input) << path;
    EXPECT_EQ(functions_at(FdRef(-1), 0).error().code(), Code::bad_input);
    auto object = own_bytes();
    header_of(object).e_type = ET_REL;
    EXPECT_EQ(functions_at(file_of(object), 0).error().code(), Code::bad_input);
}

// Sizes, counts and places that are not so: an answer or an error, and soon.
TEST(ElfSymbols, HostileHeaders) {
    const auto good = own_bytes();
    const auto place = place_of(reinterpret_cast<const void*>(&elf_symbols_test_function));
    for (const std::size_t size : {std::size_t{1}, std::size_t{16}, sizeof(Elf64_Ehdr), sizeof(Elf64_Ehdr) + 1,
                                   std::size_t{4096}, good.size() / 2, good.size() - 1})
        (void)functions_at(file_of(std::string_view(good).substr(0, size)), place.offset);
    std::mt19937 random(1);
    const auto headers = std::string_view(good).size();
    for (int i = 0; i < 200; ++i) {
        auto bytes = good;
        const auto sections = header_of(bytes).e_shoff;
        for (int n = 0; n < 8; ++n) {
            // In the headers of the file, its segments and its sections.
            const auto at = random() % 2 == 0 ? random() % 1024 : sections + random() % (headers - sections);
            bytes[at] = static_cast<char>(random());
        }
        const auto names = functions_at(file_of(bytes), place.offset);
        if (!names) continue;
        EXPECT_LE(names->size(), 64U);
        for (const auto& name : *names) EXPECT_LE(name.size(), 256U);
    }
    for (const auto size : {std::uint64_t{1} << 30, std::uint64_t{1} << 62, ~std::uint64_t{0}}) {
        auto bytes = good;
        auto* sections = reinterpret_cast<Elf64_Shdr*>(bytes.data() + header_of(bytes).e_shoff);
        for (int i = 0; i < header_of(bytes).e_shnum; ++i)
            if (sections[i].sh_type == SHT_SYMTAB || sections[i].sh_type == SHT_DYNSYM) sections[i].sh_size = size;
        EXPECT_THAT(names_in(bytes, place.offset), IsEmpty());
    }
}

}  // namespace bpfwarden::kernel
