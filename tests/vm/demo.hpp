// SPDX-License-Identifier: Apache-2.0
// A demonstration, as it is, in a guest.
#pragma once

#include <string>

namespace bpfwarden::test {

// In a shell.
struct Ran {
    int status = -1;
    std::string output;  // and errors
};
Ran run(const std::string& command);

// All steps of "demo-guard" happen as they should, in the guest of that role.
void expect_as_it_should(const std::string& name, const std::string& role);

}  // namespace bpfwarden::test
