// SPDX-License-Identifier: Apache-2.0
// All sessions: opened, derived, used, revoked, ended.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "audit/log.hpp"
#include "broker/session.hpp"

namespace bpfwarden::broker {

class Sessions {
  public:
    Sessions(EventLoop& loop, Spawner& spawner, audit::Log& log) : loop_(loop), spawner_(spawner), log_(log) {}

    // Somebody has connected to the socket of a grant (at `path`), narrowed by `more` where the socket stands for less.
    // Decides whether they may, tells them, and keeps the session.
    void open(UniqueFd socket, std::shared_ptr<const GrantRevision> grant, std::shared_ptr<Counters> counters,
              const std::vector<std::shared_ptr<const GrantRevision>>& more, std::string path);

    // Ends a session and all derived from it, at once: programs stop, fds of the holder stay but stand for nothing.
    // False: there is no such session.
    bool revoke(const std::string& id, std::string_view why);
    std::size_t revoke_grant(std::string_view name, std::string_view why);

    const std::map<std::string, std::unique_ptr<Session>>& all() const { return sessions_; }

    // Hands what the workers wrote to the log, now.
    void drain();
    // Answers by verdict, for metrics.
    std::uint64_t operations() const { return operations_; }
    std::uint64_t refusals() const { return refusals_; }

  private:
    Result<Session*> add(std::unique_ptr<Session> session);
    void await_first_use(Session& session);
    Result<> start_worker(Session& session);
    void serve_control(Session& session);
    Result<UniqueFd> derive(Session& parent, const std::string& text, std::string& id);
    void end(const std::string& id, std::string_view kind, std::string_view why);
    std::size_t drain(Session& session);
    void drain_later();
    void end_compromised();
    void settle(Session& session);
    void recheck_orphans();
    static void describe(audit::Event& event, const Session& session);

    // Maps that outlived their session: somebody still holds them, and they still count.
    struct Orphan {
        std::uint32_t id = 0;
        std::uint64_t memory = 0;
        std::vector<std::shared_ptr<Counters>> levels;
    };

    EventLoop& loop_;
    Spawner& spawner_;
    audit::Log& log_;
    std::map<std::string, std::unique_ptr<Session>> sessions_;
    std::vector<Orphan> orphans_;
    EventLoop::Watch orphan_timer_, drain_timer_;
    bool draining_ = false;
    std::uint64_t operations_ = 0, refusals_ = 0;
    wire::Receiver receiver_;
};

}  // namespace bpfwarden::broker
