// SPDX-License-Identifier: Apache-2.0
// Programs of BPF LSM as libbpf has made them ready, for who loads them elsewhere: relocated, with the numbers of what
// they are attached to and by.
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"

struct bpf_program;
struct bpf_prog_load_opts;

namespace bpfwarden::enforce {

struct LsmRecipe {
    std::string name;
    // Where it has a map, BPF_PSEUDO_MAP_IDX or BPF_PSEUDO_MAP_IDX_VALUE, and the map's id instead of the index.
    std::vector<bpf_insn> instructions;
    std::vector<std::byte> functions;  // struct bpf_func_info
    std::uint32_t function_size = 0;
    std::uint32_t attach_btf_id = 0;
    std::uint32_t flags = 0;
};

struct LsmRecipes {
    std::vector<LsmRecipe> programs;
    std::vector<std::byte> btf;  // their types
};

// What libbpf opens and loads while this lives has its maps in the kernel, and of its LSM programs nothing but their
// names: each is one that does nothing. One at a time in a process.
class LsmRecorder {
  public:
    LsmRecorder();
    LsmRecorder(const LsmRecorder&) = delete;
    ~LsmRecorder();
    // Once all are loaded.
    Result<LsmRecipes> recipes() &&;

  private:
    struct Kept;
    static int take(bpf_program* program, bpf_prog_load_opts* options, long self);
    std::unique_ptr<Kept> kept_;
};

}  // namespace bpfwarden::enforce
