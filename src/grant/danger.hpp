// SPDX-License-Identifier: Apache-2.0
// Power over more than the grantee's own: what it is, what hands it over, and whether the grant says that its author
// knows (`dangerous = [...]`).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grant/resolve.hpp"
#include "grant/way.hpp"

namespace bpfwarden::grant {

struct Danger {
    std::string_view name;
    // Depends on where the grant is used, so `grant check` cannot refuse for it.
    bool use_time = false;
    std::string_view hands_over;  // one sentence without a full stop, after "this grant …"
    std::string_view because;     // the kernel's part
};
std::span<const Danger> all_dangers();
const Danger* danger(std::string_view name);

struct DangerNeed {
    const Danger* danger = nullptr;  // never null
    Position at;                     // the entry that needs it
    std::string what;                // "program type tracepoint"
    bool acknowledged = false;
};

// What the grant needs to acknowledge wherever it is used: one need a danger, the first entry (in the order of the
// file) that causes it.
std::vector<DangerNeed> dangers_of(const Resolved& grant);

// Where a grant is about to be used.
struct UseContext {
    Way way = Way::token;
    // The grantee's programs can be attached in the host's network namespace (`run --net inherit`).
    bool host_network = false;
    // The grantee can open the host's control groups: by token without the containment that `run` sets up.
    bool host_cgroups = false;
};
// What the grant needs besides, when used there. Whoever starts a grantee refuses if any is not acknowledged.
std::vector<DangerNeed> use_time_dangers(const Resolved& grant, const UseContext& context);

// Whether there is any use of the grant that would need it: else acknowledging it is a slip.
bool may_need(const Resolved& grant, const Danger& danger);

}  // namespace bpfwarden::grant
