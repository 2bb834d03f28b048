// SPDX-License-Identifier: Apache-2.0
// What an image says: the BPF programs' own evaluator (shared/policy_match.h, policy_rules.h), for C++.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/compile.hpp"

namespace bpfwarden::policy {

// Of the operations asked about. What is in none of these is permitted in silence.
struct Outcome {
    Operations denied = 0, warned = 0, audited = 0;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

// A file as an operation meets it.
struct FileName {
    std::string path;  // "/etc/passwd", or "tmpfs:/a" where it is not mounted
    std::string type;  // of its file system, for rules by type; may be empty ("tmpfs:/a" says it itself)
    std::optional<Identity> identity;
    std::vector<Pin> pins;  // its digests and labels
};

struct Address {
    std::array<std::uint8_t, 16> bytes{};
    std::uint16_t family = 0;
    std::uint16_t port = 0;
};

struct Exec {
    std::uint32_t domain = 0;  // until now
    FileName file;
    std::string cgroup;
    std::uint32_t uid = 0, gid = 0;
    bool userns_init = true;
};

// Of one operation: how it is decided, and by which rule (0: by the domain's default).
enum class Verdict { allowed, audited, would_deny, denied };
std::string_view name_of(Verdict verdict);
struct Mention {
    std::uint32_t rule = 0, effect = 0;  // BW_EFFECT_*
};
struct Decision {
    Verdict verdict = Verdict::allowed;
    std::uint32_t rule = 0;
    // The file's name cannot be told, so whatever a deny of the domain could have refused is refused.
    bool blind = false;
    // Every rule that says something about it, ascending.
    std::vector<Mention> matched;
};

class Image {
  public:
    // The lines must outlive it.
    explicit Image(std::span<const Line> lines);
    explicit Image(const Compiled& compiled) : Image(compiled.lines) {}

    // The state after the names of `path`; nothing for one that cannot be told: too deep, with a name too long, or in a
    // file system of a type that no pattern has and that anybody may mount.
    std::optional<std::uint32_t> state_of(Start from, std::string_view path) const;
    std::uint32_t set_of(std::uint32_t state) const;

    Outcome on_file(std::uint32_t domain, Operations ops, const FileName& file) const;
    Outcome on_address(std::uint32_t domain, Operations op, Address address) const;
    Outcome on_domain(std::uint32_t domain, Operations ops, std::uint32_t peer) const;
    Outcome on_capability(std::uint32_t domain, unsigned capability) const;
    Outcome on_nothing(std::uint32_t domain, Operations ops) const;

    // The same for one operation, with what decided.
    Decision file_decision(std::uint32_t domain, Operations op, const FileName& file) const;
    Decision address_decision(std::uint32_t domain, Operations op, Address address) const;
    Decision domain_decision(std::uint32_t domain, Operations op, std::uint32_t peer) const;
    Decision capability_decision(std::uint32_t domain, unsigned capability) const;
    Decision plain_decision(std::uint32_t domain, Operations op) const;

    // Which way an exec takes: its number; nothing if the process keeps its domain.
    std::optional<std::uint32_t> entry(const Exec& exec) const;
    // Where a directory may go from one place to another: 0, BW_LIVE_WARN or BW_LIVE_DENY.
    int moves(std::uint32_t domain, std::uint32_t from_state, std::uint32_t to_state) const;

  private:
    struct Sets;
    Decision of_sets(std::span<const std::uint32_t> sets, std::uint32_t domain, Operations op, const Outcome& outcome,
                     unsigned capability = 0) const;
    const bw_pin* find(const Pin& pin) const;
    std::optional<Sets> sets_of(std::uint32_t domain, const FileName& file) const;

    std::span<const Line> lines_;
    bw_image_head head_{};
    bw_image_tail tail_{};
    bw_image_pins pins_{};
};

// "/a/b" -> its names; "tmpfs:/a" -> "tmpfs", "a" with Start::detached.
struct SplitPath {
    Start from = Start::path;
    std::vector<std::string_view> names;
};
SplitPath split_path(std::string_view path);

}  // namespace bpfwarden::policy
