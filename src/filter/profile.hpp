// SPDX-License-Identifier: Apache-2.0
// Seccomp profiles as container runtimes take them (the OCI runtime specification's linux.seccomp, with what Docker and
// Podman add), as the function that they mean.
//
// The specification does not say what counts where several rules fit one call. Runtimes pass the rules to libseccomp,
// so that is what profiles mean, and it is kept here (tests compare):
//  1. A rule with the default action is left out. It never outranks another.
//  2. The first rule without conditions decides the call; the call's rules with conditions are then left out, those
//     before it too.
//  3. Else the first that fits counts, in this order: larger argument first; then =, != and masked before < and <=
//     before > and >=; then the larger value, for < and <= the smaller one; then the order in the profile. Between
//     rules that start alike, their next condition counts so; a rule that has none comes first.
//  4. Two rules with the same conditions and different actions are refused.
// On i386 and x32 the lower 32 bits of arguments are compared, with values cut to them. A masked comparison ignores the
// value's bits outside the mask. A call that i386 has behind socketcall or ipc is ruled there too: the selector takes
// the place of the condition on argument 0, as nothing can look at the real arguments (a warning says so).
// x86-64 without x32 in the profile: x32's numbers are a foreign architecture. -1 (a tracer skips the call) is not x32.
#pragma once

#include <linux/seccomp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "filter/function.hpp"
#include "filter/numbers.hpp"
#include "filter/profile_rules.hpp"
#include "filter/warning.hpp"

namespace bpfwarden::filter {

// What several conditions on one argument of one rule mean.
enum class SameArgument : std::uint8_t {
    all,  // all must hold, as those on different arguments
    any,  // runc's reading: then each condition of the rule is a rule of its own
};

// What numbers without a rule get. Where the default action lets calls through (ALLOW, LOG, TRACE), always that, and -1
// gets it too.
enum class NoRule : std::uint8_t {
    default_action,
    // As runc: ENOSYS above the largest number that a rule of the profile names for that ABI. (runc's own filter takes
    // -1 for such a number too, but where x86-64 stands in the profile without x32.)
    enosys_above,
    // ENOSYS for what the table of the named kernel lacks, gaps included.
    enosys_unknown,
};

struct ProfileOptions {
    // What archMap, arches of includes and excludes, and a profile without architectures mean.
    Abi native = native_abi().value_or(Abi::x86_64);
    // Which to filter; none: the native one and those that the profile has with it.
    std::vector<Abi> abis;
    // Of the process: "CAP_SYS_ADMIN".
    std::vector<std::string> capabilities;
    // For minKernel and NoRule::enosys_unknown.
    Kernel kernel = newest_kernel;
    std::uint32_t bad_arch = SECCOMP_RET_KILL_PROCESS;
    SameArgument same_argument = SameArgument::all;
    NoRule no_rule = NoRule::default_action;
};

struct Profile {
    Function function;
    std::vector<Abi> abis;
    std::uint32_t default_action = 0;
    // SECCOMP_FILTER_FLAG_…, with NEW_LISTENER where an action notifies. runc takes SPEC_ALLOW if the profile has no
    // flags at all.
    std::uint32_t flags = 0;
    bool has_flags = false;
    std::string listener_path;
    std::string listener_metadata;
    std::vector<Warning> warnings;
    std::shared_ptr<const ProfileRules> rules;
};

inline constexpr std::size_t max_profile_bytes = 4 << 20;

// Code::bad_input with the JSON path for whatever is wrong in it. A key that is not known is an error inside of
// `syscalls`, where leaving out a misspelt one would let more calls through, and a warning elsewhere, as the
// specification wants.
Result<Profile> read_profile(std::string_view json, const ProfileOptions& options = {});

}  // namespace bpfwarden::filter
