// SPDX-License-Identifier: Apache-2.0
// What a session is, from its opening to its end, as bytes in a sealed memfd: from these, and its fds, the next daemon
// knows it again. What changes while it runs is in session_notes.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "broker/grant_texts.hpp"
#include "broker/session.hpp"

namespace bpfwarden::broker {

struct SavedGrant {
    std::string name, revision;
    GrantTexts texts;
};

struct SavedSession {
    std::string id;
    std::vector<std::string> ancestors;  // the first one first; the last is what it was derived from
    std::vector<SavedGrant> chain;
    trust::SignerTexts signers;
    std::uint32_t own_counters = 1;
    std::uint64_t opened_ns = 0, ends_at_ms = 0;
    std::string path;
    struct {
        std::uint32_t uid = 0, gid = 0;
        std::int32_t pid = 0;
        std::string exe, cgroup, container;
    } opener;
};

SavedSession saved(const Session& session);

void write(wire::Writer& to, const SavedSession& session);
// Fails unless all of it is there, nothing more, and of the version that write() writes.
Result<SavedSession> read_saved(wire::Bytes bytes);

Result<UniqueFd> save(const Session& session);
Result<SavedSession> load_saved(FdRef memory);

// Eight hexadecimal digits, as all ids of sessions are.
bool is_session_id(std::string_view text);

}  // namespace bpfwarden::broker
