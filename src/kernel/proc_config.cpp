// SPDX-License-Identifier: Apache-2.0
#include "kernel/proc_config.hpp"

#include <sys/utsname.h>
#include <zlib.h>

#include <memory>

#include "base/text.hpp"

namespace bpfwarden::kernel {

std::map<std::string, std::string, std::less<>> parse_kernel_config(std::string_view text) {
    std::map<std::string, std::string, std::less<>> options;
    for (const auto line : split(text, '\n')) {
        const auto equals = line.find('=');
        if (!line.starts_with("CONFIG_") || equals == std::string_view::npos) continue;
        options.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
    return options;
}

// gzread() also reads a file that is not compressed, so one reader does for both.
static Result<std::string> read_maybe_compressed(const std::string& path) {
    const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(::gzopen(path.c_str(), "re"), ::gzclose);
    if (!file) return fail_errno("opening " + path);
    std::string text;
    static constexpr std::size_t limit = 4 << 20;
    char part[16384];
    int got = 0;
    while (text.size() < limit && (got = ::gzread(file.get(), part, sizeof part)) > 0)
        text.append(part, static_cast<std::size_t>(got));
    if (got < 0) return fail(Code::failed, path + " is damaged");
    return text;
}

Result<KernelConfig> kernel_config() {
    struct utsname name{};
    ::uname(&name);
    const std::string paths[] = {"/proc/config.gz", std::string("/boot/config-") + name.release};
    for (const auto& path : paths)
        if (const auto text = read_maybe_compressed(path)) return KernelConfig{path, parse_kernel_config(*text)};
    return fail(Code::not_found, "neither " + paths[0] + " nor " + paths[1] + " can be read");
}

}  // namespace bpfwarden::kernel
