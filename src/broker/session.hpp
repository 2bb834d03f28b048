// SPDX-License-Identifier: Apache-2.0
// What the daemon knows of one session.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "audit/ring.hpp"
#include "broker/event_loop.hpp"
#include "broker/grant_texts.hpp"
#include "broker/ledger.hpp"
#include "broker/peer.hpp"
#include "broker/session_notes.hpp"

namespace bpfwarden::broker {

// One revision of a grant. Sessions keep the one that they were opened with.
struct GrantRevision {
    std::string name;
    std::string revision;
    LoadedGrant loaded;
};

struct Session {
    std::string id;
    std::vector<std::string> ancestors;                       // first to last; the last is what it was derived from
    std::vector<std::shared_ptr<const GrantRevision>> chain;  // first to last
    std::shared_ptr<const trust::SignerTexts> signers;        // whose keys were installed when it was opened
    std::shared_ptr<Peer> opener;
    std::uint64_t opened_ns = 0;   // CLOCK_REALTIME
    std::uint64_t ends_at_ms = 0;  // CLOCK_MONOTONIC; 0: never
    std::string path;              // the socket that it was opened at
    bool learns = false;           // its worker keeps what was done

    UniqueFd socket;  // until the worker has it
    EventLoop::Watch first_use, lifetime;

    // Of the grant, and of each session from the first to this one.
    std::vector<std::shared_ptr<Counters>> levels;
    std::size_t own_counters = 1;  // how many of them, at the end, are no other session's
    const Counters& own() const { return *levels.back(); }

    std::shared_ptr<SessionNotes> notes;
    // It is in the service manager's store, and outlives this process.
    bool kept = false;

    // Once it has been used:
    WorkerProcess worker;
    UniqueFd control;
    std::unique_ptr<audit::RingConsumer> ring;
    EventLoop::Watch worker_end, control_input, ring_input;

    const GrantRevision& grant() const { return *chain.front(); }
    std::string parent() const { return ancestors.empty() ? std::string() : ancestors.back(); }
};

}  // namespace bpfwarden::broker
