// SPDX-License-Identifier: Apache-2.0
// One of the kernel's own modules, without its signature.
#pragma once

#include <string>

#include "attack/attack.hpp"

namespace bpfwarden::test {

std::string unsigned_module();
bool module_is_loaded(const Place&);
void unload_module();

}  // namespace bpfwarden::test
