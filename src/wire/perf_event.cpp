// SPDX-License-Identifier: Apache-2.0
#include "wire/perf_event.hpp"

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>

namespace bpfwarden::wire {

Result<PerfEventCall> PerfEventCall::of(std::uint64_t attr, const EventTypes& types, const CallerMemory& memory) {
    std::uint32_t size = 0;
    BW_TRY(memory.read(attr + offsetof(perf_event_attr, size), std::as_writable_bytes(std::span(&size, 1))));
    if (size == 0) size = PERF_ATTR_SIZE_VER0;
    // What the kernel itself takes.
    if (size < PERF_ATTR_SIZE_VER0 || size > 4096) return fail(Error::from_errno(E2BIG, "attributes of this size"));
    PerfEventCall call;
    call.attr.resize(size);
    BW_TRY(memory.read(attr, call.attr));
    // Read twice, and so perhaps not the same.
    std::memcpy(call.attr.data() + offsetof(perf_event_attr, size), &size, sizeof size);
    std::uint32_t type = 0;
    std::uint64_t config1 = 0;
    std::memcpy(&type, call.attr.data() + offsetof(perf_event_attr, type), sizeof type);
    std::memcpy(&config1, call.attr.data() + offsetof(perf_event_attr, config1), sizeof config1);
    // Below are the kinds with fixed numbers, whose config1 is no pointer.
    if (type < PERF_TYPE_MAX || config1 == 0 || (type != types.kprobe && type != types.uprobe)) return call;
    call.name = BW_TRY(memory.text(config1, PATH_MAX));
    std::memset(call.attr.data() + offsetof(perf_event_attr, config1), 0, sizeof config1);
    call.is_uprobe = type == types.uprobe;
    return call;
}

void PerfEventCall::write(Writer& to) const {
    to.block(attr);
    to.text(name);
    to.number(pid);
    to.number(cpu);
    to.number(flags);
    to.number(static_cast<std::uint8_t>(with_group));
}

}  // namespace bpfwarden::wire
