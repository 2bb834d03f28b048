// SPDX-License-Identifier: Apache-2.0
// Policies -> the image that BPF programs and evaluate.hpp read (shared/policy_image.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/automaton.hpp"
#include "policy/link.hpp"

namespace bpfwarden::policy {

struct alignas(BW_LINE_SIZE) Line {
    std::array<std::byte, BW_LINE_SIZE> bytes{};
};
static_assert(sizeof(Line) == BW_LINE_SIZE);

struct RuleInfo {
    std::string name;
    std::string policy;
    Position at;  // of its allow, deny or audit
    Effect effect = Effect::allow;
};

struct WayInfo {
    std::uint32_t domain = 0;
    Position at;
};

struct ImageSizes {
    std::size_t states = 0, edges = 0, glob_rows = 0, sets = 0, cells = 0, net_rules = 0;
};

struct Compiled {
    std::vector<Line> lines;           // generation 0, which no image in force has: set_generation()
    std::vector<RuleInfo> rules;       // bw_rule.number counts from 1
    std::vector<std::string> domains;  // 0: "unconfined"
    std::vector<WayInfo> ways;         // bw_entry.number counts from 0
    std::string digest;                // SHA-256 of the lines and the names
    // What any domain has a rule or default about: which hooks are needed besides those of exec.
    Operations ops = 0;
    bool enforces = false;             // something can be refused; else it is only told
    bool cgroups = false;              // a way in goes by control group
    bool types = false;                // a rule goes by the type of a file system
    bool identities = false;           // a rule or way in goes by device and inode
    std::uint32_t kinds = 0;           // 1 << BW_PIN_*: what else files are known by
    std::uint32_t ima_algorithms = 0;  // 1 << the kernel's number of it: that a way in has a digest of
    bool loss_denies = false;          // in some domain, what cannot be told is refused
    ImageSizes sizes;
};

inline constexpr std::size_t most_rules = 65'536;

// Everything that is wrong is in `diagnostics`; nothing then. The same policies in the same order give the same bytes.
// `numbered`: see link().
std::optional<Compiled> compile(std::span<const Policy> policies, Diagnostics& diagnostics,
                                std::span<const std::string> numbered = {});

// What one line of `net` matches; its effect and operations are its rule's.
bw_net_rule net_line(const Net& net);

// `generation` is not 0.
void set_generation(std::span<Line> lines, std::uint32_t generation);

}  // namespace bpfwarden::policy
