// SPDX-License-Identifier: Apache-2.0
#include "enforce/tamper_events.hpp"

#include <bpf/bpf.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include <fmt/format.h>

#include "enforce/bpf_thing.hpp"
#include "enforce/event_common.hpp"
#include "enforce/places.hpp"
#include "enforce/tamper_event.hpp"
#include "kernel/mount.hpp"

namespace bpfwarden::enforce {

Result<TamperEvents> TamperEvents::open() {
    auto fd = BW_TRY(open_pin(fmt::format("{}/tampers", sealed_guard)));
    return TamperEvents(BW_TRY(PolicyRing::open(MapFd(fd.release()))));
}

void TamperEvents::drain(audit::Log& log) {
    std::optional<std::map<std::uint32_t, std::string>> places;  // read when the first event needs them
    const auto place = [&](std::uint32_t device) -> std::optional<std::string> {
        if (!places) {
            places.emplace();
            if (const auto mounts = kernel::mount_table())
                for (const auto& mount : *mounts)
                    if (mount.root == "/")
                        places->try_emplace(major(mount.device) << 20 | minor(mount.device),
                                            mount.path == "/" ? "" : mount.path);
        }
        const auto found = places->find(device);
        if (found == places->end()) return std::nullopt;
        return found->second;
    };
    bool any = false;
    while (const auto record = ring_.next()) {
        any = true;
        const auto told = read_tamper(*record);
        if (!told) {
            audit::Event corrupt{.kind = "corrupt", .time_ns = audit::now_ns(), .fields = {}};
            log.append(std::move(corrupt.set("where", "guard").set("reason", told.error().why())));
            continue;
        }
        // Numbers are given before a record is written, so two processors can write theirs in the other order.
        const auto number = told->event.number;
        if (last_ && number > last_ + 1) {
            audit::Event gap{.kind = "gap", .fields = {}};
            log.append(std::move(gap.set("where", "tampers").set("lost", number - last_ - 1)));
        }
        auto event = audit_event(*told, place, cgroups_.of(told->event.cgroup), boot_to_real_ns());
        if (number < last_) event.set("late", true);
        last_ = std::max<std::uint64_t>(last_, number);
        log.append(std::move(event));
    }
    if (!any) return;
    log.flush();
    ring_.release();
}

}  // namespace bpfwarden::enforce
