// SPDX-License-Identifier: Apache-2.0
// SHA-256, by OpenSSL.
#pragma once

#include <span>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::trust {

// 64 lower-case hexadecimal digits.
Result<std::string> sha256(std::span<const std::byte> bytes);
// Of all bytes of an open file, from its beginning; the file offset is not moved.
Result<std::string> sha256_of_file(FdRef file);

}  // namespace bpfwarden::trust
