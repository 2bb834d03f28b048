// SPDX-License-Identifier: Apache-2.0
#include "kernel/command.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

namespace bpfwarden::kernel {

Result<> become(const UserIds& ids, CapabilityMask capabilities) {
    if (::setgroups(ids.groups.size(), ids.groups.data()) != 0) return fail_errno("setgroups");
    if (::setresgid(ids.gid, ids.gid, ids.gid) != 0) return fail_errno("setresgid");
    // What is kept is cut down right after.
    if (::prctl(PR_SET_KEEPCAPS, 1) != 0) return fail_errno("prctl(PR_SET_KEEPCAPS)");
    if (::setresuid(ids.uid, ids.uid, ids.uid) != 0) return fail_errno("setresuid");
    if (::prctl(PR_SET_KEEPCAPS, 0) != 0) return fail_errno("prctl(PR_SET_KEEPCAPS)");
    return keep_only(capabilities);
}

Result<> pass_on_fds(std::span<const int> fds) {
    if (::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return fail_errno("close_range");
    for (const int fd : fds)
        if (::fcntl(fd, F_SETFD, 0) != 0) return fail_errno(fmt::format("keeping file descriptor {}", fd));
    return {};
}

NotExecuted execute(const std::vector<std::string>& command) {
    std::vector<char*> argv;
    // execvp takes char* for historical reasons and changes nothing.
    for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    const int error = errno;
    return {Error::from_errno(error, "cannot run " + command.front()),
            error == ENOENT ? command_not_found : cannot_execute};
}

}  // namespace bpfwarden::kernel
