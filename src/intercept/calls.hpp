// SPDX-License-Identifier: Apache-2.0
// Which requests of ioctl(2) and setsockopt(2) name a program, or an event that one is attached to, and which maps have
// programs as their elements.
#pragma once

#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>

namespace bpfwarden::intercept {

// In the command of bpf(2) (7.0): two more arguments follow. Not in every header.
inline constexpr std::uint32_t common_attributes = 1U << 16;

// An event that has a program is a stand-in, which the kernel knows none of these of.
inline constexpr std::array<std::uint32_t, 5> event_requests = {
    static_cast<std::uint32_t>(PERF_EVENT_IOC_SET_BPF), static_cast<std::uint32_t>(PERF_EVENT_IOC_QUERY_BPF),
    static_cast<std::uint32_t>(PERF_EVENT_IOC_ENABLE),  static_cast<std::uint32_t>(PERF_EVENT_IOC_DISABLE),
    static_cast<std::uint32_t>(PERF_EVENT_IOC_ID),
};
// Where a program's fd is in a value: alone, or behind a number (struct bpf_devmap_val, bpf_cpumap_val).
constexpr std::optional<std::uint32_t> program_in_value(std::uint32_t map_type) {
    switch (map_type) {
        case BPF_MAP_TYPE_PROG_ARRAY:
            return 0;
        case BPF_MAP_TYPE_DEVMAP:
        case BPF_MAP_TYPE_DEVMAP_HASH:
        case BPF_MAP_TYPE_CPUMAP:
            return 4;
        default:
            return std::nullopt;
    }
}
inline constexpr std::array<std::uint32_t, 2> socket_options = {SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF};

}  // namespace bpfwarden::intercept
