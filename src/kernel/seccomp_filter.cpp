// SPDX-License-Identifier: Apache-2.0
#include "kernel/seccomp_filter.hpp"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

namespace bpfwarden::kernel {

static Error refused(int error) {
    auto what = Error::from_errno(error, "the kernel does not take the filter");
    switch (error) {
        case EINVAL:
            return std::move(what)
                .because("it is no valid program, or a flag is not known to this kernel")
                .advise("`bpfwarden filter check` says whether the program is valid");
        case EBUSY:
            return std::move(what).because("there is a filter with a listener already; a process can have one");
        case ENOMEM:
            return std::move(what).because("all filters of a process together have at most 32768 instructions");
        case ESRCH:
            return std::move(what).because("a thread has filters of its own that this one cannot stand on");
        default:
            return what;
    }
}

Result<UniqueFd> install_filter(std::span<const sock_filter> program, SeccompFlags flags) {
    // The length has 16 bits: a longer one would be cut, and another program.
    if (program.empty() || program.size() > BPF_MAXINSNS)
        return fail(Error(Code::bad_input, "a filter has 1 to 4096 instructions"));
    unsigned bits = 0;
    if (flags.all_threads) bits |= SECCOMP_FILTER_FLAG_TSYNC;
    if (flags.log) bits |= SECCOMP_FILTER_FLAG_LOG;
    if (flags.speculate) bits |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    if (flags.new_listener) bits |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
    if (flags.wait_killable) bits |= SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // Both give a number: an fd, or of a thread that could not be brought along.
    if (flags.all_threads && flags.new_listener) bits |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
    // sock_fprog takes a non-const pointer for historical reasons.
    const sock_fprog raw{static_cast<unsigned short>(program.size()), const_cast<sock_filter*>(program.data())};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("prctl(PR_SET_NO_NEW_PRIVS)");
    const long result = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, bits, &raw);
    if (result < 0) return fail(refused(errno));
    if (flags.new_listener) return UniqueFd(static_cast<int>(result));
    if (result > 0) return fail(refused(ESRCH));
    return UniqueFd();
}

}  // namespace bpfwarden::kernel
