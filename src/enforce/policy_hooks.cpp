// SPDX-License-Identifier: Apache-2.0
#include "enforce/policy_hooks.hpp"

#include "shared/policy_image.h"
#include "shared/policy_ops.h"

namespace bpfwarden::enforce {

static constexpr std::uint64_t content = BW_OPS_OF_CONTENT;  // what a second name of a file could give away

std::span<const PolicyHook> policy_hooks() {
    static constexpr PolicyHook hooks[] = {
        // Who is in which domain, and what keeps the tables true.
        {"task_alloc", "task_alloc", 0},
        {"sb_delete", "sb_delete", 0},
        {"uring_override_creds", "uring_override_creds", 0},
        {"bprm_committing_creds", "bprm_committing_creds", 0},
        {"bprm_enter", "bprm_check_security", 0, false, true},
        // Files.
        {"bprm_check_security", "bprm_check_security", BW_OP_EXEC, false, true},
        {"mmap_file", "mmap_file", BW_OP_MAP_EXEC, false, true},
        {"file_mprotect", "file_mprotect", BW_OP_MAP_EXEC, false, true},
        // Also before who reads labels, which must be attached after it (bpf/policy/pins.bpf.h).
        {"file_open", "file_open", BW_OP_READ | BW_OP_WRITE | BW_OP_APPEND | BW_OP_CREATE, false, true, BW_PINS_LABELS},
        {"file_truncate", "file_truncate", BW_OP_TRUNCATE, true, true},
        {"path_truncate", "path_truncate", BW_OP_TRUNCATE},
        {"path_mknod", "path_mknod", BW_OP_CREATE | BW_OP_MKNOD},
        {"path_mkdir", "path_mkdir", BW_OP_MKDIR},
        {"path_symlink", "path_symlink", BW_OP_SYMLINK},
        {"path_unlink", "path_unlink", BW_OP_DELETE},
        {"path_rmdir", "path_rmdir", BW_OP_DELETE},
        {"path_rename", "path_rename", BW_OP_RENAME | BW_OP_DELETE | content},
        {"path_link", "path_link", BW_OP_LINK | content},
        {"path_chmod", "path_chmod", BW_OP_CHMOD},
        {"path_chown", "path_chown", BW_OP_CHOWN},
        {"inode_setxattr", "inode_setxattr", BW_OP_SETXATTR},
        {"inode_removexattr", "inode_removexattr", BW_OP_SETXATTR},
        {"inode_set_acl", "inode_set_acl", BW_OP_SETXATTR, true},
        {"inode_remove_acl", "inode_remove_acl", BW_OP_SETXATTR, true},
        {"path_chroot", "path_chroot", BW_OP_CHROOT},
        {"sb_mount", "sb_mount", BW_OP_MOUNT},
        {"move_mount", "move_mount", BW_OP_MOUNT},
        {"sb_umount", "sb_umount", BW_OP_UMOUNT},
        {"sb_pivotroot", "sb_pivotroot", BW_OP_PIVOT_ROOT},
        // Addresses.
        {"socket_create", "socket_create", BW_OP_SOCKET},
        {"socket_bind", "socket_bind", BW_OP_BIND},
        {"socket_connect", "socket_connect", BW_OP_CONNECT},
        {"socket_sendmsg", "socket_sendmsg", BW_OP_CONNECT},
        {"socket_listen", "socket_listen", BW_OP_LISTEN},
        {"socket_accept", "socket_accept", BW_OP_ACCEPT},
        // Other tasks, capabilities, and what has no object.
        {"ptrace_access_check", "ptrace_access_check", BW_OP_PTRACE | BW_OP_READ_MEMORY},
        {"ptrace_traceme", "ptrace_traceme", BW_OP_PTRACE},
        {"task_kill", "task_kill", BW_OP_SIGNAL},
        {"capable", "capable", BW_OP_CAPABLE},
        {"bpf", "bpf", BW_OP_BPF},
        {"perf_event_open", "perf_event_open", BW_OP_PERF},
        {"kernel_module_request", "kernel_module_request", BW_OP_MODULE},
        {"kernel_read_file", "kernel_read_file", BW_OP_MODULE},
        {"kernel_load_data", "kernel_load_data", BW_OP_MODULE},
        {"userns_create", "userns_create", BW_OP_USERNS},
        {"inode_init_security_anon", "inode_init_security_anon", BW_OP_IO_URING},
        {"mmap_anonymous", "mmap_file", BW_OP_MAP_ANON_EXEC},
        {"mprotect_anonymous", "file_mprotect", BW_OP_MAP_ANON_EXEC},
        // What files are known by. The last one last.
        {"bprm_read_fsverity", "bprm_creds_for_exec", 0, false, false, 1U << BW_PIN_FSVERITY},
        {"bprm_read_ima", "bprm_creds_for_exec", 0, false, false, 1U << BW_PIN_IMA},
        {"file_read_label", "file_open", 0, false, false, BW_PINS_LABELS},
    };
    return hooks;
}

bool is_needed(const PolicyHook& hook, const PolicyNeeds& needs) {
    return (!hook.ops && !hook.kinds) || hook.ops & needs.ops || hook.kinds & needs.kinds;
}

}  // namespace bpfwarden::enforce
