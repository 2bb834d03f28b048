// SPDX-License-Identifier: Apache-2.0
// What of a grant a kernel token can hold: four masks of bits. The kernel looks at no others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "grant/resolve.hpp"
#include "kernel/names.hpp"

namespace bpfwarden::grant {

// Bit N: command, map type, program type, attach type number N. As bpffs takes them in delegate_cmds, _maps, _progs and
// _attachs; never a bit that this release has no name for ("any" of the kernel means future ones too).
struct TokenMasks {
    std::uint64_t commands = 0;
    std::uint64_t maps = 0;
    std::uint64_t programs = 0;
    std::uint64_t attachs = 0;

    friend bool operator==(const TokenMasks&, const TokenMasks&) = default;
};

// Commands are limited to the four that look at a token at all (map_create, prog_load, btf_load, btf_get_fd_by_id);
// other bits would do nothing. All four masks zero: the kernel makes no token (ENOENT).
TokenMasks token_masks(const Resolved& grant);

// The same for a kernel that lacks some of it.
struct DroppedBit {
    Dimension dimension = Dimension::commands;
    std::string name;
    bool written = false;  // else it was only implied
    Position at;
};
struct RunningMasks {
    TokenMasks masks;
    std::vector<DroppedBit> dropped;
};
RunningMasks token_masks(const Resolved& grant, const kernel::Names& running);

// Whether a token takes part in deciding this command.
bool is_token_command(std::string_view command);

}  // namespace bpfwarden::grant
