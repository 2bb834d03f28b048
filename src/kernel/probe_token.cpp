// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernel/bpf.hpp"
#include "kernel/file.hpp"
#include "kernel/host_view.hpp"
#include "kernel/mount.hpp"
#include "kernel/namespace.hpp"
#include "kernel/probe.hpp"
#include "kernel/process.hpp"

namespace bpfwarden::kernel {

Finding probe_bpf() {
    // Asks about an fd that is not one: open to every caller since 5.19, and nothing happens.
    union bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.info.bpf_fd = ~0U;
    const long got = ::syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr);
    const int err = got == 0 ? 0 : errno;
    std::string how = "tried: bpf(BPF_OBJ_GET_INFO_BY_FD) on a bad fd";
    // This command alone says EBADFD, which is another error (6.18 still does).
    if (err == EBADF || err == EBADFD) return is_present(std::move(how), errno_name(err) + ", as it should be");
    if (err == ENOSYS) return is_absent(std::move(how), "ENOSYS: the kernel was built without CONFIG_BPF_SYSCALL");
    return is_unknown(std::move(how),
                      fmt::format("{}: something on the way (a seccomp filter?) refused the call", errno_name(err)));
}

Finding probe_mount_api() {
    std::string how = "tried: fsopen() without a name";
    (void)::syscall(SYS_fsopen, nullptr, 0);
    const int err = errno;
    // EPERM comes first for a caller who may not mount.
    if (err == EFAULT || err == EPERM) return is_present(std::move(how), errno_name(err) + ": the call is there");
    if (err == ENOSYS) return is_absent(std::move(how), "ENOSYS: no such system call");
    return is_unknown(std::move(how), errno_name(err));
}

// Two signs, since neither alone would do: the command answers EBADF instead of EINVAL for an unknown command, and
// bpffs refuses a word that is no command. A bpffs without delegation takes any option it does not know and says
// nothing.
Finding probe_token() {
    std::string how = "tried: BPF_TOKEN_CREATE on a bad fd";
    const int err = -::bpf_token_create(-1, nullptr);
    if (err == EINVAL) return is_absent(std::move(how), "EINVAL: the kernel does not know the command");
    if (err == ENOSYS) return is_absent(std::move(how), "ENOSYS: no bpf() at all");
    if (err != EBADF) return is_unknown(std::move(how), errno_name(err));
    const auto context = fs_open("bpf");
    if (!context) return is_present(std::move(how), "EBADF: the kernel knows the command");
    how += ", delegate_cmds= with a word that is no command";
    if (fs_set(*context, "delegate_cmds", "no_such_command"))
        return is_absent(std::move(how), "bpffs takes the word, so it knows no delegation");
    return is_present(std::move(how), "EBADF, and bpffs refuses the word: both are known");
}

static int make_map(bpf_map_type type, std::optional<TokenRef> token) {
    bpf_map_create_opts options{};
    options.sz = sizeof options;
    if (token) {
        options.map_flags = BPF_F_TOKEN_FD;
        options.token_fd = static_cast<__u32>(token->get());
    }
    const int fd = ::bpf_map_create(type, nullptr, 0, 4, 1, &options);
    return fd < 0 ? -fd : (::close(fd), 0);
}

static bool describes_itself(TokenRef token) {
    // struct bpf_token_info, which the build machine's header may lack: four masks.
    std::uint64_t masks[4] = {};
    std::uint32_t size = sizeof masks;
    return ::bpf_obj_get_info_by_fd(token.get(), masks, &size) == 0 && masks[0] == 1ULL << BPF_MAP_CREATE;
}

