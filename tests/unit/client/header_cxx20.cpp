// SPDX-License-Identifier: Apache-2.0
// bpfwarden.hpp and filter.hpp by themselves in C++20.
#include <bpfwarden/filter.hpp>

#include "header_uses.hpp"

int header_cxx20() { return use_all(); }
