// SPDX-License-Identifier: Apache-2.0
// Where each command of bpf(2) goes, for a program that holds a session or is supervised by one.
#pragma once

#include <cstdint>
#include <string_view>

namespace bpfwarden::wire {

enum class Route : std::uint8_t {
    refused,  // nobody does it for a session
    broker,   // bpf_layout() knows it
    kernel,   // needs no privilege with the fd in hand
    info,     // the kernel's, or of a stand-in the broker's
    freeze,   // the kernel's, or where that asks for a capability (before 6.5) the broker's
};

Route route_of(unsigned command);
// Stands for perf_event_open(2) where a command is said.
inline constexpr unsigned perf_event_open_number = 0x10000000;
// As in grants; "bpf" for one that is not known.
std::string_view command_name(unsigned command);

}  // namespace bpfwarden::wire
