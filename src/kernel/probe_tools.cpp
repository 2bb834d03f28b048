// SPDX-License-Identifier: Apache-2.0
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/text.hpp"
#include "kernel/probe.hpp"
#include "kernel/process.hpp"

namespace bpfwarden::kernel {

Finding probe_libbpf() {
    return is_present("asked: libbpf_version_string()",
                      fmt::format("{}, linked into this program", ::libbpf_version_string()));
}

// What `path version` prints, at most 4 KiB and 2 s of it.
static Result<std::string> version_of(const char* path) {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return fail_errno("pipe2");
    const UniqueFd read_end(fds[0]);
    UniqueFd write_end(fds[1]);
    const auto child = BW_TRY(Child::fork([&]() -> int {
        const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        if (::dup2(null, 0) < 0 || ::dup2(write_end.get(), 1) < 0 || ::dup2(null, 2) < 0) return 126;
        ::execl(path, path, "version", nullptr);
        return 127;
    }));
    write_end.reset();
    std::string text;
    char part[512];
    for (pollfd ready{read_end.get(), POLLIN, 0}; text.size() < 4096 && ::poll(&ready, 1, 2000) == 1;) {
        const ssize_t got = ::read(read_end.get(), part, sizeof part);
        if (got <= 0) break;
        text.append(part, static_cast<std::size_t>(got));
    }
    return text;
}

// Only from where distributions put it: $PATH may be anyone's.
Finding probe_bpftool() {
    for (const char* path : {"/usr/sbin/bpftool", "/usr/bin/bpftool", "/sbin/bpftool", "/usr/local/sbin/bpftool"}) {
        if (::access(path, X_OK) != 0) continue;
        const auto text = version_of(path);
        if (!text) return from_error(fmt::format("ran: {} version", path), text.error());
        unsigned major = 0, minor = 0;
        const auto at = text->find("using libbpf v");
        const bool told =
            at != std::string::npos && std::sscanf(text->c_str() + at, "using libbpf v%u.%u", &major, &minor) == 2;
        std::string how = fmt::format("ran: {} version", path);
        std::string first(split(*text, '\n').front());
        if (!told) return is_unknown(std::move(how), "it does not say which libbpf it has: " + quoted(first));
        // libbpf 1.4 passes a token for programs; bpftool makes maps by itself, without one (seen with 7.5).
        if (major > 1 || minor >= 4)
            return is_present(std::move(how),
                              fmt::format("{} with libbpf {}.{}: `prog load` uses a token, `map create` does not",
                                          first, major, minor));
        return is_absent(std::move(how),
                         fmt::format("{} with libbpf {}.{}, which knows no tokens (1.4 does)", first, major, minor));
    }
    return is_absent("looked in the system's program directories", "there is no bpftool");
}

}  // namespace bpfwarden::kernel
