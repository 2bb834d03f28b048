// SPDX-License-Identifier: Apache-2.0
// bpfwarden.hpp by itself in C++20.
#include <bpfwarden/bpfwarden.hpp>

#include "header_uses.hpp"

int header_cxx20() { return use_all(); }
