// SPDX-License-Identifier: Apache-2.0
// What events of policies and of the guard are made with.
#pragma once

#include <cstdint>
#include <string>

namespace bpfwarden::enforce {

// To be added to the kernel's time since boot.
std::int64_t boot_to_real_ns();
// "8:1" of a superblock's number: twenty bits of minor number.
std::string device_name(std::uint32_t device);

}  // namespace bpfwarden::enforce
