// SPDX-License-Identifier: Apache-2.0
// Who holds each key of a grant, on each way in; and what nobody would hold. A key that nobody holds is never silently
// dropped: whoever starts a grantee refuses, unless told to go on without that key (run --unenforced=KEY).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grant/resolve.hpp"
#include "grant/way.hpp"

namespace bpfwarden::grant {

enum class Enforcer {
    kernel_mask,  // the token's masks
    kernel,       // the kernel, by the capabilities that the grantee or its worker has
    run,          // `bpfwarden run`, before the command starts
    broker,       // the session's worker, at every call
    guard,        // admission in the kernel, where the guard is armed
    nobody,
};
std::string_view name_of(Enforcer enforcer);

struct Enforcement {
    Enforcer by = Enforcer::nobody;
    std::string_view note;  // how, or why not; may be empty
};

// `key` as "allow.helpers", "targets.cgroups", "subject.exe", "session.lifetime".
Enforcement enforced_by(std::string_view key, Way way);
// The keys that enforced_by() knows, in the order of the manual.
std::vector<std::string> enforced_keys();

struct Unenforced {
    std::string key;  // "allow.helpers"
    std::string why;
    Position at;  // of the key; the file if it is absent
};

// The keys of this grant that the way in cannot hold: present ones, and absent ones of [allow] that allow nothing (a
// token cannot hold back helpers, so by token helpers must be `any`). Empty: everything is held.
std::vector<Unenforced> unenforced(const Resolved& grant, Way way);

// Whether `given` (from --unenforced=KEY: "helpers" or "allow.helpers") names `key`.
bool names_key(std::string_view given, std::string_view key);

}  // namespace bpfwarden::grant
