// SPDX-License-Identifier: Apache-2.0
// A policy as it was written, every value with the place it was written at. What it means is compile.hpp's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/toml_reader.hpp"
#include "policy/operations.hpp"
#include "policy/pattern.hpp"
#include "policy/pin.hpp"

namespace bpfwarden::policy {

enum class Mode { audit, enforce };
enum class Effect { allow, deny, audit };
std::string_view name_of(Effect effect);

inline constexpr std::string_view unconfined = "unconfined";

// One entry of `paths`, `except`, `exe` or `cgroup`: what its alternatives in braces come to.
struct PathGlob {
    Entry text;
    std::vector<Pattern> patterns;
};

// A file by what it is.
struct Identity {
    std::uint32_t device = 0;  // MAJOR << 20 | MINOR
    std::uint64_t inode = 0;
    std::uint32_t generation = 0;
    Position at;
    friend bool operator==(const Identity& one, const Identity& other) {
        return one.device == other.device && one.inode == other.inode && one.generation == other.generation;
    }
};
// "device 8:1 inode 12 generation 3"
std::string describe(const Identity& identity);

struct IdRange {
    std::uint32_t first = 0, last = 0xffff'ffff;
    friend bool operator==(const IdRange&, const IdRange&) = default;
};

// One line of `enter`: all that it has must fit.
struct WayIn {
    Position at;
    std::optional<PathGlob> exe, cgroup;
    std::optional<Identity> identity;
    std::vector<Pin> pins;  // at most one of each kind
    IdRange uid, gid;
    std::optional<bool> userns_init;
    std::vector<Entry> from;  // empty: only the unconfined domain
};

struct Domain {
    Entry name;
    Position at;
    std::vector<WayIn> enter;
    bool denies = false;       // what no rule allows
    std::optional<Mode> mode;  // stands over the policy's
    bool secure_exec = true;
    bool own_root = false;
};

// One line of `net`, or one of its ports.
struct Net {
    std::optional<std::uint16_t> family;
    std::array<std::uint8_t, 16> address{};
    std::uint16_t prefix = 0;
    std::uint16_t port_first = 0, port_last = 0xffff;

    bool family_alone() const { return prefix == 0 && port_first == 0 && port_last == 0xffff; }
    friend bool operator==(const Net&, const Net&) = default;
};

struct Rule {
    std::string name;  // "nginx.toml:12" where it has none
    Position at;
    Position effect_at;  // of allow, deny or audit
    Effect effect = Effect::allow;
    Operations ops = 0;
    std::optional<Mode> mode;
    std::optional<List> domains;  // none: all of this policy
    std::vector<PathGlob> paths, except;
    std::vector<PathGlob> file_systems;  // one component each
    std::vector<Identity> identities;
    std::vector<Pin> labels;             // of both kinds
    std::vector<Net> net;                // none: any
    std::vector<Entry> peers;            // none: any
    std::uint64_t capabilities = ~0ULL;  // a bit each
};

struct Policy {
    std::string file;  // as messages call it
    std::string name;
    std::string description;
    Mode mode = Mode::audit;
    bool loss_denies = false;
    std::vector<Domain> domains;
    std::vector<Rule> rules;
};

}  // namespace bpfwarden::policy
