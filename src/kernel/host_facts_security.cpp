// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "kernel/file.hpp"
#include "kernel/host_facts.hpp"
#include "kernel/proc_config.hpp"

namespace bpfwarden::kernel {

static std::string trimmed(std::string text) {
    while (text.ends_with('\n')) text.pop_back();
    return text;
}

static bool is_active(const LsmList& list, std::string_view name) {
    return std::ranges::find(list.names, name) != list.names.end();
}

Finding fact_lsm_order(HostView& host) {
    const auto& list = host.lsms();
    if (!list) return from_error("securityfs and lsm_list_modules(2)", list.error());
    std::string detail = join(list->names, ",");
    if (const auto line = read_file("/proc/cmdline"))
        for (const auto word : split(trimmed(*line), ' '))
            if (word.starts_with("lsm=") || word.starts_with("security="))
                detail += "; the boot line has " + quoted(word);
    return is_present(list->how, std::move(detail));
}

Finding fact_selinux(HostView& host) {
    const auto& list = host.lsms();
    if (list && !is_active(*list, "selinux")) return is_absent(list->how, "not among the active security modules");
    const auto enforce = read_file("/sys/fs/selinux/enforce");
    if (!enforce) return from_error("read enforce in selinuxfs", enforce.error());
    return enforce->starts_with('1') ? is_present("read enforce in selinuxfs", "enforcing")
                                     : is_absent("read enforce in selinuxfs", "active, and permissive");
}

Finding fact_apparmor(HostView& host) {
    const auto& list = host.lsms();
    if (!list) return from_error("securityfs and lsm_list_modules(2)", list.error());
    if (!is_active(*list, "apparmor")) return is_absent(list->how, "not among the active security modules");
    std::string detail = "active";
    if (const auto own = read_file("/proc/self/attr/apparmor/current"))
        detail += ", and we are " + quoted(trimmed(*own));
    const auto restricts = read_file("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    if (restricts)
        detail +=
            restricts->starts_with('0') ? "; it does not restrict user namespaces" : "; it restricts user namespaces";
    return is_present(list->how, std::move(detail));
}

std::string_view parse_lockdown(std::string_view text) {
    const auto open = text.find('['), close = text.find(']');
    return open < close && close != std::string_view::npos ? text.substr(open + 1, close - open - 1)
                                                           : std::string_view{};
}

Finding fact_lockdown(HostView&) {
    static constexpr const char* how = "read lockdown in securityfs";
    const auto text = read_securityfs("lockdown");
    if (!text)
        return text.error().code() == Code::not_found
                   ? is_absent(how, "this kernel has no lockdown module, or it is not active")
                   : from_error(how, text.error());
    const auto mode = parse_lockdown(*text);
    if (mode.empty()) return is_unknown(how, quoted(trimmed(*text)));
    return mode == "none" ? is_absent(how, "mode none") : is_present(how, fmt::format("mode {}", mode));
}

Finding fact_ima(HostView& host) {
    for (const char* place : {"ima", "integrity/ima"})
        if (securityfs_has(place))
            return is_present("looked for ima in securityfs", "there: files are measured or appraised");
    const Finding by_name = host.btf() ? (host.btf()->function("ima_file_hash").id != 0
                                              ? is_present("the kernel's BTF: ima_file_hash()", "compiled in")
                                              : is_absent("the kernel's BTF: ima_file_hash()", "not compiled in"))
                                       : from_error("the kernel's BTF", host.btf().error());
    return by_name;
}

Finding fact_fsverity(HostView& host) {
    static constexpr const char* how = "the kernel's BTF: fsverity_ioctl_measure()";
    if (!host.btf()) return from_error(how, host.btf().error());
    if (host.btf()->function("fsverity_ioctl_measure").id == 0) return is_absent(how, "not compiled in");
    return is_present(
        how, ::access("/sys/fs/ext4/features/verity", F_OK) == 0 ? "compiled in, and ext4 has it too" : "compiled in");
}

Finding fact_module_signing(HostView&) {
    if (::access("/proc/modules", F_OK) != 0)
        return is_present("looked for /proc/modules", "this kernel loads no modules at all");
    static constexpr const char* how = "read /sys/module/module/parameters/sig_enforce";
    const auto value = read_file("/sys/module/module/parameters/sig_enforce");
    if (!value)
        return value.error().code() == Code::not_found
                   ? is_absent(how, "this kernel does not check signatures of modules")
                   : from_error(how, value.error());
    return value->starts_with('Y') ? is_present(how, "only signed modules load")
                                   : is_absent(how, "signatures are known, and not demanded");
}

Finding fact_trusted_keyring(HostView&) {
    static constexpr const char* how = "read /proc/keys";
    const auto keys = read_file("/proc/keys");
    if (!keys) return is_absent(how, "no /proc/keys: this kernel keeps no keys");
    std::vector<std::string> found;
    for (const auto line : split(*keys, '\n'))
        for (const std::string_view name :
             {".builtin_trusted_keys", ".secondary_trusted_keys", ".machine", ".platform"})
            if (const auto at = line.find(std::string(" ") + std::string(name) + ":"); at != std::string_view::npos)
                found.emplace_back(line.substr(at + 1));
    if (!found.empty()) return is_present(how, join(found, ", "));
    return ::geteuid() == 0 ? is_absent(how, "no keyring of trusted keys is shown")
                            : is_unknown(how, "needs root: other users are not shown the system's keyrings");
}

Finding fact_kernel_config(HostView&) {
    const auto config = kernel_config();
    if (!config) return is_absent("looked for the kernel's configuration", config.error().what());
    static constexpr std::string_view interesting[] = {"CONFIG_BPF_LSM",          "CONFIG_CGROUP_BPF",
                                                       "CONFIG_USER_NS",          "CONFIG_DEBUG_INFO_BTF",
                                                       "CONFIG_KPROBES",          "CONFIG_BPF_KPROBE_OVERRIDE",
                                                       "CONFIG_SECURITY_PATH",    "CONFIG_SYSTEM_DATA_VERIFICATION",
                                                       "CONFIG_MODULE_SIG_FORCE", "CONFIG_IMA",
                                                       "CONFIG_FS_VERITY"};
    std::vector<std::string> words;
    for (const auto option : interesting) {
        const auto at = config->options.find(option);
        words.push_back(fmt::format("{}={}", option.substr(7), at == config->options.end() ? "n" : at->second));
    }
    return is_present("by " + config->from + " (what was compiled, not what works)", join(words, " "));
}

}  // namespace bpfwarden::kernel
