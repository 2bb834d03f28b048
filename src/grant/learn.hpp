// SPDX-License-Identifier: Apache-2.0
// A grant from what a program did: the smallest under which the same operations are allowed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "grant/resolve.hpp"

namespace bpfwarden::grant {

// Everything that can be granted, with every danger acknowledged: to learn under. Only for root's own use.
std::string everything();

struct Learned {
    std::string text;  // the file, with a comment at each line that says which operation needed it
    // Operations that no grant allows, or that the text could not be made to allow.
    std::vector<std::string> left_out;
};

// `operations` as describe() has them, in the order in which they were first done; those that the kernel refused are
// not among them. `subject`: "user = \"monitor\"" and the like, or empty for root.
//
// Soundness: what comes out is read back by the same parser and asked by the same check() as at the daemon: each
// operation is allowed by it, and not any more when any one entry of its lists is taken out.
Result<Learned> learn(std::string_view name, std::string_view subject, const std::vector<std::string>& operations);

}  // namespace bpfwarden::grant
