// SPDX-License-Identifier: Apache-2.0
// The configuration that the kernel was built with: a last resort, since an option says what was compiled and not what
// works.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace bpfwarden::kernel {

struct KernelConfig {
    std::string from;                                         // the file it was read from
    std::map<std::string, std::string, std::less<>> options;  // "CONFIG_BPF_LSM" -> "y"; those not set are not here
};

// /proc/config.gz, else /boot/config-RELEASE.
Result<KernelConfig> kernel_config();
std::map<std::string, std::string, std::less<>> parse_kernel_config(std::string_view text);

}  // namespace bpfwarden::kernel
