// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/text.hpp"
#include "kernel/file.hpp"
#include "kernel/host_view.hpp"
#include "kernel/mount.hpp"
#include "kernel/probe.hpp"
#include "kernel/probe_insn.hpp"

#ifndef SYS_lsm_list_modules
#define SYS_lsm_list_modules 461  // the same on every architecture, as all calls since 5.1
#endif

namespace bpfwarden::kernel {

std::vector<std::string> parse_lsm_list(std::string_view text) {
    std::vector<std::string> names;
    while (text.ends_with('\n')) text.remove_suffix(1);
    for (const auto name : split(text, ','))
        if (!name.empty()) names.emplace_back(name);
    return names;
}

static constexpr const char* securityfs_path = "/sys/kernel/security";

// The directory to read from: the mounted one, or for root a mount of its own that is attached nowhere and goes with
// the fd. Nothing of it is seen by anyone else.
static Result<UniqueFd> open_securityfs() {
    UniqueFd mounted(::open(securityfs_path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    static constexpr std::uint32_t securityfs_magic = 0x73636673;
    if (mounted && file_system_type(mounted).value_or(0) == securityfs_magic) return mounted;
    const auto context =
        BW_TRY_WITHIN(fs_open("securityfs"), "securityfs is not mounted here, and root is needed to look into it");
    BW_TRY(fs_create(context));
    return BW_TRY(fs_mount(context, 0));
}

Result<std::string> read_securityfs(const char* name) { return read_file_at(BW_TRY(open_securityfs()), name); }

bool securityfs_has(const char* name) {
    const auto directory = open_securityfs();
    return directory && ::faccessat(directory->get(), name, F_OK, 0) == 0;
}

// <linux/lsm.h>: LSM_ID_CAPABILITY is 100.
static std::string lsm_name(std::uint64_t id) {
    static constexpr std::array names{"capability", "selinux",  "smack", "tomoyo",   "apparmor", "yama", "loadpin",
                                      "safesetid",  "lockdown", "bpf",   "landlock", "ima",      "evm",  "ipe"};
    return id >= 100 && id - 100 < names.size() ? names[id - 100] : fmt::format("lsm{}", id);
}

Result<LsmList> active_lsms() {
    auto text = read_securityfs("lsm");
    if (text) return LsmList{parse_lsm_list(*text), "read lsm in securityfs"};
    std::uint64_t ids[64];
    std::uint32_t size = sizeof ids;
    const long count = ::syscall(SYS_lsm_list_modules, ids, &size, 0);
    if (count < 0) return fail(std::move(text).error().within("the list of active security modules"));
    LsmList list{{}, "asked: lsm_list_modules(2)"};
    for (const auto id : std::span(ids, static_cast<std::size_t>(count))) list.names.push_back(lsm_name(id));
    return list;
}

Finding lsm_finding(const LsmList& list) {
    const std::string seen = "active: " + join(list.names, ",");
    return std::ranges::find(list.names, "bpf") != list.names.end() ? is_present(list.how, seen)
                                                                    : is_absent(list.how, seen);
}

std::string boot_list_with_bpf(const std::vector<std::string>& active) {
    std::string line;
    // Those three are in force whatever the list says.
    for (const auto& name : active)
        if (name != "capability" && name != "ima" && name != "evm" && name != "bpf") line += name + ",";
    return line + "bpf";
}

Finding probe_lsm_active() {
    const auto list = active_lsms();
    return list ? lsm_finding(*list) : from_error("securityfs and lsm_list_modules(2)", list.error());
}

Finding probe_lsm_built_in(HostView& host) {
    static constexpr const char* how = "the kernel's BTF: bpf_lsm_file_open()";
    if (!host.btf()) return from_error(how, host.btf().error());
    return host.btf()->function("bpf_lsm_file_open").id != 0
               ? is_present(how, "the kernel was built with CONFIG_BPF_LSM=y")
               : is_absent(how, "the kernel was built without CONFIG_BPF_LSM");
}

// The hook is called by getpgid(2) of another process's number and by little else; the program counts and allows.
Finding probe_lsm_works(HostView& host) {
    std::string how = "tried: a counting program on task_getpgid, attached for one call";
    if (!has_capability("bpf") || !has_capability("perfmon"))
        return is_unknown("not tried", "needs root: the capabilities bpf and perfmon");
    if (!host.btf()) return from_error(std::move(how), host.btf().error());
    const auto hook = host.btf()->function("bpf_lsm_task_getpgid").id;
    if (hook == 0) return is_absent("the kernel's BTF", "no bpf_lsm_task_getpgid(): BPF LSM is not built in");
    const MapFd counter(::bpf_map_create(BPF_MAP_TYPE_ARRAY, nullptr, 4, 8, 1, nullptr));
    if (!counter) return is_unknown(std::move(how), "no map: " + errno_name(errno));
    const bpf_insn code[] = {
        insn(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, counter.get()),
        insn(0, 0, 0, 0, 0),
        insn(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0),
        copy(2, 10),
        add(2, -4),
        call_helper(BPF_FUNC_map_lookup_elem),
        insn(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2, 0),
        set(1, 1),
        insn(BPF_STX | BPF_ATOMIC | BPF_DW, 0, 1, 0, BPF_ADD),
        set(0, 0),
        exit_program(),
    };
    const ProgFd program = load_program({BPF_PROG_TYPE_LSM, BPF_LSM_MAC, hook}, code);
    if (!program) return is_unknown(std::move(how), "loading a program of type lsm is refused: " + errno_name(errno));
    const LinkFd link(::bpf_raw_tracepoint_open(nullptr, program.get()));
    if (!link) return is_unknown(std::move(how), "attaching it is refused: " + errno_name(errno));
    (void)::getpgid(::getpid());
    const std::uint32_t key = 0;
    std::uint64_t count = 0;
    if (::bpf_map_lookup_elem(counter.get(), &key, &count) != 0) return is_unknown(std::move(how), errno_name(errno));
    return count > 0 ? is_present(std::move(how), "it was called")
                     : is_absent(std::move(how), "attached, and never called: bpf is not among the active modules");
}

}  // namespace bpfwarden::kernel