// In the child: a bpffs of its own user namespace, configured by the parent; then a queue map, which is delegated, a
// stack map, which is not, and a queue map without the token. Both types need CAP_BPF, so neither works by itself
// whatever kernel.unprivileged_bpf_disabled says.
static Result<std::string> use_token(const Channel& parent, pid_t parent_pid) {
    const auto uid = ::geteuid();
    const auto gid = ::getegid();
    BW_TRY(unshare(CLONE_NEWUSER | CLONE_NEWNS));
    BW_TRY(die_with_parent(parent_pid));
    const UniqueFd self(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!self) return fail_errno("opening /proc/self");
    BW_TRY(write_file_at(self, "setgroups", "deny"));
    BW_TRY(write_file_at(self, "uid_map", fmt::format("0 {} 1", uid)));
    BW_TRY(write_file_at(self, "gid_map", fmt::format("0 {} 1", gid)));
    {
        const auto context = BW_TRY(fs_open("bpf"));
        BW_TRY(parent.send("configure", context));
        BW_TRY(parent.receive());
        const auto mount = BW_TRY(fs_mount(context, 0));
        const UniqueFd root(::openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!root) return fail_errno("opening the root of the bpffs");
        const auto token = BW_TRY(create_token(root));
        return fmt::format("{} {} {} {}", make_map(BPF_MAP_TYPE_QUEUE, token), make_map(BPF_MAP_TYPE_STACK, token),
                           make_map(BPF_MAP_TYPE_QUEUE, {}), describes_itself(token) ? 1 : 0);
    }
}

// Soundness: the context that is configured here comes from a fork of this very process, which ran nothing but the code
// above; it delegates one command and one map type, and goes with the child.
static Result<std::string> run_token_trial() {
    auto [ours, theirs] = BW_TRY(Channel::pair());
    const pid_t parent = ::getpid();
    auto child = BW_TRY(Child::fork([&, &mine = ours, &other = theirs] {
        mine.close();
        const auto outcome = use_token(other, parent);
        (void)(outcome ? other.send(*outcome) : other.send_error(outcome.error()));
        return 0;
    }));
    theirs.close();
    const auto request = BW_TRY(ours.receive());
    const FsContextRef context(request.fd.get());
    BW_TRY(fs_set(context, "delegate_cmds", fmt::format("{:#x}", 1ULL << BPF_MAP_CREATE)));
    BW_TRY(fs_set(context, "delegate_maps", fmt::format("{:#x}", 1ULL << BPF_MAP_TYPE_QUEUE)));
    BW_TRY(fs_create(context));
    BW_TRY(ours.send("go"));
    const auto outcome = BW_TRY(ours.receive());
    BW_TRY(child.wait());
    return outcome.text;
}

TokenTrial try_token() {
    const Finding known = probe_token();
    if (known.state == Presence::absent) return {known, known};
    std::string how = "tried: a bpffs in a child's user namespace, a token from it, and maps";
    if (!has_capability("sys_admin")) {
        const Finding skipped = is_unknown("not tried", "needs root: the capability sys_admin, to delegate");
        return {skipped, skipped};
    }
    const auto outcome = run_token_trial();
    if (!outcome) {
        const Finding failed = from_error(how, outcome.error());
        return {failed, failed};
    }
    int delegated = -1, other = -1, bare = -1, info = 0;
    (void)std::sscanf(outcome->c_str(), "%d %d %d %d", &delegated, &other, &bare, &info);
    const auto word = [](int err) { return err == 0 ? std::string("made") : errno_name(err); };
    std::string seen =
        fmt::format("delegated queue map: {}; undelegated stack map: {}; queue map without the token: {}",
                    word(delegated), word(other), word(bare));
    const bool works = delegated == 0 && other == EPERM && bare == EPERM;
    TokenTrial trial;
    trial.works = works ? is_present(how, std::move(seen)) : is_absent(how, std::move(seen));
    trial.info = info != 0
                     ? is_present("tried: BPF_OBJ_GET_INFO_BY_FD on a token", "it tells its four masks")
                     : is_absent("tried: BPF_OBJ_GET_INFO_BY_FD on a token", "refused; its fdinfo is read instead");
    return trial;
}

}  // namespace bpfwarden::kernel
