// SPDX-License-Identifier: Apache-2.0
// The two files of a tracepoint that a tracing program reads, /sys/kernel/tracing/events/CATEGORY/NAME/{id,format}, for
// a program that may not read them: out of the session, as a memfd.
//
// libc's own function goes first, so whatever works without this library works as it did.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "client/last_error.hpp"
#include "client/preload/session.hpp"
#include "client/requests.hpp"

namespace bpfwarden::preload {

namespace {

// The function that stood there before this library.
template <class Function>
Function* before_us(std::atomic<Function*>& known, const char* name) {
    auto* function = known.load(std::memory_order_relaxed);
    if (function == nullptr) {
        function = reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
        known.store(function, std::memory_order_relaxed);
    }
    return function;
}

struct Asked {
    std::string tracepoint;
    client::EventText what{};
};
std::optional<Asked> asked_for(std::string_view path) {
    for (const std::string_view root : {"/sys/kernel/tracing/events/", "/sys/kernel/debug/tracing/events/"}) {
        if (!path.starts_with(root)) continue;
        const auto rest = path.substr(root.size());
        const auto file = rest.rfind('/');
        const auto category = rest.find('/');
        if (file == rest.npos || category == file || rest.find('/', category + 1) != file) return {};
        if (category == 0 || file == category + 1) return {};
        const auto name = rest.substr(file + 1);
        if (name != "id" && name != "format") return {};
        return Asked{std::string(rest.substr(0, file)),
                     name == "id" ? client::EventText::id : client::EventText::format};
    }
    return {};
}

// After libc's function failed: the file out of the session, or -1 with the errno of that failure.
int instead(const char* path, bool close_on_exec) {
    const int number = errno;
    if ((number != EACCES && number != EPERM && number != ENOENT) || !is_configured()) return -1;
    int fd = -1;
    try {
        // A path that libc could not read either was EFAULT.
        if (const auto asked = asked_for(path)) {
            if (auto* over = session()) {
                auto text =
                    client::event_text(*reinterpret_cast<client::Session*>(over), asked->tracepoint, asked->what);
                // A file that the kernel makes ends with a newline; the text is as the broker read it.
                auto memory = text ? wire::sealed_memory("tracepoint", wire::bytes_of(*text)) : fail(text.error());
                if (memory && ::lseek(memory->get(), 0, SEEK_SET) == 0 &&
                    (close_on_exec || ::fcntl(memory->get(), F_SETFD, 0) == 0)) {
                    fd = memory->release();
                } else if (!memory) {
                    client::record(memory.error());
                    explain();
                }
            }
        }
    } catch (const std::exception&) {
        // No memory: as without this library.
    }
    errno = number;
    return fd;
}

bool only_reads(int flags) {
    return (flags & O_ACCMODE) == O_RDONLY && (flags & (O_CREAT | O_DIRECTORY | O_PATH | O_TRUNC)) == 0;
}
bool has_mode(int flags) { return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE; }

using Open = int(const char*, int, ...);
using OpenAt = int(int, const char*, int, ...);
using Open2 = int(const char*, int);
using OpenAt2 = int(int, const char*, int);
using FileOpen = FILE*(const char*, const char*);

int open_with(std::atomic<Open*>& known, const char* name, const char* path, int flags, mode_t mode) {
    auto* real = before_us(known, name);
    const int fd = has_mode(flags) ? real(path, flags, mode) : real(path, flags);
    return fd >= 0 || !only_reads(flags) ? fd : instead(path, (flags & O_CLOEXEC) != 0);
}
int open_at_with(std::atomic<OpenAt*>& known, const char* name, int at, const char* path, int flags, mode_t mode) {
    auto* real = before_us(known, name);
    const int fd = has_mode(flags) ? real(at, path, flags, mode) : real(at, path, flags);
    return fd >= 0 || !only_reads(flags) ? fd : instead(path, (flags & O_CLOEXEC) != 0);
}
FILE* open_file_with(std::atomic<FileOpen*>& known, const char* name, const char* path, const char* mode) {
    FILE* file = before_us(known, name)(path, mode);
    if (file != nullptr || mode[0] != 'r' || std::strchr(mode, '+') != nullptr) return file;
    const int fd = instead(path, std::strchr(mode, 'e') != nullptr);
    if (fd < 0) return nullptr;
    file = ::fdopen(fd, "r");
    if (file == nullptr) ::close(fd);
    return file;
}

}  // namespace

}  // namespace bpfwarden::preload

