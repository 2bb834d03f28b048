// SPDX-License-Identifier: Apache-2.0
// What a source does that its author may not have meant.
#pragma once

#include <string>

namespace bpfwarden::filter {

struct Warning {
    std::string where;  // "FILE:LINE", "syscalls[3].args[0]", or ""
    std::string text;
    bool operator==(const Warning&) const = default;
};

}  // namespace bpfwarden::filter
