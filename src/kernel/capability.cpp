// SPDX-License-Identifier: Apache-2.0
#include "kernel/capability.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/text.hpp"

namespace bpfwarden::kernel {

// Position is number; complete as of Linux 7.2 (the last one came with 5.9).
static constexpr std::array<std::string_view, 41> names{"chown",
                                                        "dac_override",
                                                        "dac_read_search",
                                                        "fowner",
                                                        "fsetid",
                                                        "kill",
                                                        "setgid",
                                                        "setuid",
                                                        "setpcap",
                                                        "linux_immutable",
                                                        "net_bind_service",
                                                        "net_broadcast",
                                                        "net_admin",
                                                        "net_raw",
                                                        "ipc_lock",
                                                        "ipc_owner",
                                                        "sys_module",
                                                        "sys_rawio",
                                                        "sys_chroot",
                                                        "sys_ptrace",
                                                        "sys_pacct",
                                                        "sys_admin",
                                                        "sys_boot",
                                                        "sys_nice",
                                                        "sys_resource",
                                                        "sys_time",
                                                        "sys_tty_config",
                                                        "mknod",
                                                        "lease",
                                                        "audit_write",
                                                        "audit_control",
                                                        "setfcap",
                                                        "mac_override",
                                                        "mac_admin",
                                                        "syslog",
                                                        "wake_alarm",
                                                        "block_suspend",
                                                        "audit_read",
                                                        "perfmon",
                                                        "bpf",
                                                        "checkpoint_restore"};

std::optional<unsigned> capability_number(std::string_view name) {
    const std::string wanted = lower(name);
    std::string_view bare = wanted;
    if (bare.starts_with("cap_")) bare.remove_prefix(4);
    const auto at = std::ranges::find(names, bare);
    if (at == names.end()) return std::nullopt;
    return static_cast<unsigned>(at - names.begin());
}

std::string capability_name(unsigned number) {
    return number < names.size() ? std::string(names[number]) : fmt::format("capability {}", number);
}

// The raw calls: libc has no wrappers, and libcap would allocate for what is six words.
struct Sets {
    CapabilityMask effective, permitted, inheritable;
};

static Result<Sets> get_sets() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (syscall(SYS_capget, &header, data) != 0) return fail_errno("capget");
    const auto join = [&](auto member) { return data[0].*member | CapabilityMask{data[1].*member} << 32; };
    return Sets{join(&__user_cap_data_struct::effective), join(&__user_cap_data_struct::permitted),
                join(&__user_cap_data_struct::inheritable)};
}

static Result<> set_sets(const Sets& sets) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    for (unsigned half = 0; half < 2; ++half) {
        data[half].effective = static_cast<std::uint32_t>(sets.effective >> (32 * half));
        data[half].permitted = static_cast<std::uint32_t>(sets.permitted >> (32 * half));
        data[half].inheritable = static_cast<std::uint32_t>(sets.inheritable >> (32 * half));
    }
    if (syscall(SYS_capset, &header, data) != 0) return fail_errno("capset");
    return {};
}

// Calls `act(number)` for each bit until one fails.
template <class Act>
static Result<> each_bit(CapabilityMask mask, Act act) {
    for (unsigned number = 0; number < 64; ++number)
        if (mask >> number & 1) BW_TRY(act(number));
    return {};
}

Result<CapabilityMask> effective_capabilities() { return BW_TRY(get_sets()).effective; }

// Soundness: the bounding set goes first, while CAP_SETPCAP is still there. After capset() nothing outside `keep` is in
// permitted, and nothing can add to permitted but execve(), which adds at most what the bounding set has.
Result<> keep_only(CapabilityMask keep) {
    const Sets now = BW_TRY(get_sets());
    if (const CapabilityMask missing = keep & ~now.permitted) {
        std::vector<std::string> words;
        BW_TRY(each_bit(missing, [&](unsigned number) -> Result<> {
            words.push_back(capability_name(number));
            return {};
        }));
        return fail(Error(Code::denied, "cannot keep capabilities that this process does not have")
                        .because(fmt::format("missing: {}", fmt::join(words, ", "))));
    }
    // A change of uid under PR_SET_KEEPCAPS empties the effective set and leaves the permitted one.
    BW_TRY(set_sets({now.permitted, now.permitted, now.inheritable}));
    // PR_CAPBSET_READ is EINVAL from the first number that the running kernel does not know.
    for (unsigned number = 0; number < 64; ++number) {
        const int bounded = prctl(PR_CAPBSET_READ, number, 0, 0, 0);
        if (bounded < 0) break;
        if (bounded == 1 && !(keep >> number & 1) && prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0)
            return fail_errno(fmt::format("dropping {} from the bounding set", capability_name(number)));
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return fail_errno("clearing ambient capabilities");
    BW_TRY(set_sets({keep, keep, keep}));
    return each_bit(keep, [](unsigned number) -> Result<> {
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0)
            return fail_errno(fmt::format("raising the ambient capability {}", capability_name(number)));
        return {};
    });
}

}  // namespace bpfwarden::kernel
