// SPDX-License-Identifier: Apache-2.0
// A filter as programs have it: what was built, and nothing of how. It never changes, so threads may share it.
#pragma once

#include <linux/filter.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "bpfwarden/filter.h"
#include "filter/compare.hpp"

namespace bpfwarden::client {

struct BuiltFilter {
    std::vector<sock_filter> program;
    std::string warnings;  // a line each
    bool proven = false;
    unsigned flags = 0;  // that the source asks for
};

// Errors have a number.
Result<std::unique_ptr<BuiltFilter>> build_filter(std::string_view source, const bpfw_filter_options* options);
Result<std::unique_ptr<BuiltFilter>> build_filter_file(const char* path, const bpfw_filter_options* options);

// The listener, if `flags` asks for one.
Result<UniqueFd> install_filter(const BuiltFilter& filter, unsigned flags);

// Not decided too where a program is not understood.
filter::Comparison compare_filters(const BuiltFilter& one, const BuiltFilter& other);

}  // namespace bpfwarden::client
