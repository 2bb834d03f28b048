// SPDX-License-Identifier: Apache-2.0
#include "enforce/event_common.hpp"

#include <ctime>

#include <fmt/format.h>

namespace bpfwarden::enforce {

std::int64_t boot_to_real_ns() {
    timespec boot{}, real{};
    ::clock_gettime(CLOCK_BOOTTIME, &boot);
    ::clock_gettime(CLOCK_REALTIME, &real);
    return (real.tv_sec - boot.tv_sec) * 1'000'000'000 + (real.tv_nsec - boot.tv_nsec);
}

std::string device_name(std::uint32_t device) { return fmt::format("{}:{}", device >> 20, device & 0xfffff); }

}  // namespace bpfwarden::enforce
