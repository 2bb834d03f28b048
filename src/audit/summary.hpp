// SPDX-License-Identifier: Apache-2.0
// Events for people.
#pragma once

#include <string>

#include "audit/event.hpp"

namespace bpfwarden::audit {

// "allowed", "refused", "denied" and so on, or for what has no verdict the kind: "session_open".
std::string headword(const Event& event);
// What happened, without the headword, grant, session and time; safe to print.
//   map_create lpm_trie by uid 1001 pid 4242 /usr/bin/agent: EPERM, allow.map_types (agent.toml:9:17)
//   /usr/sbin/nginx(4242) → read /etc/shadow: no-secrets (nginx.toml:12:1)
std::string description(const Event& event);
// All in one line but the time: "refused map_create … [grant agent, session 7]",
// "denied … [domain nginx]".
std::string summary(const Event& event);

// Whether it tells of events that are lost, or of a worker that cheated.
bool is_loss(const Event& event);

}  // namespace bpfwarden::audit
