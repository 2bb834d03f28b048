// SPDX-License-Identifier: Apache-2.0
// Who is trusted to sign programs, and whether one of them signed this one: detached CMS signatures (RFC 5652), by
// OpenSSL.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

struct x509_st;

namespace bpfwarden::trust {

// The certificates of each signer, as PEM: the form in which they are kept and sent on.
using SignerTexts = std::map<std::string, std::string, std::less<>>;

// What one signature, or several over the same content, came to.
struct Verified {
    std::vector<std::string> signers;  // ascending, each once
    // Where there is none: why, of the signature that came nearest.
    std::string why_not;
};

class Signers {
  public:
    // Fails (bad_input) unless each text is one certificate or several, each with a key that is strong enough and that
    // may sign: RSA of 2048 bits or more, EC on P-256 or P-384. Whether it has expired is asked when it is used.
    static Result<Signers> read(const SignerTexts& texts);

    // Soundness: whoever calls a name a signer of `content` holds the key of a certificate of that name. The
    // certificates themselves are what is trusted: nothing that a certificate was issued by, nothing that they issued,
    // nothing that came along in the signature. A signature with attributes is over their DER, and one without them
    // over the content itself; the first byte of such DER (0x31) is no instruction, so neither passes for the other.
    Verified verify(std::span<const std::byte> content, std::span<const std::byte> signature) const;
    // Who signed by any of them.
    Verified verify(std::span<const std::byte> content, std::span<const std::span<const std::byte>> signatures) const;

  private:
    struct Free {
        void operator()(x509_st* certificate) const;
    };
    struct Certificate {
        std::string name;
        std::unique_ptr<x509_st, Free> of;
    };
    struct Attempt;
    Attempt attempt(std::span<const std::byte> content, std::span<const std::byte> signature) const;

    std::vector<Certificate> certificates_;
};

inline constexpr std::size_t largest_signature = 16 * 1024;
inline constexpr std::size_t most_signatures = 64;

}  // namespace bpfwarden::trust
