// SPDX-License-Identifier: Apache-2.0
#include "kernel/probe.hpp"

#include <cstring>

#include "kernel/capability.hpp"
#include "kernel/host_view.hpp"

namespace bpfwarden::kernel {

std::string errno_name(int err) {
    const char* name = strerrorname_np(err);
    return name != nullptr ? name : "errno " + std::to_string(err);
}

Finding from_error(std::string how, const Error& error) {
    std::string detail = error.what();
    if (!error.why().empty()) detail += ": " + error.why();
    return is_unknown(std::move(how), std::move(detail));
}

bool has_capability(std::string_view name) {
    const auto number = capability_number(name);
    const auto mask = effective_capabilities();
    return number && mask && (*mask >> *number & 1) != 0;
}

}  // namespace bpfwarden::kernel
