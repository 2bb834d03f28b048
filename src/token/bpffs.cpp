// SPDX-License-Identifier: Apache-2.0
#include "token/bpffs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "kernel/mount.hpp"
#include "kernel/namespace.hpp"
#include "kernel/process.hpp"

namespace bpfwarden::token {

using kernel::Channel;
using kernel::Child;

namespace {

// The target as found through its /proc directory, opened while it was known to live.
struct Target {
    UniqueFd proc;
    UniqueFd root;
    kernel::NamespaceId user;
    kernel::NamespaceId mount;
};

Result<Target> open_target(PidRef process, pid_t pid) {
    Target target;
    target.proc = UniqueFd(::open(fmt::format("/proc/{}", pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!target.proc) return fail_errno(fmt::format("opening /proc/{}", pid));
    target.root = UniqueFd(::openat(target.proc.get(), "root", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!target.root) return fail_errno(fmt::format("opening the root directory of process {}", pid));
    target.user = BW_TRY(kernel::namespace_of(target.proc, "user"));
    target.mount = BW_TRY(kernel::namespace_of(target.proc, "mnt"));
    // The number could have been reused before it was opened; the pidfd could not.
    if (!kernel::is_alive(process)) return fail(Code::not_found, fmt::format("process {} has ended", pid));
    if (target.user == BW_TRY(kernel::own_namespace("user")))
        return fail(Error(Code::unsupported, fmt::format("process {} is in the initial user namespace", pid))
                        .because("the kernel gives BPF tokens only to processes in a user namespace of their own")
                        .advise("start it in one, or give it a session instead of a token"));
    return target;
}

// The part that runs inside the target's namespaces, with full power there and none outside.
Result<> inside(const Channel& parent, PidRef process, const Target& target, const std::string& path,
                pid_t parent_pid) {
    // From here on nobody but the initial namespace's root can ptrace or read this process: the target's own root
    // would otherwise be entitled to, as soon as the namespace is entered.
    if (::prctl(PR_SET_DUMPABLE, 0) != 0) return fail_errno("prctl(PR_SET_DUMPABLE)");
    BW_TRY(kernel::join_namespaces(process, CLONE_NEWUSER | CLONE_NEWNS));
    BW_TRY(kernel::die_with_parent(parent_pid));
    if (BW_TRY(kernel::own_namespace("user")) != target.user || BW_TRY(kernel::own_namespace("mnt")) != target.mount)
        return fail(Code::failed, "the process changed its namespaces meanwhile");

    auto context = BW_TRY(kernel::fs_open("bpf"));
    BW_TRY(parent.send("context", context));
    context.reset();

    const auto mount = BW_TRY(parent.receive());
    const UniqueFd bpffs_root(::openat(mount.fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!bpffs_root) return fail_errno("opening the new bpffs");
    const auto token = BW_TRY(kernel::create_token(bpffs_root));
    BW_TRY(parent.send("token", token));

    BW_TRY(parent.receive());  // the masks were found right
    const auto where = BW_TRY(kernel::open_mount_target(target.root, path));
    BW_TRY(kernel::attach_mount(MountRef(mount.fd.get()), where));
    return parent.send("mounted");
}

Result<> check_is_bpf_context(FsContextRef context) {
    // fdinfo does not name the file system type. A bpffs parses the masks and refuses a word that is no enumerator; it
    // ignores unknown options, and so do other file systems that would take this one.
    if (kernel::fs_set(context, "delegate_cmds", "bpfwarden-no-such-command"))
        return fail(Error(Code::unsupported, "this kernel's bpffs knows no delegation")
                        .because("it takes a nonsensical delegate_cmds option without complaint")
                        .advise("BPF tokens need Linux 6.9 or newer"));
    kernel::fs_log(context);  // drop that complaint
    return {};
}

Result<MountFd> configure(FsContextRef context, const BpffsRequest& request) {
    BW_TRY(check_is_bpf_context(context));
    const auto& masks = request.delegation;
    for (const auto& [key, mask] : {std::pair{"delegate_cmds", masks.commands},
                                    {"delegate_maps", masks.maps},
                                    {"delegate_progs", masks.programs},
                                    {"delegate_attachs", masks.attachs}})
        // One number: in a list of words a number replaces what came before it (kernel/bpf/inode.c).
        BW_TRY(kernel::fs_set(context, key, fmt::format("{:#x}", mask)));
    BW_TRY(kernel::fs_set(context, "uid", std::to_string(request.uid)));
    BW_TRY(kernel::fs_set(context, "gid", std::to_string(request.gid)));
    BW_TRY(kernel::fs_set(context, "mode", "0700"));
    BW_TRY(kernel::fs_create(context));
    auto mount = BW_TRY(kernel::fs_mount(context, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    if (BW_TRY(kernel::file_system_type(mount)) != kernel::bpffs_magic)
        return fail(Code::failed, "the new mount is no bpffs");
    return mount;
}

std::string describe(const kernel::Delegation& d) {
    return fmt::format("cmds={:#x} maps={:#x} progs={:#x} attachs={:#x}", d.commands, d.maps, d.programs, d.attachs);
}

}  // namespace

Result<BpffsMount> mount_delegating_bpffs(PidRef process, pid_t pid, const BpffsRequest& request) {
    const auto target = BW_TRY(open_target(process, pid));
    auto [here, there] = BW_TRY(Channel::pair());
    const pid_t parent_pid = ::getpid();
    auto child = BW_TRY(Child::fork([&]() -> int {
        here.close();
        if (const auto done = inside(there, process, target, request.path, parent_pid); !done) {
            (void)there.send_error(done.error());
            return 1;
        }
        return 0;
    }));
    there.close();

    auto context = BW_TRY(here.receive());
    if (!context.fd) return fail(Code::failed, "no file system context came back from the namespace");
    const auto mount = BW_TRY(configure(FsContextRef(context.fd.get()), request));
    context.fd.reset();
    BW_TRY(here.send("mount", mount));

    const auto token = BW_TRY(here.receive());
    const auto got = BW_TRY(kernel::token_delegation(TokenRef(token.fd.get())));
    if (got != request.delegation)
        return fail(Error(Code::failed, "the kernel delegates something other than what was asked")
                        .because(fmt::format("asked {}, got {}", describe(request.delegation), describe(got))));
    BW_TRY(here.send("as asked"));
    BW_TRY(here.receive());

    struct stat info{};
    if (::fstat(mount.get(), &info) != 0) return fail_errno("fstat of the new bpffs");
    BW_TRY(child.wait());
    return BpffsMount{info.st_dev};
}

}  // namespace bpfwarden::token
