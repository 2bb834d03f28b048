// SPDX-License-Identifier: Apache-2.0
#include "intercept/caller.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kcmp.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

namespace bpfwarden::intercept {

namespace {

constexpr unsigned pidfd_thread = O_EXCL;  // PIDFD_THREAD, 6.9

int pidfd_open(pid_t pid, unsigned flags) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, flags)); }

// Of a thread that is not its process's first, where pidfds are of processes only: the one of the process's threads
// that one can be opened of.
UniqueFd leader_of(pid_t thread) {
    const std::unique_ptr<DIR, int (*)(DIR*)> tasks(::opendir(fmt::format("/proc/{}/task", thread).c_str()),
                                                    ::closedir);
    while (const dirent* entry = tasks ? ::readdir(tasks.get()) : nullptr) {
        pid_t one = 0;
        const char* end = entry->d_name + std::strlen(entry->d_name);
        if (std::from_chars(entry->d_name, end, one).ptr != end || one == thread) continue;
        UniqueFd leader(pidfd_open(one, 0));
        if (!leader) continue;
        // Threads may have file descriptors of their own (unshare(2), CLONE_FILES).
        if (::syscall(SYS_kcmp, one, thread, KCMP_FILES, 0, 0) != 0) return {};
        return leader;
    }
    return {};
}

}  // namespace

Result<> Caller::read(std::uint64_t address, std::span<std::byte> to) const {
    if (to.empty()) return {};
    const iovec here{to.data(), to.size()}, there{reinterpret_cast<void*>(address), to.size()};
    const auto got = ::process_vm_readv(thread_, &here, 1, &there, 1, 0);
    if (got == static_cast<ssize_t>(to.size())) return {};
    return fail_errno(got < 0 ? errno : EFAULT, "reading the caller's memory");
}

Result<> Caller::write(std::uint64_t address, wire::Bytes from) const {
    if (from.empty()) return {};
    const iovec here{const_cast<std::byte*>(from.data()), from.size()};
    const iovec there{reinterpret_cast<void*>(address), from.size()};
    const auto put = ::process_vm_writev(thread_, &here, 1, &there, 1, 0);
    if (put == static_cast<ssize_t>(from.size())) return {};
    return fail_errno(put < 0 ? errno : EFAULT, "writing the caller's memory");
}

Result<std::string> Caller::text(std::uint64_t address, std::size_t most) const {
    // Page by page: what stands behind the text may not be there.
    constexpr std::size_t page = 4096;
    std::string text;
    while (text.size() < most) {
        char chunk[page];
        const auto length =
            std::min(most - text.size(), page - static_cast<std::size_t>((address + text.size()) % page));
        BW_TRY(read(address + text.size(), std::as_writable_bytes(std::span(chunk).first(length))));
        const auto used = ::strnlen(chunk, length);
        text.append(chunk, used);
        if (used < length) break;
    }
    return text;
}

Result<> Caller::open_process() {
    if (process_) return {};
    process_ = PidFd(pidfd_open(thread_, pidfd_thread));
    if (!process_ && errno == EINVAL) process_ = PidFd(pidfd_open(thread_, 0));
    if (!process_ && errno == EINVAL) {
        errno = EPERM;
        process_ = PidFd(leader_of(thread_).release());
    }
    if (!process_) return fail_errno("finding the caller");
    return {};
}

Result<UniqueFd> Caller::fd(int number) {
    BW_TRY(open_process());
    UniqueFd got(static_cast<int>(::syscall(SYS_pidfd_getfd, process_.get(), number, 0)));
    if (!got) return fail_errno("taking the caller's file descriptor");
    return got;
}

Result<UniqueFd> Caller::file(const std::string& path) const {
    if (path.empty()) return fail_errno(ENOENT, "opening the caller's file");
    const bool absolute = path.front() == '/';
    const UniqueFd from(::open(fmt::format("/proc/{}/{}", thread_, absolute ? "root" : "cwd").c_str(),
                               O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!from) return fail_errno("opening the caller's file");
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = absolute ? RESOLVE_IN_ROOT : 0;
    UniqueFd file(static_cast<int>(::syscall(SYS_openat2, from.get(), path.c_str(), &how, sizeof how)));
    if (!file) return fail_errno("opening the caller's file");
    return file;
}

Result<wire::Sender> Caller::identity() const {
    struct stat info{};
    if (::stat(fmt::format("/proc/{}", thread_).c_str(), &info) != 0) return fail_errno("finding the caller");
    return wire::Sender{thread_, info.st_uid, info.st_gid};
}

bool Caller::shares_pids() const {
    struct stat own{}, other{};
    return ::stat("/proc/self/ns/pid", &own) == 0 &&
           ::stat(fmt::format("/proc/{}/ns/pid", thread_).c_str(), &other) == 0 && own.st_ino == other.st_ino &&
           own.st_dev == other.st_dev;
}

}  // namespace bpfwarden::intercept
