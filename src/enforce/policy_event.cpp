// SPDX-License-Identifier: Apache-2.0
#include "enforce/policy_event.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstring>
#include <string>

#include <fmt/format.h>

#include "enforce/event_common.hpp"
#include "kernel/capability.hpp"
#include "kernel/cgroup.hpp"
#include "kernel/names.hpp"
#include "policy/operations.hpp"

namespace bpfwarden::enforce {
namespace {

constexpr std::string_view hooks[BW_HOOKS] = {"",
                                              "file_open",
                                              "file_truncate",
                                              "path_truncate",
                                              "path_mknod",
                                              "path_mkdir",
                                              "path_symlink",
                                              "path_unlink",
                                              "path_rmdir",
                                              "path_rename",
                                              "path_link",
                                              "path_chmod",
                                              "path_chown",
                                              "path_chroot",
                                              "inode_setxattr",
                                              "inode_removexattr",
                                              "inode_set_acl",
                                              "inode_remove_acl",
                                              "bprm_check_security",
                                              "mmap_file",
                                              "file_mprotect",
                                              "sb_mount",
                                              "sb_umount",
                                              "move_mount",
                                              "sb_pivotroot",
                                              "socket_create",
                                              "socket_bind",
                                              "socket_connect",
                                              "socket_sendmsg",
                                              "socket_listen",
                                              "socket_accept",
                                              "ptrace_access_check",
                                              "ptrace_traceme",
                                              "task_kill",
                                              "capable",
                                              "bpf",
                                              "perf_event_open",
                                              "kernel_module",
                                              "userns_create",
                                              "inode_init_security_anon"};
static_assert(!hooks[BW_HOOKS - 1].empty());

struct Flag {
    std::uint32_t bits;
    std::string_view name;
};

// "O_WRONLY|O_CREAT", what has no name as a number behind it.
std::string flag_names(std::uint32_t value, std::span<const Flag> flags, std::string text = {}) {
    const auto add = [&](std::string_view name) { text += fmt::format("{}{}", text.empty() ? "" : "|", name); };
    for (const auto& [bits, name] : flags)
        if ((value & bits) == bits) {
            add(name);
            value &= ~bits;
        }
    if (value) add(fmt::format("0x{:x}", value));
    return text;
}

std::string open_flags(std::uint32_t flags) {
    // O_SYNC and O_TMPFILE contain O_DSYNC and O_DIRECTORY. 0100000 is what the kernel sets for large files itself.
    static constexpr Flag known[] = {
        {O_CREAT, "O_CREAT"},       {O_EXCL, "O_EXCL"},         {O_NOCTTY, "O_NOCTTY"},   {O_TRUNC, "O_TRUNC"},
        {O_APPEND, "O_APPEND"},     {O_NONBLOCK, "O_NONBLOCK"}, {O_SYNC, "O_SYNC"},       {O_DSYNC, "O_DSYNC"},
        {O_ASYNC, "O_ASYNC"},       {O_DIRECT, "O_DIRECT"},     {O_TMPFILE, "O_TMPFILE"}, {O_DIRECTORY, "O_DIRECTORY"},
        {O_NOFOLLOW, "O_NOFOLLOW"}, {O_NOATIME, "O_NOATIME"},   {O_CLOEXEC, "O_CLOEXEC"}, {O_PATH, "O_PATH"}};
    static constexpr std::string_view access[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
    constexpr std::uint32_t large_file = 0100000;
    return flag_names(flags & ~(O_ACCMODE | large_file), known, std::string(access[flags & O_ACCMODE]));
}

std::string prot_names(std::uint32_t prot) {
    static constexpr Flag known[] = {{PROT_READ, "PROT_READ"}, {PROT_WRITE, "PROT_WRITE"}, {PROT_EXEC, "PROT_EXEC"}};
    return flag_names(prot, known);
}

std::string umount_flags(std::uint32_t flags) {
    static constexpr Flag known[] = {{MNT_FORCE, "MNT_FORCE"},
                                     {MNT_DETACH, "MNT_DETACH"},
                                     {MNT_EXPIRE, "MNT_EXPIRE"},
                                     {UMOUNT_NOFOLLOW, "UMOUNT_NOFOLLOW"}};
    return flag_names(flags, known);
}

std::string_view file_type(std::uint32_t mode) {
    switch (mode & S_IFMT) {
        case S_IFREG:
            return "file";
        case S_IFDIR:
            return "directory";
        case S_IFLNK:
            return "symlink";
        case S_IFIFO:
            return "fifo";
        case S_IFSOCK:
            return "socket";
        case S_IFCHR:
            return "char_device";
        case S_IFBLK:
            return "block_device";
        default:
            return {};
    }
}

std::string permissions(std::uint32_t mode) { return fmt::format("{:04o}", mode & 07777); }

template <std::size_t N>
std::string_view name_in(const char (&text)[N]) {
    return {text, ::strnlen(text, N)};
}

std::string parents(const bw_event& event) {
    std::string text;
    for (const auto& parent : event.parents) {
        if (!parent.pid) break;
        text += fmt::format("{}{}({})", text.empty() ? "" : ", ", name_in(parent.comm), parent.pid);
    }
    return text;
}

void set_actor(audit::Event& out, const ToldEvent& told, std::string_view cgroup) {
    const auto& event = told.event;
    const auto text = [&](std::string_view name, std::string_view value) {
        if (!value.empty()) out.set(name, value);
    };
    out.set("actor.pid", event.pid).set("actor.tid", event.tid).set("actor.start", event.start_time);
    text("actor.exe", told.texts[BW_TEXT_EXE]);
    if (event.exe_inode)
        out.set("actor.exe_device", device_name(event.exe_device)).set("actor.exe_inode", event.exe_inode);
    text("actor.comm", name_in(event.comm));
    out.set("actor.uid", event.uid).set("actor.gid", event.gid);
    text("actor.cgroup", cgroup);
    out.set("actor.cgroup_id", event.cgroup);
    text("actor.container", kernel::container_in(cgroup));
    out.set("actor.userns", event.userns);
    text("actor.cwd", told.texts[BW_TEXT_CWD]);
    text("actor.root", told.texts[BW_TEXT_ROOT]);
    text("actor.parents", parents(event));
}

void set_target(audit::Event& out, const ToldEvent& told) {
    const auto& event = told.event;
    const auto path = told.texts[BW_TEXT_PATH], second = told.texts[BW_TEXT_SECOND];
    if (path.empty()) return;
    out.set("target.path", path);
    if (!second.empty()) out.set("target.second", second);
    out.set("target.device", device_name(event.device));
    if (event.inode) {  // none: what is to be made
        out.set("target.inode", event.inode).set("target.generation", event.inode_generation);
        if (const auto type = file_type(event.mode); !type.empty()) out.set("target.type", type);
        out.set("target.mode", permissions(event.mode));
    }
    if (event.flags & BW_EVENT_DELETED) out.set("target.deleted", true);
    if (!path.starts_with('/')) out.set("target.detached", true);
}

void set_address(audit::Event& out, const bw_event& event) {
    if (!(event.decided & BW_OPS_ADDRESS)) return;
    out.set("family", policy::family_name(event.family));
    if ((event.family != AF_INET && event.family != AF_INET6) || event.decided & BW_OP_SOCKET) return;
    char text[INET6_ADDRSTRLEN];
    if (::inet_ntop(event.family, event.address, text, sizeof text)) out.set("address", text);
    out.set("port", event.port);
}

// What the number beside the hook means.
void set_detail(audit::Event& out, const bw_event& event) {
    const auto detail = event.detail;
    switch (event.hook) {
        case BW_HOOK_FILE_OPEN:
            out.set("flags", open_flags(detail));
            break;
        case BW_HOOK_SB_UMOUNT:
            if (detail) out.set("flags", umount_flags(detail));
            break;
        case BW_HOOK_PATH_MKNOD:
        case BW_HOOK_PATH_MKDIR:
        case BW_HOOK_PATH_CHMOD:
            out.set("mode", permissions(detail));
            break;
        case BW_HOOK_MMAP_FILE:
        case BW_HOOK_FILE_MPROTECT:
            out.set("prot", prot_names(detail));
            break;
        case BW_HOOK_TASK_KILL:
            if (const char* name = detail < 65 ? ::sigabbrev_np(static_cast<int>(detail)) : nullptr)
                out.set("signal", fmt::format("SIG{}", name));
            else
                out.set("signal", fmt::format("signal {}", detail));
            break;
        case BW_HOOK_CAPABLE:
            out.set("capability", kernel::capability_name(detail));
            break;
        case BW_HOOK_BPF:
            if (const auto name = kernel::Names::known().name(kernel::NameKind::command, detail))
                out.set("command", *name);
            else
                out.set("command", fmt::format("command {}", detail));
            break;
        default:
            break;
    }
}

}  // namespace

std::string_view hook_name(std::uint16_t hook) { return hook < BW_HOOKS ? hooks[hook] : std::string_view{}; }

std::string_view verdict_name(std::uint8_t told) {
    static constexpr std::string_view names[] = {"", "denied", "would_deny", "allowed", "entered"};
    return told < std::size(names) ? names[told] : std::string_view{};
}

Result<ToldEvent> read_told(std::span<const std::byte> record) {
    const auto broken = [&](std::string why) {
        return fail(Error(Code::bad_input, "a broken event").because(std::move(why)));
    };
    ToldEvent told;
    if (record.size() < sizeof told.event || record.size() > BW_EVENT_MAX)
        return broken(fmt::format("it has {} bytes", record.size()));
    std::memcpy(&told.event, record.data(), sizeof told.event);
    const auto& event = told.event;
    if (event.number == 0) return broken("it has no number");
    if (hook_name(event.hook).empty()) return broken(fmt::format("there is no hook {}", event.hook));
    if (verdict_name(event.told).empty()) return broken(fmt::format("there is no verdict {}", event.told));
    const std::string_view text(reinterpret_cast<const char*>(record.data()) + sizeof event,
                                record.size() - sizeof event);
    std::size_t at = 0;
    for (std::size_t i = 0; i < told.texts.size(); ++i) {
        const std::size_t length = event.texts[i];
        if (length > text.size() - at) return broken("its texts are longer than it");
        told.texts[i] = text.substr(at, length);
        at += length;
    }
    if (at != text.size()) return broken(fmt::format("{} bytes too many", text.size() - at));
    return told;
}

audit::Event audit_event(const ToldEvent& told, const PolicyRecord& names, std::string_view cgroup,
                         std::int64_t boot_to_real_ns) {
    const auto& event = told.event;
    audit::Event out{
        .kind = "policy", .time_ns = event.time + static_cast<std::uint64_t>(boot_to_real_ns), .fields = {}};
    const auto flag = [&](unsigned bit, std::string_view name) {
        if (event.flags & bit) out.set(name, true);
    };
    out.set("verdict", verdict_name(event.told)).set("hook", hook_name(event.hook));
    out.set("operation", policy::names_of(event.decided));
    if (event.ops != event.decided) out.set("asked", policy::names_of(event.ops));
    out.set("domain", names.domain(event.domain));
    if (event.told == BW_TOLD_ENTERED) {
        out.set("from_domain", names.domain(event.peer_domain));
    } else {
        out.set("rule", names.rule(event.rule));
        if (event.rule && event.rule <= names.rules.size()) {
            const auto& rule = names.rules[event.rule - 1];
            out.set("policy", rule.policy).set("line", rule.at);
        }
    }
    out.set("generation", event.generation);
    set_actor(out, told, cgroup);
    set_target(out, told);
    set_address(out, event);
    if (event.decided & BW_OPS_DOMAIN)
        out.set("peer.pid", event.peer_pid).set("peer.domain", names.domain(event.peer_domain));
    set_detail(out, event);
    flag(BW_EVENT_BLIND, "blind");
    flag(BW_EVENT_GAINS, "gains");
    flag(BW_EVENT_IN_KERNEL, "in_kernel");
    flag(BW_EVENT_CUT, "truncated");
    out.set("cpu", event.cpu).set("number", event.number);
    return out;
}

}  // namespace bpfwarden::enforce
