// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "kernel/host_facts.hpp"
#include "kernel/sysctl.hpp"

namespace bpfwarden::kernel {

Finding fact_sysctl(std::string_view name, std::initializer_list<Meaning> meanings, std::string_view when_missing) {
    std::string how = "read " + sysctl_path(name);
    const auto value = read_sysctl(name);
    if (!value)
        return value.error().code() == Code::not_found ? is_absent(std::move(how), std::string(when_missing))
                                                       : from_error(std::move(how), value.error());
    for (const auto& meaning : meanings)
        if (meaning.value == *value) return is_present(std::move(how), fmt::format("{}: {}", *value, meaning.text));
    return is_present(std::move(how), *value);
}

Finding fact_max_user_namespaces() {
    const auto found =
        fact_sysctl("user.max_user_namespaces", {{"0", "none may be made"}}, "this kernel has no user namespaces");
    // Debian's own switch, in addition; mainline has none.
    const auto debian = read_sysctl("kernel.unprivileged_userns_clone");
    if (found.detail.starts_with("0")) return is_absent(found.how, found.detail);
    if (!found.present() || !debian) return found;
    return *debian == "0" ? is_absent(found.how + " and kernel.unprivileged_userns_clone",
                                      found.detail + ", but kernel.unprivileged_userns_clone = 0: for root only")
                          : is_present(found.how + " and kernel.unprivileged_userns_clone",
                                       found.detail + ", kernel.unprivileged_userns_clone = " + *debian);
}

Finding fact_ftrace_enabled() {
    auto found = fact_sysctl("kernel.ftrace_enabled", {{"1", "on"}, {"0", "off: attached BPF LSM programs do not run"}},
                             "this kernel has no such switch");
    if (found.state != Presence::unknown)
        found.state = found.detail.starts_with("0") ? Presence::absent : Presence::present;
    return found;
}

}  // namespace bpfwarden::kernel
