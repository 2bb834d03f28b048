// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "base/text.hpp"
#include "kernel/host_facts.hpp"

namespace bpfwarden::kernel {

Finding fact_vmlinux_btf(HostView& host) {
    static constexpr const char* how = "read /sys/kernel/btf/vmlinux";
    const auto& btf = host.btf();
    if (btf)
        return is_present(
            how, fmt::format("whole, and {}", btf->marks_kfuncs() ? "with kfuncs marked" : "without marks on kfuncs"));
    return btf.error().code() == Code::not_found ? is_absent(how, btf.error().why()) : from_error(how, btf.error());
}

Finding fact_module_btf(HostView&) {
    static constexpr const char* how = "listed /sys/kernel/btf";
    std::error_code problem;
    std::size_t modules = 0;
    for (std::filesystem::directory_iterator it("/sys/kernel/btf", problem), end; !problem && it != end;
         it.increment(problem))
        modules += it->path().filename() != "vmlinux";
    if (problem) return is_absent(how, problem.message());
    if (modules > 0) return is_present(how, fmt::format("{} loaded modules have BTF", modules));
    return is_absent(how, std::filesystem::exists("/proc/modules", problem) ? "no loaded module has BTF"
                                                                            : "this kernel has no loadable modules");
}

Finding fact_names(HostView& host, NameKind kind) {
    static constexpr const char* how = "compared the kernel's BTF with the names compiled in";
    if (!host.names()) return from_error(how, host.names().error());
    return compare_names(how, kind, host.names()->all(kind));
}

Finding compare_names(std::string how, NameKind kind, std::span<const NamedValue> running) {
    std::vector<std::string> unknown;
    for (const auto& one : running)
        if (!Names::known().name(kind, one.value)) unknown.push_back(fmt::format("{} ({})", one.name, one.value));
    std::string detail =
        fmt::format("the kernel has {}, this release knows {}", running.size(), Names::known().all(kind).size());
    if (unknown.empty()) return is_present(std::move(how), std::move(detail));
    // A command is a way into the kernel, so each has a line of its own.
    detail += kind == NameKind::command ? fmt::format("; refused by default:\n{}", join(unknown, "\n"))
                                        : "; not known, so refused by default: " + join(unknown, ", ");
    return is_absent(std::move(how), std::move(detail));
}

}  // namespace bpfwarden::kernel
