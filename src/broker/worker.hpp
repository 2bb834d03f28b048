// SPDX-License-Identifier: Apache-2.0
// The process that acts for one session: reads the calls of its holders, decides, does them with the grant's
// capabilities and nothing else, and answers. It ends when its session does; killing it is revoking the session.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "audit/ring.hpp"
#include "broker/call.hpp"

namespace bpfwarden::broker {

struct WorkerSetup {
    std::string session_id;
    std::string grant;
    std::string revision;
    std::uint64_t ends_at_ms = 0;  // CLOCK_MONOTONIC; 0: never
    uid_t opener_uid = 0;          // the worker's effective user, and its real one while it looks into a program
    bool learns = false;           // keeps what was done, for who asks
    bool waits_for_go = false;     // serves nobody before Internal::go

    UniqueFd session;  // this end of the session's socket
    UniqueFd control;  // to the daemon
    UniqueFd opener;   // to the perf event opener; nothing where the grant has no use for one
    UniqueFd parser;   // to what reads signatures for it; nothing where no grant asks for them
    Rights rights;
    Ledger ledger;
    audit::RingProducer audit;
};

// Until the session ends. The exit status.
int run_worker(WorkerSetup setup, const Machine& machine);

}  // namespace bpfwarden::broker
