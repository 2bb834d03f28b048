// SPDX-License-Identifier: Apache-2.0
// The mount API by file descriptor (fsopen and its kin, kernel 5.2), and the mount table.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::kernel {

// f_type values of statfs(2); <linux/magic.h> has them under the same names, but not all in every release.
inline constexpr std::uint32_t bpffs_magic = 0xcafe4a11;
inline constexpr std::uint32_t cgroup2_magic = 0x63677270;
inline constexpr std::uint32_t nsfs_magic = 0x6e736673;

Result<FsContextFd> fs_open(const char* file_system);
Result<> fs_set(FsContextRef context, const char* key, const std::string& value);
// What the kernel logged about the last failure on this context ("bpf: Unknown …"), or nothing.
std::string fs_log(FsContextRef context);
Result<> fs_create(FsContextRef context);
Result<MountFd> fs_mount(FsContextRef context, unsigned mount_attributes);
// Puts a detached mount onto the directory `target` (an O_PATH fd: nothing is looked up by name here).
Result<> attach_mount(MountRef mount, FdRef target);

// A directory for mounting on, looked up below `root` without following any symbolic or magic link, so that whoever
// can write to a directory on the way cannot send the mount elsewhere (openat2, kernel 5.6).
Result<UniqueFd> open_mount_target(FdRef root, std::string_view path);

// f_type of the file system behind an fd.
Result<std::uint32_t> file_system_type(FdRef fd);
// Served by a process, which may be anybody's.
inline constexpr std::uint32_t fuse_magic = 0x65735546;

struct MountEntry {
    unsigned id = 0;
    unsigned parent = 0;
    dev_t device = 0;
    std::string root;         // the directory of the file system that is mounted here
    std::string path;         // where, in the reader's root
    std::string file_system;  // "cgroup2"
    std::string source;
    std::string options;        // per mount
    std::string super_options;  // per file system: the delegate_* masks of a bpffs are here
};

// /proc/self/mountinfo: the caller's mount namespace, as far as its root reaches.
Result<std::vector<MountEntry>> mount_table();
std::vector<MountEntry> parse_mount_table(std::string_view text);

}  // namespace bpfwarden::kernel
