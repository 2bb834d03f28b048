// SPDX-License-Identifier: Apache-2.0
#include "enforce/guard_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "kernel/file.hpp"

namespace bpfwarden::enforce {

static std::string path_in(const std::string& run) { return run + "/guard.lock"; }

// A lock of the open file: it can be asked about without being taken, and no close of another fd gives it up.
static struct flock whole_file() {
    struct flock lock{};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
}

static pid_t pid_in(const std::string& path) {
    const auto text = kernel::read_file(path, 64);
    pid_t pid = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), pid);
    return pid;
}

Result<UniqueFd> take_guard_lock(const std::string& run) {
    const auto path = path_in(run);
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) return fail_errno(fmt::format("cannot open {}", path));
    auto lock = whole_file();
    if (::fcntl(fd.get(), F_OFD_SETLK, &lock) != 0) {
        if (errno != EAGAIN && errno != EACCES) return fail_errno(fmt::format("cannot lock {}", path));
        return fail(Error(Code::failed, "a bpfwarden-guard runs already")
                        .because(fmt::format("process {} holds {}", pid_in(path), path))
                        .advise("there is one policy, and one reader of its events"));
    }
    const auto pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(fd.get(), 0) != 0 ||
        ::pwrite(fd.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
        return fail_errno(fmt::format("cannot write {}", path));
    return fd;
}

std::optional<pid_t> guard_running(const std::string& run) {
    const auto path = path_in(run);
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    auto lock = whole_file();
    if (!fd || ::fcntl(fd.get(), F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return std::nullopt;
    return pid_in(path);
}

}  // namespace bpfwarden::enforce
