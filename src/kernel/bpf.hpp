// SPDX-License-Identifier: Apache-2.0
// bpf(2) calls about tokens. A token is made from the root of a bpffs whose mount options delegate something
// (kernel 6.9).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::kernel {

// What a bpffs, and so each token made from it, delegates: bit N is the enumerator with value N.
struct Delegation {
    std::uint64_t commands = 0;
    std::uint64_t maps = 0;
    std::uint64_t programs = 0;
    std::uint64_t attachs = 0;

    bool operator==(const Delegation&) const = default;
};

// BPF_TOKEN_CREATE. `bpffs_root` must be a real (not O_PATH) fd of the root directory: the fd that fsmount() gives is
// refused with EBADF. The caller must be in the user namespace that owns the bpffs, and hold CAP_BPF there.
Result<TokenFd> create_token(FdRef bpffs_root);

// The masks that the kernel holds for a token, from its fdinfo (any kernel with tokens; bpf_token_info needs 6.17).
Result<Delegation> token_delegation(TokenRef token);
Result<Delegation> parse_token_fdinfo(std::string_view text);

}  // namespace bpfwarden::kernel
