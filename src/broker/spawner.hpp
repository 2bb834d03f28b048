// SPDX-License-Identifier: Apache-2.0
// The one process that keeps privileges: forked off before the daemon reads anything, it makes workers and answers what
// only root may see. It reads no byte that a client wrote; what it is told comes from the daemon alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "audit/ring.hpp"
#include "broker/grant_texts.hpp"
#include "broker/ledger.hpp"
#include "kernel/process.hpp"
#include "trust/signers.hpp"
#include "wire/message.hpp"

namespace bpfwarden::broker {

struct Identity {
    std::string exe;      // the path, as the process itself would call it; " (deleted)" may stand behind
    UniqueFd executable;  // O_PATH
};

struct WorkerOrder {
    std::string session_id, grant, revision;
    std::uint64_t ends_at_ms = 0;
    std::string cgroup;              // of the opener, to be charged; empty: stay
    std::uint32_t uid = 0, gid = 0;  // of the opener, whose processes it may have to look into
    std::vector<GrantTexts> grants;  // first to last
    // It outlives the daemon and the spawner: its control socket alone ends it. It waits for Internal::go.
    bool keep = false;
    bool learns = false;
    trust::SignerTexts signers;  // whose keys are trusted in this session
};
struct WorkerFds {
    int session = -1, control = -1, ring = -1, wakeup = -1;
    int opener = -1;            // pidfd of who opened the session: whose network namespace counts
    std::vector<int> counters;  // of each level
};

struct WorkerProcess {
    pid_t pid = 0;
    PidFd process;
    bool charged = false;  // its memory counts for the opener's cgroup
};

// The daemon's side of it.
class Spawner {
  public:
    // Forks the spawner. To be called while this process is still single and privileged.
    static Result<Spawner> start();

    Result<Identity> identify(PidRef process);
    Result<WorkerProcess> make_worker(const WorkerOrder& order, const WorkerFds& fds);
    // Which of these maps there still are.
    Result<std::vector<std::uint32_t>> living_maps(const std::vector<std::uint32_t>& ids);
    Result<UniqueFd> open_map(std::uint32_t id);
    FdRef socket() const { return socket_; }

  private:
    Spawner(UniqueFd socket, kernel::Child child) : socket_(std::move(socket)), child_(std::move(child)) {}
    UniqueFd socket_;
    kernel::Child child_;
    wire::Receiver receiver_;
};

}  // namespace bpfwarden::broker
