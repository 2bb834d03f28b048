// SPDX-License-Identifier: Apache-2.0
// The entries behind check_host(): adding a fact is adding one here.
#pragma once

#include <span>
#include <string_view>

#include "kernel/host.hpp"
#include "kernel/host_view.hpp"

namespace bpfwarden::kernel {

enum class Wanted { yes, no, either };

struct HostEntry {
    std::string_view id;
    HostGroup group;
    Wanted wanted;
    std::string_view title;
    std::string_view needed_by;
    std::string_view remedy;
    Finding (*find)(HostView&);
};

std::span<const HostEntry> host_table();

}  // namespace bpfwarden::kernel
