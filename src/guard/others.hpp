// SPDX-License-Identifier: Apache-2.0
// Things of others under the seal.
#pragma once

#include "enforce/sealed_change.hpp"
#include "guard/seal.hpp"

namespace bpfwarden::guard {

// As a part of that change; adds to `done`.
Result<> protect(const enforce::SealedChange& change, const Protect& others, Sealed& done);

}  // namespace bpfwarden::guard
