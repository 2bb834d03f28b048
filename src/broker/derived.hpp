// SPDX-License-Identifier: Apache-2.0
// Whether one grant lies within another.
#pragma once

#include "grant/resolve.hpp"

namespace bpfwarden::broker {

// Fails (code denied) with each thing that `smaller` asks for and `whole` does not have. What `smaller` does not
// mention of [targets], [identity], [limits] and [session] it takes over as it is, and asks for nothing by that.
//
// Soundness: this is for people, so that nobody believes to have passed on what will be refused. What holds is that a
// derived session's operations must be allowed by both (rights.hpp).
Result<> must_be_within(const grant::Resolved& smaller, const grant::Resolved& whole);

}  // namespace bpfwarden::broker
