// SPDX-License-Identifier: Apache-2.0
// Kernel parameters by their sysctl(8) names.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace bpfwarden::kernel {

// "kernel.yama.ptrace_scope" -> "/proc/sys/kernel/yama/ptrace_scope". As sysctl(8) does, a '/' in the name stands for a
// dot in it ("net.ipv4.conf.eth0/1.forwarding").
std::string sysctl_path(std::string_view name);
// The value, without the newline.
Result<std::string> read_sysctl(std::string_view name);

}  // namespace bpfwarden::kernel
