// SPDX-License-Identifier: Apache-2.0
// What must hold of any bytes given as a signature or as an ELF file: used by the fuzzer and by the replay of its
// corpus in every build. The first byte says which; an ELF file has the offset that is asked about before it, 8 bytes.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "kernel/elf_symbols.hpp"
#include "trust/signers.hpp"

namespace bpfwarden::test {

// Its key signed what is in the corpus, all of it over "content", and was then thrown away.
inline constexpr const char* fuzz_certificate =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBgzCCASigAwIBAgIUI2yeU6C3R8MsufQ0ymEwvD8C62kwCgYIKoZIzj0EAwIw\n"
    "DzENMAsGA1UEAwwEZnV6ejAgFw0yNjExMjIxMzM0MzlaGA8yMTI2MTAyOTEzMzQz\n"
    "OVowDzENMAsGA1UEAwwEZnV6ejBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABPcD\n"
    "NodkanRlklg32sGnNXomTEczF0TzRhjCvc5t0YAAZYRcsrCWqiUZbe5JpxLaz8zN\n"
    "U1QK1LICGGnv1g3/u2qjYDBeMB0GA1UdDgQWBBRmJ5oYlDeH3rltg+m9BZCREktH\n"
    "VzAfBgNVHSMEGDAWgBRmJ5oYlDeH3rltg+m9BZCREktHVzAPBgNVHRMBAf8EBTAD\n"
    "AQH/MAsGA1UdDwQEAwIHgDAKBggqhkjOPQQDAgNJADBGAiEApn7NS0eBPZ1H3nD4\n"
    "77LW/81gsD932xsPbMckDfGehxoCIQCVpX9MDx0+WUg9Ti8xWjQjT9a5NP5o/awx\n"
    "NaTsHRv2BA==\n"
    "-----END CERTIFICATE-----\n";

inline std::string broken_signature(std::span<const std::byte> signature) {
    static const auto signers = trust::Signers::read({{"fuzz", fuzz_certificate}}).value();
    const auto of = [&](std::string_view content) {
        return signers.verify(std::as_bytes(std::span(content)), signature);
    };
    // Nobody signed this, so whoever is named was made up.
    const auto other = of("contents");
    if (!other.signers.empty()) return "a signer of what was not signed";
    if (other.why_not.empty()) return "no signer, and no reason";
    const auto signed_one = of("content");
    if (signed_one.signers.size() > 1 || (signed_one.signers.empty() && signed_one.why_not.empty()))
        return "neither one signer nor a reason";
    return "";
}

inline std::string broken_elf(std::span<const std::byte> bytes) {
    std::uint64_t offset = 0;
    if (bytes.size() < sizeof offset) return "";
    std::memcpy(&offset, bytes.data(), sizeof offset);
    bytes = bytes.subspan(sizeof offset);
    const UniqueFd file(::memfd_create("fuzz", MFD_CLOEXEC));
    if (::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) return "";
    const auto names = kernel::functions_at(file, offset);
    if (!names) return names.error().code() == Code::bad_input ? "" : "an error that blames somebody else";
    if (names->size() > 64) return "too many names";
    if (!std::ranges::is_sorted(*names)) return "names in no order";
    for (const auto& name : *names)
        if (name.empty() || name.size() > 256 ||
            !std::ranges::all_of(name, [](char c) { return c > ' ' && c < 0x7f && c != '@'; }))
            return "a name that is none";
    return "";
}

inline std::string broken_parser(std::span<const std::byte> content) {
    if (content.empty()) return "";
    return content[0] == std::byte{'s'} ? broken_signature(content.subspan(1)) : broken_elf(content.subspan(1));
}

}  // namespace bpfwarden::test
