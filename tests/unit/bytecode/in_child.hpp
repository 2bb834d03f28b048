// SPDX-License-Identifier: Apache-2.0
// The running kernel as oracle for classic filters: a child gives up new privileges, installs the filter, and calls.
#pragma once

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace bpfwarden::bytecode {

inline bool install(std::span<const sock_filter> program) {
    sock_fprog given{
        .len = static_cast<unsigned short>(program.size()),
        .filter = const_cast<sock_filter*>(program.data())};  // NOLINT(cppcoreguidelines-pro-type-const-cast)
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &given) == 0;
}

// Whether seccomp(2) takes it.
inline bool kernel_takes(std::span<const sock_filter> program) {
    constexpr int refused = 42;
    const pid_t child = ::fork();
    // Under a filter that was taken anything may happen to the child: only a refusal ends in this status.
    if (child == 0) {
        if (!install(program) && errno == EINVAL) ::_exit(refused);
        ::_exit(0);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return !(WIFEXITED(status) && WEXITSTATUS(status) == refused);
}

struct Call {
    long number = 0;
    std::array<std::uint64_t, 6> args{};
};

// What each call returns under the filter, as the kernel does: -errno. Nothing if it was not taken, or if the child did
// not live to tell: the filter must allow write and exit_group.
inline std::optional<std::vector<long>> results_in_child(std::span<const sock_filter> program,
                                                         std::span<const Call> calls) {
    std::vector<long> results(calls.size());
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
    const pid_t child = ::fork();
    if (child == 0) {
        if (!install(program)) ::_exit(1);
        for (std::size_t i = 0; i < calls.size(); ++i) {
            const auto& [number, args] = calls[i];
            const long result = ::syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
            results[i] = result < 0 ? -errno : result;
        }
        const auto bytes = std::as_bytes(std::span(results));
        for (std::size_t done = 0; done < bytes.size();) {
            const auto count = ::write(ends[1], bytes.data() + done, bytes.size() - done);
            if (count <= 0) ::_exit(1);
            done += static_cast<std::size_t>(count);
        }
        ::_exit(0);
    }
    ::close(ends[1]);
    const auto bytes = std::as_writable_bytes(std::span(results));
    std::size_t done = 0;
    while (done < bytes.size()) {
        const auto count = ::read(ends[0], bytes.data() + done, bytes.size() - done);
        if (count <= 0) break;
        done += static_cast<std::size_t>(count);
    }
    ::close(ends[0]);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (status != 0 || done != bytes.size()) return std::nullopt;
    return results;
}

}  // namespace bpfwarden::bytecode
