// SPDX-License-Identifier: Apache-2.0
#include "enforce/places.hpp"

#include <unistd.h>

namespace bpfwarden::enforce {

std::string policy_pins() {
    return ::access((std::string(sealed_guard) + "/show").c_str(), F_OK) == 0 ? sealed_policy : unsealed_policy;
}

}  // namespace bpfwarden::enforce
