// SPDX-License-Identifier: Apache-2.0
// The functions of an ELF file, by libelf. Whoever reads files of others does it in a process that has nothing to lose.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::kernel {

// The names of the functions that begin at this place of an executable or shared library, as uprobes count places:
// bytes from the beginning of the file. Ascending, each once, without symbol versions; empty if no function begins
// there, or the file has no symbols. Fails (bad_input) for what is no such file. At most 64 names of 256 bytes.
Result<std::vector<std::string>> functions_at(FdRef file, std::uint64_t offset);

}  // namespace bpfwarden::kernel
