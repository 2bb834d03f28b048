// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>

#include "kernel/host_view.hpp"
#include "kernel/mount.hpp"
#include "kernel/probe.hpp"
#include "kernel/process.hpp"

namespace bpfwarden::kernel {

// "tmpfs" stands for anything that asks for CAP_SYS_ADMIN in the new namespace: AppArmor's restriction (6.7 and later,
// as Ubuntu sets it) lets unshare() succeed and takes the capabilities away inside.
static Finding unshare_in_child(std::string how, uid_t uid) {
    enum { fine = 0, no_switch = 1, no_capability = 2, refused = 3 };  // + errno
    auto child = Child::fork([uid]() -> int {
        if (uid != ::geteuid() &&
            (::setgroups(0, nullptr) != 0 || ::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0))
            return no_switch;
        if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return errno < 120 ? refused + errno : refused;
        return fs_open("tmpfs") ? fine : no_capability;
    });
    if (!child) return from_error(std::move(how), child.error());
    const auto status = child->wait();
    if (!status) return from_error(std::move(how), status.error());
    if (*status == fine) return is_present(std::move(how), "made, and its capabilities count inside");
    if (*status == no_switch) return is_unknown("not tried", "needs root: cannot become another user to try it");
    if (*status == no_capability)
        return is_absent(std::move(how), "made, but without capabilities inside (AppArmor's or SELinux's restriction)");
    if (*status >= 128) return is_unknown(std::move(how), "the child that tried it was killed");
    return is_absent(std::move(how), "unshare(CLONE_NEWUSER): " + errno_name(*status - refused));
}

Finding probe_user_namespaces() {
    return unshare_in_child("tried: unshare(CLONE_NEWUSER|CLONE_NEWNS) and fsopen() in a child", ::geteuid());
}

Finding probe_nobody_user_namespaces() {
    static constexpr uid_t nobody = 65534;
    if (::geteuid() != 0 && !has_capability("setuid"))
        return unshare_in_child("tried: unshare() and fsopen() in a child as this user", ::geteuid());
    return unshare_in_child("tried: unshare() and fsopen() in a child as uid 65534", nobody);
}

}  // namespace bpfwarden::kernel
