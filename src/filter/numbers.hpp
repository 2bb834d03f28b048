// SPDX-License-Identifier: Apache-2.0
// System calls by name and number, for each architecture and kernel release.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bpfwarden::filter {

// Two ABIs may share one value of seccomp_data.arch: x32's numbers are those of x86-64's arch with x32_bit.
enum class Abi : std::uint8_t { x86_64, x32, i386, aarch64 };
inline constexpr std::array all_abis = {Abi::x86_64, Abi::x32, Abi::i386, Abi::aarch64};
inline constexpr std::uint32_t x32_bit = 0x40000000;

// "x86_64", "x32", "i386", "aarch64".
std::string_view text(Abi abi);
// Those, "amd64", "x86", "arm64" and the like, "SCMP_ARCH_X86", "AUDIT_ARCH_I386", in either case.
std::optional<Abi> parse_abi(std::string_view text);
// Its AUDIT_ARCH_… value.
std::uint32_t audit_arch(Abi abi);
// Arguments are compared as 32 bits there: registers (i386) or pointers and longs (x32) have no more.
bool is_32_bit(Abi abi);
// The one of the machine that this program was built for.
std::optional<Abi> native_abi();

struct Kernel {
    std::uint16_t major = 0, minor = 0;
    auto operator<=>(const Kernel&) const = default;
};
// The newest that the tables know.
inline constexpr Kernel newest_kernel = {7, 2};
// "5.10"; also a whole release, "6.12.94+deb13-amd64".
std::optional<Kernel> parse_kernel(std::string_view text);
std::string text(Kernel kernel);

// Numbers are as seccomp_data has them: x32's with x32_bit. A kernel newer than the tables has the newest table.
// Calls that the kernel only keeps a number for (tuxcall) are in its table.
std::optional<std::uint32_t> number_of(Abi abi, std::string_view name, Kernel kernel = newest_kernel);
// Empty if no kernel has a call of this number: a gap, or beyond the last.
std::string_view name_of(Abi abi, std::uint32_t number);
// The kernel whose table has it first; seccomp's first (3.5, on aarch64 3.7) for all older ones.
std::optional<Kernel> introduced(Abi abi, std::uint32_t number);
// Sorted.
std::vector<std::uint32_t> all_numbers(Abi abi, Kernel kernel = newest_kernel);
// The name is of a call that some architecture has, be it one that the tables lack.
bool is_known_name(std::string_view name);

// A call that i386 makes through another one, whose first argument says which (socketcall, ipc). It may have a number
// of its own too, since 4.3 or 5.1.
struct Multiplexed {
    std::uint32_t number;  // of socketcall or ipc
    std::uint32_t
        selector;  // in its argument 0. ipc's has a version in the upper 16 bits, which libseccomp compares too
};
std::optional<Multiplexed> multiplexed(Abi abi, std::string_view name);

}  // namespace bpfwarden::filter
