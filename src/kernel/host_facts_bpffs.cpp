// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.hpp"
#include "kernel/host_facts.hpp"
#include "kernel/process.hpp"

namespace bpfwarden::kernel {

std::string delegation_options(std::string_view super_options) {
    std::vector<std::string> found;
    for (const auto option : split(super_options, ','))
        if (option.starts_with("delegate_")) found.emplace_back(option);
    return join(found, ",");
}

std::vector<BpffsMount> bpffs_mounts(const std::vector<MountEntry>& table) {
    std::vector<BpffsMount> mounts;
    for (const auto& entry : table) {
        if (entry.file_system != "bpf") continue;
        BpffsMount mount{entry.path, 0, {}, delegation_options(entry.super_options)};
        struct stat info{};
        if (::stat(entry.path.c_str(), &info) != 0)
            mount.hidden = "not reachable from here: " + errno_name(errno);
        else if (info.st_dev != entry.device)
            mount.hidden = "another file system is mounted over it";
        else
            mount.mode = info.st_mode & 07777;
        mounts.push_back(std::move(mount));
    }
    return mounts;
}

static constexpr const char* how = "read /proc/self/mountinfo, and the mode of each mount";

static std::string describe(const BpffsMount& mount) {
    return quoted(mount.path) + " " + (mount.hidden.empty() ? fmt::format("mode {:04o}", mount.mode) : mount.hidden);
}

Finding fact_world_writable_bpffs(HostView& host) {
    if (!host.mounts()) return from_error(how, host.mounts().error());
    std::vector<std::string> open, other;
    for (const auto& mount : bpffs_mounts(*host.mounts()))
        ((mount.mode & S_IWOTH) != 0 ? open : other).push_back(describe(mount));
    if (!open.empty()) {
        std::string detail = join(open, "; ");
        if (!other.empty()) detail += "; not so: " + join(other, "; ");
        return is_present(how, std::move(detail));
    }
    return is_absent(how, other.empty() ? "no bpffs is mounted in this mount namespace"
                                        : "none of those mounted: " + join(other, "; "));
}

Finding fact_pinnable_bpffs(HostView& host) {
    static constexpr uid_t nobody = 65534;
    const bool other = ::geteuid() == 0 || has_capability("setuid");
    std::string tried = other ? "tried: access() to each bpffs mounted, in a child as uid 65534"
                              : "tried: access() to each bpffs mounted, as this user";
    if (!host.mounts()) return from_error(std::move(tried), host.mounts().error());
    std::vector<std::string> open;
    std::size_t all = 0;
    for (const auto& mount : bpffs_mounts(*host.mounts())) {
        ++all;
        enum { closed = 0, writable = 1, no_switch = 2 };
        auto child = Child::fork([&]() -> int {
            if (other && (::setgroups(0, nullptr) != 0 || ::setresgid(nobody, nobody, nobody) != 0 ||
                          ::setresuid(nobody, nobody, nobody) != 0))
                return no_switch;
            return mount.hidden.empty() && ::access(mount.path.c_str(), W_OK | X_OK) == 0 ? writable : closed;
        });
        if (!child) return from_error(std::move(tried), child.error());
        const auto status = child->wait();
        if (!status) return from_error(std::move(tried), status.error());
        if (*status == writable)
            open.push_back(quoted(mount.path));
        else if (*status != closed)
            return is_unknown("not tried", "needs root: cannot become another user to try it");
    }
    return open.empty() ? is_absent(std::move(tried), fmt::format("{} bpffs mounted, none of them writable", all))
                        : is_present(std::move(tried), "writable: " + join(open, ", "));
}

Finding fact_delegating_bpffs(HostView& host) {
    if (!host.mounts()) return from_error(how, host.mounts().error());
    std::vector<std::string> found;
    std::size_t all = 0;
    for (const auto& mount : bpffs_mounts(*host.mounts())) {
        ++all;
        if (!mount.delegated.empty()) found.push_back(quoted(mount.path) + " " + quoted(mount.delegated));
    }
    return found.empty() ? is_absent(how, fmt::format("{} bpffs mounted, none delegates", all))
                         : is_present(how, join(found, "; "));
}

}  // namespace bpfwarden::kernel
