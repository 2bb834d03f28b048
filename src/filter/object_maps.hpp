// SPDX-License-Identifier: Apache-2.0
// The maps that an object declares, and what is in them.
#pragma once

#include <vector>

#include "filter/elf_btf.hpp"
#include "filter/elf_file.hpp"
#include "filter/object.hpp"

namespace bpfwarden::filter {

struct DeclaredMap {
    std::uint64_t offset = 0;  // of its declaration, in section .maps
    bytecode::Map map;
};

Result<std::vector<DeclaredMap>> read_maps(const ElfFile& file, const ObjectBtf& btf, const SetContents& sets,
                                           std::vector<Warning>& warnings);

}  // namespace bpfwarden::filter
