// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <cerrno>

#include "base/text.hpp"
#include "kernel/host_view.hpp"
#include "kernel/probe.hpp"
#include "kernel/probe_insn.hpp"

namespace bpfwarden::kernel {

static constexpr std::uint32_t map_type_arena = 33;  // 6.9; the build machine's header may be older

ProgFd load_program(ProgramKind kind, std::span<const bpf_insn> code) {
    bpf_prog_load_opts options{};
    options.sz = sizeof options;
    options.expected_attach_type = static_cast<bpf_attach_type>(kind.attach_type);
    options.attach_btf_id = kind.attach_btf_id;
    // libbpf returns -errno and sets errno too.
    const int fd = ::bpf_prog_load(kind.type, nullptr, "Dual BSD/GPL", code.data(), code.size(), &options);
    return ProgFd(fd < 0 ? -1 : fd);
}

Finding probe_kfuncs(HostView& host, const std::vector<std::string_view>& names) {
    if (!host.btf()) return from_error("the kernel's BTF", host.btf().error());
    // Where kfuncs carry a mark, a plain function of that name is none.
    const bool marked = host.btf()->marks_kfuncs();
    std::string how = marked ? "the kernel's BTF, where kfuncs are marked"
                             : "the kernel's BTF by function name (this kernel does not mark kfuncs)";
    std::vector<std::string> there, missing;
    const auto found = host.btf()->functions(names);
    for (std::size_t i = 0; i < names.size(); ++i)
        (found[i].id != 0 && (found[i].kfunc || !marked) ? there : missing).emplace_back(names[i]);
    if (missing.empty()) return is_present(std::move(how), join(there, ", "));
    std::string detail = "missing: " + join(missing, ", ");
    if (!there.empty()) detail += "; there: " + join(there, ", ");
    return is_absent(std::move(how), std::move(detail));
}

static Finding finding_of_load(std::string how, const UniqueFd& fd, int err) {
    if (fd) return is_present(std::move(how), "loaded");
    if (err == EPERM) return is_unknown(std::move(how), "refused: EPERM");
    return is_absent(std::move(how), errno_name(err));
}

static std::optional<Finding> cannot_load(std::string_view second_capability) {
    if (has_capability("bpf") && has_capability(second_capability)) return std::nullopt;
    return is_unknown("not tried", fmt::format("needs root: the capabilities bpf and {}", second_capability));
}

Finding probe_preempt_disable(HostView& host) {
    const Finding by_name = probe_kfuncs(host, {"bpf_preempt_disable", "bpf_preempt_enable"});
    if (!by_name.present() || cannot_load("net_admin")) return by_name;
    const bpf_insn code[] = {call_kfunc(host.btf()->function("bpf_preempt_disable").id),
                             call_kfunc(host.btf()->function("bpf_preempt_enable").id), set(0, 0), exit_program()};
    const ProgFd program = load_program({.type = BPF_PROG_TYPE_SCHED_CLS}, code);
    return finding_of_load("tried: a program that calls bpf_preempt_disable() and _enable()", program, errno);
}

Finding probe_arena() {
    std::string how = "tried: an arena map of one page";
    if (!has_capability("bpf")) return is_unknown("not tried", "needs root: the capability bpf");
    bpf_map_create_opts options{};
    options.sz = sizeof options;
    options.map_flags = BPF_F_MMAPABLE;
    const MapFd map(::bpf_map_create(static_cast<bpf_map_type>(map_type_arena), nullptr, 0, 0, 1, &options));
    if (map) return is_present(std::move(how), "made");
    return errno == EPERM ? is_unknown(std::move(how), "refused: EPERM") : is_absent(std::move(how), errno_name(errno));
}

Finding probe_cgroup_sysctl() {
    if (auto no = cannot_load("net_admin")) return *no;
    const bpf_insn code[] = {set(0, 1), exit_program()};
    const ProgFd program = load_program({BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL, 0}, code);
    return finding_of_load("tried: loading a program of type cgroup_sysctl", program, errno);
}

Finding probe_program_types() {
    std::string how = "tried: libbpf's probe of each type that it knows";
    if (auto no = cannot_load("perfmon")) return *no;
    const auto types = Names::known().all(NameKind::program_type);
    std::vector<std::string> refused, untried;
    std::size_t loaded = 0;
    for (const auto& type : types) {
        const int answer = ::libbpf_probe_bpf_prog_type(static_cast<bpf_prog_type>(type.value), nullptr);
        if (answer == 1)
            ++loaded;
        else
            (answer == 0 ? refused : untried).push_back(type.name);
    }
    std::string detail = fmt::format("{} of {} load", loaded, types.size());
    if (!refused.empty()) detail += "; do not: " + join(refused, ", ");
    if (!untried.empty()) detail += "; not tried: " + join(untried, ", ");
    // Not one: then it is the caller who is refused (in a user namespace, say), not the types.
    return loaded > 0 ? is_present(std::move(how), std::move(detail)) : is_unknown(std::move(how), std::move(detail));
}

}  // namespace bpfwarden::kernel
