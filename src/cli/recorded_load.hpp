// SPDX-License-Identifier: Apache-2.0
// What libbpf would load of an object on this kernel, without loading anything and without privilege.
#pragma once

#include <linux/bpf.h>

#include <string>
#include <vector>

#include "base/result.hpp"

namespace bpfwarden::cli {

struct RecordedProgram {
    std::string name, section, type;
    std::vector<bpf_insn> instructions;  // as they were given to bpf(2)
};

// In the object's order, those that are not loaded by default left out. libbpf links and relocates; its calls of bpf(2)
// are answered here, so that it finds a kernel that has every feature it asks for (from 6.1 on that is so) and takes
// everything. Types come from the running kernel's BTF.
Result<std::vector<RecordedProgram>> record_load(const std::string& path);

}  // namespace bpfwarden::cli
