// SPDX-License-Identifier: Apache-2.0
// Whatever a filter is written as, as a function: an eBPF object, a container's profile, or classic BPF.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "filter/function.hpp"
#include "filter/numbers.hpp"
#include "filter/object.hpp"
#include "filter/profile.hpp"
#include "filter/warning.hpp"

namespace bpfwarden::filter {

enum class SourceKind : std::uint8_t { object, profile, classic };

struct SourceOptions {
    // Whose system calls it decides about; none: those of the machine, or of the profile. Classic BPF is what it is.
    std::vector<Abi> abis;
    Kernel kernel = newest_kernel;          // whose tables say which numbers there are
    std::optional<std::uint32_t> bad_arch;  // what every other architecture gets; none: KILL_PROCESS
    SetContents sets;                       // of an object
    std::vector<std::string> capabilities;  // of a profile, as are these
    SameArgument same_argument = SameArgument::all;
    NoRule no_rule = NoRule::default_action;
};

struct Source {
    SourceKind kind{};
    Function function;
    std::vector<Abi> abis;
    std::vector<sock_filter> program;                // of classic BPF
    bytecode::Program ebpf;                          // of an object
    std::uint32_t flags = 0;                         // SECCOMP_FILTER_FLAG_… that a profile asks for
    std::shared_ptr<const ProfileRules> rules = {};  // of a profile
    std::vector<Warning> warnings;
};

// By how the bytes begin; everything that is no ELF and no JSON is taken for classic BPF.
SourceKind kind_of(std::string_view bytes);
std::string_view text(SourceKind kind);

// Code::bad_input with what is wrong where.
Result<Source> read_source(std::string_view bytes, const SourceOptions& options = {});

// x86-64 with x32 and i386, which every process there can call; arm64 alone, and so on.
std::vector<Abi> abis_of_machine(Abi native);

}  // namespace bpfwarden::filter
