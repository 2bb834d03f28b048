// SPDX-License-Identifier: Apache-2.0
// All sessions: opened, derived, used, revoked, ended.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "audit/log.hpp"
#include "broker/fd_store.hpp"
#include "broker/saved_session.hpp"
#include "broker/session.hpp"

namespace bpfwarden::broker {

class Sessions {
  public:
    // What `store` keeps goes on with the next daemon.
    Sessions(EventLoop& loop, Spawner& spawner, audit::Log& log, FdStore store = {})
        : loop_(loop), spawner_(spawner), log_(log), store_(std::move(store)) {}

    // Takes over what an earlier daemon left in the store: first of all, before anything else is opened.
    void adopt(std::map<std::string, UniqueFd> stored);
    // The counters of a grant, the same for as long as anything counts on them.
    Result<std::shared_ptr<Counters>> counters_of(const std::string& grant);

    // Somebody has connected to the socket of a grant (at `path`), narrowed by `more` where the socket stands for less.
    // Decides whether they may, tells them, and keeps the session.
    void open(UniqueFd socket, std::shared_ptr<const GrantRevision> grant, std::shared_ptr<Counters> counters,
              const std::vector<std::shared_ptr<const GrantRevision>>& more, std::string path);

    // Root, at the other end of `asker`, opens a grant that is not installed, for another user.
    Result<UniqueFd> open_for(FdRef asker, uid_t uid, gid_t gid, bool learns, GrantTexts texts);

    // The keys of those that are opened from now on.
    void trust(trust::SignerTexts signers) {
        signers_ = std::make_shared<const trust::SignerTexts>(std::move(signers));
    }

    // Ends a session and all derived from it, at once: programs stop, fds of the holder stay but stand for nothing.
    // False: there is no such session.
    bool revoke(const std::string& id, std::string_view why);
    std::size_t revoke_grant(std::string_view name, std::string_view why);

    const std::map<std::string, std::unique_ptr<Session>>& all() const { return sessions_; }

    // Hands what the workers wrote to the log, now.
    void drain();
    // For metrics: what was judged since the start, and how long it took.
    struct Totals {
        std::uint64_t operations = 0, refusals = 0, sessions = 0;
        std::uint64_t latency_ns = 0;
        static constexpr std::array<std::uint64_t, 6> bounds_us{10, 100, 1'000, 10'000, 100'000, 1'000'000};
        std::array<std::uint64_t, bounds_us.size() + 1> within{};  // the last: longer than all bounds
    };
    const Totals& totals() const { return totals_; }

  private:
    Result<Session*> add(std::unique_ptr<Session> session);
    static void say_hello(Session& session);
    void await_first_use(Session& session);
    Result<> start_worker(Session& session);
    Result<> watch_worker(Session& session);
    Result<> watch_first_use(Session& session);
    Result<> watch_lifetime(Session& session);
    void serve_control(Session& session);
    Result<UniqueFd> map_of(Session& session, const wire::Message& request);
    Result<UniqueFd> derive(Session& parent, const std::string& text, std::string& id);
    void end(const std::string& id, std::string_view kind, std::string_view why);
    std::size_t drain(Session& session);
    void drain_later();
    void end_compromised();
    void finish(Session& session);
    void settle(Session& session);
    void recheck_orphans();
    static void describe(audit::Event& event, const Session& session);

    // sessions_kept.cpp: what the next daemon needs.
    void keep(Session& session);
    void keep_control(Session& session);
    void keep_worker(Session& session);
    struct Pieces;
    Result<> adopt_one(Pieces& pieces);
    Result<> adopt_worker(Session& session, Pieces& pieces);
    void adopt_maps(const Pieces& pieces);
    void lose(Pieces& pieces, const Error& why);
    Result<std::shared_ptr<const GrantRevision>> revision_of(const SavedGrant& grant);
    void forget_unused_counters();

    // Maps that outlived their session: somebody still holds them, and they still count.
    struct Orphans {
        std::string session;
        std::shared_ptr<SessionNotes> notes;
        std::vector<std::shared_ptr<Counters>> levels;
    };

    EventLoop& loop_;
    Spawner& spawner_;
    audit::Log& log_;
    std::map<std::string, std::unique_ptr<Session>> sessions_;
    std::shared_ptr<const trust::SignerTexts> signers_;
    std::vector<Orphans> orphans_;
    FdStore store_;
    std::map<std::string, std::shared_ptr<Counters>> counters_;              // of grants, by name
    std::map<std::string, std::shared_ptr<const GrantRevision>> revisions_;  // while adopting: what is the same, once
    EventLoop::Watch orphan_timer_, drain_timer_;
    std::uint64_t orphan_pause_ns_ = 0;
    bool draining_ = false;
    Totals totals_;
    wire::Receiver receiver_;
};

}  // namespace bpfwarden::broker
