// SPDX-License-Identifier: Apache-2.0
#include "kernel/sysctl.hpp"

#include "kernel/file.hpp"

namespace bpfwarden::kernel {

std::string sysctl_path(std::string_view name) {
    std::string path = "/proc/sys/";
    for (const char c : name) path += c == '.' ? '/' : c == '/' ? '.' : c;
    return path;
}

Result<std::string> read_sysctl(std::string_view name) {
    auto text = BW_TRY(read_file(sysctl_path(name)));
    while (text.ends_with('\n')) text.pop_back();
    return text;
}

}  // namespace bpfwarden::kernel
