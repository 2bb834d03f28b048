// SPDX-License-Identifier: Apache-2.0
#include "kernel/mount.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <charconv>

#include "base/text.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::kernel {

Result<FsContextFd> fs_open(const char* file_system) {
    const int fd = ::fsopen(file_system, FSOPEN_CLOEXEC);
    if (fd < 0) return fail_errno(std::string("fsopen(") + file_system + ")");
    return FsContextFd(fd);
}

std::string fs_log(FsContextRef context) {
    std::string all;
    char line[512];
    for (ssize_t n; (n = ::read(context.get(), line, sizeof line)) > 0;) {
        if (!all.empty()) all += "; ";
        all.append(line, static_cast<std::size_t>(n));
        while (!all.empty() && all.back() == '\n') all.pop_back();
    }
    return all;
}

static Failure fs_failure(FsContextRef context, std::string what) {
    const int err = errno;
    Error error = Error::from_errno(err, std::move(what));
    if (const std::string log = fs_log(context); !log.empty()) {
        std::string why = error.why() + "; the kernel says: " + log;
        return fail(std::move(error).because(std::move(why)));
    }
    return fail(std::move(error));
}

Result<> fs_set(FsContextRef context, const char* key, const std::string& value) {
    if (::fsconfig(context.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) != 0)
        return fs_failure(context, std::string("setting the mount option ") + key + "=" + value);
    return {};
}

Result<> fs_create(FsContextRef context) {
    if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
        return fs_failure(context, "creating the file system");
    return {};
}

Result<MountFd> fs_mount(FsContextRef context, unsigned mount_attributes) {
    const int fd = ::fsmount(context.get(), FSMOUNT_CLOEXEC, mount_attributes);
    if (fd < 0) return fs_failure(context, "fsmount");
    return MountFd(fd);
}

Result<> attach_mount(MountRef mount, FdRef target) {
    if (::move_mount(mount.get(), "", target.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
        return fail_errno("move_mount");
    return {};
}

Result<UniqueFd> open_mount_target(FdRef root, std::string_view path) {
    while (path.starts_with('/')) path.remove_prefix(1);
    const std::string relative(path.empty() ? "." : path);
    open_how how{};
    how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const long fd = ::syscall(SYS_openat2, root.get(), relative.c_str(), &how, sizeof how);
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    const int err = errno;
    Error error = Error::from_errno(err, "opening the mount target /" + relative);
    if (err == ELOOP)
        return fail(std::move(error)
                        .because("a part of the path is a symbolic link, which is not followed here")
                        .advise("name the directory by its real path"));
    if (err == ENOTDIR) return fail(std::move(error).advise("a file system can only be mounted on a directory"));
    return fail(std::move(error));
}

Result<std::uint32_t> file_system_type(FdRef fd) {
    struct statfs info{};
    if (::fstatfs(fd.get(), &info) != 0) return fail_errno("fstatfs");
    return static_cast<std::uint32_t>(info.f_type);
}

// mountinfo writes space, tab, newline and backslash as \ooo.
static std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned code = 0;
        if (text[i] == '\\' && i + 3 < text.size() &&
            std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr == text.data() + i + 4) {
            out += static_cast<char>(code);
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

static unsigned number(std::string_view text) {
    unsigned value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

// Line format: id parent major:minor root path options optional-fields… - type source super-options (proc(5)).
std::vector<MountEntry> parse_mount_table(std::string_view text) {
    std::vector<MountEntry> table;
    for (const auto line : split(text, '\n')) {
        const auto dash = line.find(" - ");
        if (dash == std::string_view::npos) continue;
        const auto left = split(line.substr(0, dash), ' ');
        const auto right = split(line.substr(dash + 3), ' ');
        if (left.size() < 6 || right.size() < 3) continue;
        const auto device = split(left[2], ':');
        table.push_back({.id = number(left[0]),
                         .parent = number(left[1]),
                         .device = device.size() == 2 ? ::makedev(number(device[0]), number(device[1])) : 0,
                         .root = unescape(left[3]),
                         .path = unescape(left[4]),
                         .file_system = std::string(right[0]),
                         .source = unescape(right[1]),
                         .options = std::string(left[5]),
                         .super_options = std::string(right[2])});
    }
    return table;
}

Result<std::vector<MountEntry>> mount_table() { return parse_mount_table(BW_TRY(read_file("/proc/self/mountinfo"))); }

}  // namespace bpfwarden::kernel
