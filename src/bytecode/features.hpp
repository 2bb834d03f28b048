// SPDX-License-Identifier: Apache-2.0
// Which features of the verifier a program asks for: the names of [allow] verifier in a grant.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "bytecode/reading.hpp"

namespace bpfwarden::bytecode {

// What of BPF_PROG_LOAD tells the features.
struct Load {
    const Reading& reading;
    // The name of each of reading.kfuncs, in their order, from the BTF of the running kernel.
    std::span<const std::string_view> kfuncs;
    // The types of the maps that the program is loaded with: of reading.maps, and of fd_array if fd_array_cnt is given
    // (6.14), which binds maps that no instruction names. Any order, repeated or not.
    std::span<const std::uint32_t> map_types;
    std::uint32_t prog_flags = 0;
    std::uint32_t prog_ifindex = 0;
};

struct Features {
    std::vector<std::string_view> names;  // each once; they live for ever
    // Bits of prog_flags that have no name here: the caller refuses them. A newer kernel's, or BPF_F_TOKEN_FD (6.9),
    // which is not for a client: an fd number of its own means nothing in the process that acts for it.
    std::uint32_t unknown_flags = 0;
};

// Fails if the kfuncs' names are not as many as the kfuncs. `large_programs` is not among the features: it follows from
// the number of instructions alone, and the grant's check() sees that.
Result<Features> features(const Load& load);

}  // namespace bpfwarden::bytecode
