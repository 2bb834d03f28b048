// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf.hpp"

#include <bpf/bpf.h>

#include <charconv>
#include <optional>

#include "base/text.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::kernel {

Result<TokenFd> create_token(FdRef bpffs_root) {
    const int fd = ::bpf_token_create(bpffs_root.get(), nullptr);
    if (fd < 0) return fail_errno(-fd, "bpf(BPF_TOKEN_CREATE)");
    return TokenFd(fd);
}

static std::optional<std::uint64_t> mask(std::string_view value) {
    while (value.starts_with('\t') || value.starts_with(' ')) value.remove_prefix(1);
    if (value == "any") return ~0ULL;
    if (!value.starts_with("0x")) return std::nullopt;
    value.remove_prefix(2);
    std::uint64_t number = 0;
    const auto [end, err] = std::from_chars(value.data(), value.data() + value.size(), number, 16);
    if (err != std::errc{} || end != value.data() + value.size()) return std::nullopt;
    return number;
}

Result<Delegation> parse_token_fdinfo(std::string_view text) {
    std::optional<std::uint64_t> commands, maps, programs, attachs;
    for (const auto line : split(text, '\n')) {
        const auto colon = line.find(':');
        if (colon == std::string_view::npos) continue;
        const auto key = line.substr(0, colon);
        const auto value = line.substr(colon + 1);
        if (key == "allowed_cmds") commands = mask(value);
        if (key == "allowed_maps") maps = mask(value);
        if (key == "allowed_progs") programs = mask(value);
        if (key == "allowed_attachs") attachs = mask(value);
    }
    if (!commands || !maps || !programs || !attachs)
        return fail(Error(Code::failed, "the kernel's description of a token could not be read")
                        .because("its fdinfo lacks one of allowed_cmds, allowed_maps, allowed_progs, allowed_attachs"));
    return Delegation{*commands, *maps, *programs, *attachs};
}

Result<Delegation> token_delegation(TokenRef token) {
    return parse_token_fdinfo(BW_TRY(read_file("/proc/self/fdinfo/" + std::to_string(token.get()))));
}

}  // namespace bpfwarden::kernel
