// SPDX-License-Identifier: Apache-2.0
// The keys of signers, as installed: etc/bpfwarden/keys/NAME.pem and usr/lib/bpfwarden/keys/NAME.pem below a root, the
// first winning by file name.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "trust/signers.hpp"

namespace bpfwarden::broker {

struct SignerFiles {
    trust::SignerTexts texts;           // those that can be used
    std::vector<std::string> problems;  // of those that cannot
};
// Fails only if a directory is there and cannot be listed.
Result<SignerFiles> read_signer_files(const std::string& root);

}  // namespace bpfwarden::broker
