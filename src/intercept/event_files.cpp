// SPDX-License-Identifier: Apache-2.0
#include "intercept/event_files.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/fd.hpp"

namespace bpfwarden::intercept {

namespace {

constexpr unsigned long harmless = MS_NOSUID | MS_NODEV | MS_NOEXEC;

bool is_directory(const char* path) {
    struct stat info{};
    return ::stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

Result<> mount_memory(const char* path) {
    if (::mount("bpfwarden", path, "tmpfs", harmless, "mode=0755") != 0)
        return fail_errno(std::string("mounting over ") + path);
    return {};
}
Result<> make_read_only(const char* path) {
    if (::mount(nullptr, path, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | harmless, nullptr) != 0)
        return fail_errno(std::string("making the mount of ") + path + " read-only");
    return {};
}

Result<> write_files(const std::string& top, const std::vector<EventFile>& files) {
    const mode_t mask = ::umask(0022);
    std::error_code problem;
    for (const auto& file : files) {
        const auto path = top + "/" + file.path;
        std::filesystem::create_directories(std::filesystem::path(path).parent_path(), problem);
        const UniqueFd made(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0444));
        if (problem || !made ||
            ::write(made.get(), file.content.data(), file.content.size()) !=
                static_cast<ssize_t>(file.content.size())) {
            ::umask(mask);
            return fail_errno("writing " + path);
        }
    }
    ::umask(mask);
    return {};
}

}  // namespace

Result<> mount_event_files(const std::vector<EventFile>& files) {
    constexpr auto tracing = "/sys/kernel/tracing", debug = "/sys/kernel/debug";
    constexpr auto debug_tracing = "/sys/kernel/debug/tracing";
    // A kernel without tracefs has no such directory, and no tracepoints for perf_event_open().
    if (!is_directory(tracing)) return {};
    BW_TRY(mount_memory(tracing));
    BW_TRY(write_files(tracing, files));
    BW_TRY(make_read_only(tracing));
    if (!is_directory(debug)) return {};
    BW_TRY(mount_memory(debug));
    if (::mkdir(debug_tracing, 0755) != 0) return fail_errno(std::string("making ") + debug_tracing);
    if (::mount(tracing, debug_tracing, nullptr, MS_BIND, nullptr) != 0)
        return fail_errno(std::string("mounting over ") + debug_tracing);
    BW_TRY(make_read_only(debug_tracing));
    return make_read_only(debug);
}

}  // namespace bpfwarden::intercept
