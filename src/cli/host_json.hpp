// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "kernel/host.hpp"

namespace bpfwarden::cli {

// The facts on stdout as one document, schema "bpfwarden.host.check/1" (docs/host-check.md).
void print_host_json(const std::vector<kernel::HostFact>& facts);

}  // namespace bpfwarden::cli
