// SPDX-License-Identifier: Apache-2.0
// A filter compiled from C, as bpfwarden/seccomp_filter.h has it: the program in section `seccomp` of an eBPF object,
// with its functions, constant data, and maps with their contents.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "bytecode/program.hpp"
#include "filter/elf_file.hpp"
#include "filter/evaluate.hpp"

namespace bpfwarden::filter {

// The numbers for each set that gets them from a file (BPFW_SET_FILE).
using SetContents = std::map<std::string, std::vector<std::uint64_t>, std::less<>>;

struct Object {
    bytecode::Program program;
    std::vector<Warning> warnings;
};

Result<Object> read_object(Blob elf, const SetContents& sets);

}  // namespace bpfwarden::filter
