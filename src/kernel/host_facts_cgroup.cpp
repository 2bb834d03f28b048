// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/text.hpp"
#include "kernel/file.hpp"
#include "kernel/host_facts.hpp"

namespace bpfwarden::kernel {

static constexpr const char* how = "read /proc/self/mountinfo";

static std::vector<MountEntry> mounts_of(HostView& host, std::string_view type) {
    std::vector<MountEntry> found;
    if (host.mounts())
        std::ranges::copy_if(*host.mounts(), std::back_inserter(found),
                             [&](const MountEntry& mount) { return mount.file_system == type; });
    return found;
}

static std::string paths(const std::vector<MountEntry>& mounts) {
    std::vector<std::string> words;
    for (const auto& mount : mounts) words.push_back(quoted(mount.path));
    return join(words, ", ");
}

Finding fact_cgroup2(HostView& host) {
    if (!host.mounts()) return from_error(how, host.mounts().error());
    const auto mounts = mounts_of(host, "cgroup2");
    return mounts.empty() ? is_absent(how, "not mounted in this mount namespace")
                          : is_present(how, "at " + paths(mounts));
}

Finding fact_cgroup_controllers(HostView& host) {
    const auto mounts = mounts_of(host, "cgroup2");
    if (mounts.empty()) return is_absent(how, "cgroup v2 is not mounted");
    static constexpr const char* file = "read cgroup.controllers of the cgroup v2 mount";
    const auto text = read_file(mounts.front().path + "/cgroup.controllers");
    if (!text) return from_error(file, text.error());
    const auto words = split(std::string_view(*text).substr(0, text->find('\n')), ' ');
    std::vector<std::string> missing;
    for (const std::string_view wanted : {"cpu", "memory", "pids"})
        if (std::ranges::find(words, wanted) == words.end()) missing.emplace_back(wanted);
    std::string detail =
        "there: " + (words.front().empty() ? "none" : join(std::vector<std::string>(words.begin(), words.end()), " "));
    if (missing.empty()) return is_present(file, detail);
    return is_absent(file, detail + "; missing: " + join(missing, " ") + " (a cgroup v1 hierarchy may hold them)");
}

Finding fact_cgroup_nsdelegate(HostView& host) {
    const auto mounts = mounts_of(host, "cgroup2");
    if (mounts.empty()) return is_absent(how, "cgroup v2 is not mounted");
    const auto options = split(mounts.front().super_options, ',');
    return std::ranges::find(options, "nsdelegate") != options.end()
               ? is_present(how, "a cgroup namespace is a delegation boundary")
               : is_absent(how, "mounted without nsdelegate");
}

Finding fact_cgroup1(HostView& host) {
    if (!host.mounts()) return from_error(how, host.mounts().error());
    const auto mounts = mounts_of(host, "cgroup");
    return mounts.empty() ? is_absent(how, "no version 1 hierarchy is mounted")
                          : is_present(how, "at " + paths(mounts));
}

}  // namespace bpfwarden::kernel
