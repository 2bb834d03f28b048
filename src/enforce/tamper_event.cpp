// SPDX-License-Identifier: Apache-2.0
#include "enforce/tamper_event.hpp"

#include <cstring>

#include <fmt/format.h>

#include "enforce/bpf_thing.hpp"
#include "enforce/event_common.hpp"
#include "kernel/cgroup.hpp"
#include "kernel/names.hpp"

namespace bpfwarden::enforce {

std::string_view act_name(std::uint32_t act) {
    static constexpr std::string_view names[] = {
        "",    "unlink", "rmdir",  "rename",   "umount", "move_mount", "mount",  "pivot_root", "bpf",    "get",
        "get", "sysctl", "change", "lockdown", "kexec",  "ptrace",     "signal", "limit",      "remount"};
    static_assert(std::size(names) == BW_ACTS);
    return act < std::size(names) ? names[act] : std::string_view{};
}

Result<ToldTamper> read_tamper(std::span<const std::byte> record) {
    const auto broken = [](std::string why) {
        return fail(Error(Code::bad_input, "a broken event").because(std::move(why)));
    };
    ToldTamper told;
    if (record.size() < sizeof told.event || record.size() > BW_TAMPER_MAX)
        return broken(fmt::format("it has {} bytes", record.size()));
    std::memcpy(&told.event, record.data(), sizeof told.event);
    if (told.event.number == 0) return broken("it has no number");
    if (act_name(told.event.act).empty()) return broken(fmt::format("there is no act {}", told.event.act));
    const std::string_view text(reinterpret_cast<const char*>(record.data()) + sizeof told.event,
                                record.size() - sizeof told.event);
    std::size_t at = 0;
    for (std::size_t i = 0; i < told.texts.size(); ++i) {
        const std::size_t length = told.event.texts[i];
        if (length > text.size() - at) return broken("its texts are longer than it");
        told.texts[i] = text.substr(at, length);
        at += length;
    }
    if (at != text.size()) return broken(fmt::format("{} bytes too many", text.size() - at));
    return told;
}

static void set_detail(audit::Event& out, const bw_tamper& event) {
    switch (event.act) {
        case BW_ACT_BPF:
            if (const auto name = kernel::Names::known().name(kernel::NameKind::command, event.detail))
                out.set("command", *name);
            else
                out.set("command", fmt::format("command {}", event.detail));
            break;
        case BW_ACT_SIGNAL:
            if (const char* name = ::sigabbrev_np(static_cast<int>(event.detail)))
                out.set("signal", fmt::format("SIG{}", name));
            else
                out.set("signal", fmt::format("signal {}", event.detail));
            break;
        case BW_ACT_LOCKDOWN:
            out.set("lockdown_reason", event.detail);
            break;
        case BW_ACT_SYSCTL:
            out.set("target.path", "/proc/sys/kernel/ftrace_enabled");
            break;
        default:
            break;
    }
}

audit::Event audit_event(const ToldTamper& told, const PlaceOf& place, std::string_view cgroup,
                         std::int64_t boot_to_real_ns) {
    const auto& event = told.event;
    audit::Event out{
        .kind = "tamper", .time_ns = event.time + static_cast<std::uint64_t>(boot_to_real_ns), .fields = {}};
    const auto path_of = [&](std::string_view text, std::uint32_t device) {
        const auto where = place(device);
        return where ? *where + std::string(text) : fmt::format("{}:{}", device_name(device), text);
    };
    out.set("verdict", "denied").set("operation", act_name(event.act));
    if (event.kind) out.set("target.object", name_of({static_cast<bw_sealed_kind>(event.kind), event.id}));
    out.set("actor.pid", event.pid).set("actor.tid", event.tid).set("actor.start", event.start_time);
    if (const auto exe = told.texts[BW_TAMPER_EXE]; !exe.empty()) out.set("actor.exe", path_of(exe, event.exe_device));
    if (event.exe_inode)
        out.set("actor.exe_device", device_name(event.exe_device)).set("actor.exe_inode", event.exe_inode);
    out.set("actor.comm", std::string_view(event.comm, ::strnlen(event.comm, sizeof event.comm)));
    out.set("actor.uid", event.uid).set("actor.gid", event.gid);
    if (!cgroup.empty()) out.set("actor.cgroup", cgroup);
    out.set("actor.cgroup_id", event.cgroup);
    if (const auto container = kernel::container_in(cgroup); !container.empty()) out.set("actor.container", container);
    out.set("actor.userns", event.userns);
    if (const auto target = told.texts[BW_TAMPER_TARGET]; !target.empty()) {
        out.set("target.path", path_of(target, event.device)).set("target.device", device_name(event.device));
        if (event.inode) out.set("target.inode", event.inode);
    }
    if (event.peer_pid) out.set("peer.pid", event.peer_pid);
    set_detail(out, event);
    out.set("number", event.number);
    return out;
}

}  // namespace bpfwarden::enforce