// Under names of our own, as libc's headers declare and sometimes define the real ones.
namespace preload = bpfwarden::preload;
#define IN_PLACE_OF(name) __asm__(name) __attribute__((visibility("default")))
extern "C" {
int preload_open(const char* path, int flags, ...) IN_PLACE_OF("open");
int preload_open64(const char* path, int flags, ...) IN_PLACE_OF("open64");
int preload_openat(int at, const char* path, int flags, ...) IN_PLACE_OF("openat");
int preload_openat64(int at, const char* path, int flags, ...) IN_PLACE_OF("openat64");
int preload_open_2(const char* path, int flags) IN_PLACE_OF("__open_2");
int preload_open64_2(const char* path, int flags) IN_PLACE_OF("__open64_2");
int preload_openat_2(int at, const char* path, int flags) IN_PLACE_OF("__openat_2");
int preload_openat64_2(int at, const char* path, int flags) IN_PLACE_OF("__openat64_2");
FILE* preload_fopen(const char* path, const char* mode) IN_PLACE_OF("fopen");
FILE* preload_fopen64(const char* path, const char* mode) IN_PLACE_OF("fopen64");

#define MODE_OF(flags)               \
    mode_t mode = 0;                 \
    if (preload::has_mode(flags)) {  \
        std::va_list list;           \
        va_start(list, flags);       \
        mode = va_arg(list, mode_t); \
        va_end(list);                \
    }

int preload_open(const char* path, int flags, ...) {
    static std::atomic<preload::Open*> real;
    MODE_OF(flags)
    return preload::open_with(real, "open", path, flags, mode);
}
int preload_open64(const char* path, int flags, ...) {
    static std::atomic<preload::Open*> real;
    MODE_OF(flags)
    return preload::open_with(real, "open64", path, flags, mode);
}
int preload_openat(int at, const char* path, int flags, ...) {
    static std::atomic<preload::OpenAt*> real;
    MODE_OF(flags)
    return preload::open_at_with(real, "openat", at, path, flags, mode);
}
int preload_openat64(int at, const char* path, int flags, ...) {
    static std::atomic<preload::OpenAt*> real;
    MODE_OF(flags)
    return preload::open_at_with(real, "openat64", at, path, flags, mode);
}
// What fortified programs call: libc's own checks that a mode was not forgotten, and ends the program if so.
int preload_open_2(const char* path, int flags) {
    static std::atomic<preload::Open2*> real;
    const int fd = preload::before_us(real, "__open_2")(path, flags);
    return fd >= 0 || !preload::only_reads(flags) ? fd : preload::instead(path, (flags & O_CLOEXEC) != 0);
}
int preload_open64_2(const char* path, int flags) {
    static std::atomic<preload::Open2*> real;
    const int fd = preload::before_us(real, "__open64_2")(path, flags);
    return fd >= 0 || !preload::only_reads(flags) ? fd : preload::instead(path, (flags & O_CLOEXEC) != 0);
}
int preload_openat_2(int at, const char* path, int flags) {
    static std::atomic<preload::OpenAt2*> real;
    const int fd = preload::before_us(real, "__openat_2")(at, path, flags);
    return fd >= 0 || !preload::only_reads(flags) ? fd : preload::instead(path, (flags & O_CLOEXEC) != 0);
}
int preload_openat64_2(int at, const char* path, int flags) {
    static std::atomic<preload::OpenAt2*> real;
    const int fd = preload::before_us(real, "__openat64_2")(at, path, flags);
    return fd >= 0 || !preload::only_reads(flags) ? fd : preload::instead(path, (flags & O_CLOEXEC) != 0);
}
FILE* preload_fopen(const char* path, const char* mode) {
    static std::atomic<preload::FileOpen*> real;
    return preload::open_file_with(real, "fopen", path, mode);
}
FILE* preload_fopen64(const char* path, const char* mode) {
    static std::atomic<preload::FileOpen*> real;
    return preload::open_file_with(real, "fopen64", path, mode);
}
}  // extern "C"
