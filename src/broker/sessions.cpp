// SPDX-License-Identifier: Apache-2.0
#include "broker/sessions.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.hpp"
#include "broker/derived.hpp"
#include "broker/protocol.hpp"

namespace bpfwarden::broker {

namespace {

std::uint64_t now_ns(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

bool has_hung_up(FdRef socket) {
    pollfd state{socket.get(), POLLIN, 0};
    return ::poll(&state, 1, 0) > 0 && (state.revents & POLLHUP) != 0;
}

// Not secret, but not to be guessed by accident either: a person names sessions by it.
std::string new_id() {
    std::uint32_t number = 0;
    (void)!::getrandom(&number, sizeof number, 0);
    return fmt::format("{:08x}", number);
}

void say_no(FdRef socket, const Error& error) {
    wire::Writer body;
    body.number(static_cast<std::uint8_t>(wire::Answer::failed));
    wire::write_error(body, with_errno(error));
    (void)wire::send(socket, wire::Type::hello, 0, body.bytes(), {}, MSG_DONTWAIT);
}

}  // namespace

void Sessions::describe(audit::Event& event, const Session& session) {
    event.set("session", session.id).set("grant", session.grant().name).set("revision", session.grant().revision);
    if (!session.ancestors.empty()) event.set("parent", session.ancestors.back());
    const auto& opener = *session.opener;
    event.set("opener.uid", opener.uid).set("opener.gid", opener.gid).set("opener.pid", opener.pid);
    if (!opener.exe.empty()) event.set("opener.exe", opener.exe);
    if (!opener.cgroup.empty()) event.set("opener.cgroup", opener.cgroup);
    if (!opener.container.empty()) event.set("opener.container", opener.container);
}

void Sessions::say_hello(Session& session) {
    wire::Writer body;
    body.number(static_cast<std::uint8_t>(wire::Answer::done));
    body.text(session.id);
    body.text(session.grant().name);
    body.text(session.grant().revision);
    (void)wire::send(session.socket, wire::Type::hello, 0, body.bytes(), {}, MSG_DONTWAIT);
    // Behind it: an opener that waits is told twice by two daemons rather than never, and reads it once.
    session.notes->set_greeted();
}

void Sessions::open(UniqueFd socket, std::shared_ptr<const GrantRevision> grant, std::shared_ptr<Counters> counters,
                    const std::vector<std::shared_ptr<const GrantRevision>>& more, std::string path) {
    audit::Event refused{.kind = "refused_open"};
    refused.set("grant", grant->name).set("revision", grant->revision);
    const auto refuse = [&](const Error& error) {
        refused.set("verdict", "refused").set("reason", error.why().empty() ? error.what() : error.why());
        log_.append(std::move(refused));
        say_no(socket, error);
    };
    auto peer = peer_of(socket, spawner_);
    if (!peer) return refuse(peer.error());
    refused.set("opener.uid", peer->uid).set("opener.gid", peer->gid).set("opener.pid", peer->pid);
    if (!peer->exe.empty()) refused.set("opener.exe", peer->exe);
    if (!peer->cgroup.empty()) refused.set("opener.cgroup", peer->cgroup);
    if (auto why_not = grant::refuses_opener(grant->loaded.grant, opener_of(*peer, grant->loaded.grant)))
        return refuse(*why_not);

    auto session = std::make_unique<Session>();
    session->chain.push_back(std::move(grant));
    session->levels.push_back(std::move(counters));
    session->own_counters = 1 + more.size();
    for (std::size_t i = 0; i < session->own_counters; ++i) {
        auto own = Counters::create();
        if (!own) return refuse(own.error());
        session->levels.push_back(std::make_shared<Counters>(std::move(*own)));
    }
    session->chain.insert(session->chain.end(), more.begin(), more.end());
    session->signers = signers_;
    session->opener = std::make_shared<Peer>(std::move(*peer));
    session->path = std::move(path);
    session->socket = std::move(socket);
    auto added = add(std::move(session));
    if (!added) return refuse(added.error());
    audit::Event event{.kind = "session_open"};
    describe(event, **added);
    if (store_.keeps()) event.set("kept", (*added)->kept);
    log_.append(std::move(event));
    say_hello(**added);
}

Result<UniqueFd> Sessions::open_for(FdRef asker, uid_t uid, gid_t gid, bool learns, GrantTexts texts) {
    auto peer = BW_TRY(peer_of(asker, spawner_));
    peer.uid = uid;
    peer.gid = gid;
    peer.groups = {gid};
    auto grant = BW_TRY(resolve(texts));
    // By its file: a name is an installed grant's.
    const auto name = texts.file;
    const auto revision = texts.revision();
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair");
    UniqueFd here(ends[0]), there(ends[1]);
    auto session = std::make_unique<Session>();
    session->chain.push_back(
        std::make_shared<const GrantRevision>(GrantRevision{name, revision, {std::move(grant), std::move(texts)}}));
    session->levels.push_back(BW_TRY(counters_of(name)));
    session->levels.push_back(std::make_shared<Counters>(BW_TRY(Counters::create())));
    session->signers = signers_;
    session->opener = std::make_shared<Peer>(std::move(peer));
    session->socket = std::move(here);
    session->learns = learns;
    auto* added = BW_TRY(add(std::move(session)));
    added->notes->set_greeted();
    audit::Event event{.kind = "session_open"};
    describe(event, *added);
    if (store_.keeps()) event.set("kept", added->kept);
    log_.append(std::move(event));
    return there;
}

Result<Session*> Sessions::add(std::unique_ptr<Session> session) {
    do session->id = new_id();
    while (sessions_.contains(session->id));
    session->opened_ns = now_ns(CLOCK_REALTIME);
    session->notes = std::make_shared<SessionNotes>(BW_TRY(SessionNotes::create()));
    ++totals_.sessions;
    for (const auto& one : session->chain)
        if (const auto& lifetime = one->loaded.grant.lifetime_ms) {
            const auto ends = now_ns(CLOCK_MONOTONIC) / 1'000'000 + lifetime->value;
            session->ends_at_ms = session->ends_at_ms == 0 ? ends : std::min(session->ends_at_ms, ends);
        }
    BW_TRY(watch_lifetime(*session));
    BW_TRY(watch_first_use(*session));
    keep(*session);
    const auto id = session->id;
    return sessions_.emplace(id, std::move(session)).first->second.get();
}

Result<> Sessions::watch_lifetime(Session& session) {
    if (session.ends_at_ms == 0) return {};
    session.lifetime = BW_TRY(
        loop_.at(session.ends_at_ms * 1'000'000, [this, id = session.id] { revoke(id, "its lifetime is over"); }));
    return {};
}

Result<> Sessions::watch_first_use(Session& session) {
    session.first_use = BW_TRY(loop_.on_readable(session.socket, [this, id = session.id] {
        if (const auto at = sessions_.find(id); at != sessions_.end()) await_first_use(*at->second);
    }));
    return {};
}

// Something is to be read, or the last holder has gone without ever using it.
void Sessions::await_first_use(Session& session) {
    if (has_hung_up(session.socket)) {
        char byte = 0;
        if (::recv(session.socket.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
            return end(session.id, "session_close", "");
    }
    if (auto started = start_worker(session); !started) {
        // Without the spawner this daemon ends as well: its first use is the next one's.
        if (session.kept && has_hung_up(spawner_.socket())) {
            session.first_use = {};
            return;
        }
        end(session.id, "session_close", started.error().text("no worker"));
    }
}

Result<> Sessions::start_worker(Session& session) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair");
    UniqueFd here(ends[0]), there(ends[1]);
    session.control = std::move(here);
    session.ring = std::make_unique<audit::RingConsumer>(BW_TRY(audit::RingConsumer::create()));
    if (session.kept) keep_control(session);
    WorkerOrder order{.session_id = session.id,
                      .grant = session.grant().name,
                      .revision = session.grant().revision,
                      .ends_at_ms = session.ends_at_ms,
                      .cgroup = session.opener->cgroup,
                      .uid = session.opener->uid,
                      .gid = session.opener->gid,
                      .grants = {},
                      .keep = session.kept,
                      .learns = session.learns,
                      .signers = {}};
    for (const auto& one : session.chain) order.grants.push_back(one->loaded.texts);
    if (session.signers) order.signers = *session.signers;
    WorkerFds fds{.session = session.socket.get(),
                  .control = there.get(),
                  .ring = session.ring->memory().get(),
                  .wakeup = session.ring->wakeup().get(),
                  .opener = session.opener->process.get(),
                  .counters = {}};
    for (const auto& level : session.levels) fds.counters.push_back(level->memory().get());
    session.worker = BW_TRY(spawner_.make_worker(order, fds));
    session.notes->set_worker(session.worker.pid);
    if (order.keep) keep_worker(session);
    audit::Event event{.kind = "worker_start"};
    describe(event, session);
    // False where the opener's cgroup has others below it: only leaves hold processes.
    event.set("worker.pid", session.worker.pid).set("worker.charged", session.worker.charged);
    log_.append(std::move(event));
    BW_TRY(watch_worker(session));
    // From here on the session is the worker's: when that ends, so does every holder's socket.
    session.first_use = {};
    session.socket.reset();
    return {};
}

Result<> Sessions::watch_worker(Session& session) {
    const auto id = session.id;
    const auto with = [this, id](void (Sessions::*act)(Session&)) {
        return [this, id, act] {
            if (const auto at = sessions_.find(id); at != sessions_.end()) (this->*act)(*at->second);
        };
    };
    session.worker_end =
        BW_TRY(loop_.on_readable(session.worker.process, [this, id] { end(id, "session_close", ""); }));
    session.control_input = BW_TRY(loop_.on_readable(session.control, with(&Sessions::serve_control)));
    session.ring_input = BW_TRY(loop_.on_readable(session.ring->wakeup(), [this, id] {
        const auto at = sessions_.find(id);
        if (at == sessions_.end()) return;
        at->second->ring->clear_wakeup();
        drain_later();
    }));
    // The first event asks for attention.
    if (!session.ring->prepare_to_sleep()) drain_later();
    return {};
}

// What the worker says of a map that the ring had no room to tell of.
static bool note_map(Session& session, const wire::Message& message) {
    if (message.type != as_type(Internal::made_map)) return false;
    wire::Reader from(message.body);
    const auto id = from.number<std::uint32_t>();
    const auto memory = from.number<std::uint64_t>();
    if (from.done()) session.notes->add_map(id, memory);
    return true;
}

void Sessions::serve_control(Session& session) {
    auto message = receiver_.receive(session.control, MSG_DONTWAIT);
    if (!message && message.error().number() == EAGAIN) return;
    if (!message || !*message) {
        // The end of the process itself says the rest.
        session.control_input = {};
        return;
    }
    auto& request = **message;
    if (note_map(session, request)) return;
    wire::Writer answer;
    UniqueFd given;
    if (request.type == as_type(Internal::derive)) {
        wire::Reader from(request.body);
        const auto text = from.text();
        std::string id;
        auto derived = from.done() ? derive(session, text, id)
                                   : Result<UniqueFd>(fail(Error::from_errno(EPROTO, "a broken request")));
        if (derived) {
            answer.number(static_cast<std::uint8_t>(wire::Answer::done));
            answer.text(id);
            given = std::move(*derived);
        } else {
            answer.number(static_cast<std::uint8_t>(wire::Answer::failed));
            wire::write_error(answer, with_errno(derived.error()));
        }
    } else if (request.type == as_type(Internal::map_by_id)) {
        auto map = map_of(session, request);
        if (map) {
            answer.number(static_cast<std::uint8_t>(wire::Answer::done));
            given = std::move(*map);
        } else {
            answer.number(static_cast<std::uint8_t>(wire::Answer::failed));
            wire::write_error(answer, with_errno(map.error()));
        }
    } else if (request.type == as_type(Internal::dead_maps)) {
        wire::Reader from(request.body);
        std::vector<std::uint32_t> ids;
        for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n)
            ids.push_back(from.number<std::uint32_t>());
        // What cannot be asked about is taken to be there.
        const auto living = from.done() ? spawner_.living_maps(ids) : Result<std::vector<std::uint32_t>>(ids);
        const auto& there = living ? *living : ids;
        answer.number(static_cast<std::uint32_t>(there.size()));
        for (const auto one : there) answer.number(one);
        for (const auto one : ids)
            if (std::ranges::find(there, one) == there.end()) session.notes->remove_map(one);
    }
    const int fd = given.get();
    (void)wire::send(session.control, as_type(Internal::reply), request.id, answer.bytes(), {&fd, given ? 1U : 0U},
                     MSG_DONTWAIT);
}

// Soundness: a worker that is not itself any more gets no map of anybody else's: which are the session's is asked of
// what was told when they were made.
Result<UniqueFd> Sessions::map_of(Session& session, const wire::Message& request) {
    wire::Reader from(request.body);
    const auto id = from.number<std::uint32_t>();
    if (!from.done()) return fail(Error::from_errno(EPROTO, "a broken request"));
    while (drain(session) != 0) {
    }
    const auto maps = session.notes->maps();
    if (std::ranges::none_of(maps, [&](const auto& map) { return map.id == id; }))
        return fail(Error::from_errno(ENOENT, "no map of this session"));
    return spawner_.open_map(id);
}

Result<UniqueFd> Sessions::derive(Session& parent, const std::string& text, std::string& id) {
    auto loaded = BW_TRY(read_derived(text));
    BW_TRY(must_be_within(loaded.grant, parent.chain.back()->loaded.grant));
    constexpr std::size_t deepest = 16;
    if (parent.chain.size() >= deepest)
        return fail(Error(Code::denied, fmt::format("a session is derived at most {} times", deepest)));
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair");
    UniqueFd here(ends[0]), there(ends[1]);
    auto session = std::make_unique<Session>();
    session->ancestors = parent.ancestors;
    session->ancestors.push_back(parent.id);
    session->chain = parent.chain;
    session->signers = parent.signers;
    const auto revision = loaded.texts.revision();
    session->chain.push_back(
        std::make_shared<const GrantRevision>(GrantRevision{parent.grant().name, revision, std::move(loaded)}));
    session->opener = parent.opener;
    session->levels = parent.levels;
    session->levels.push_back(std::make_shared<Counters>(BW_TRY(Counters::create())));
    session->socket = std::move(here);
    if (parent.ends_at_ms != 0) session->ends_at_ms = parent.ends_at_ms;
    auto* added = BW_TRY(add(std::move(session)));
    id = added->id;
    added->notes->set_greeted();
    audit::Event event{.kind = "session_derive"};
    describe(event, *added);
    if (store_.keeps()) event.set("kept", added->kept);
    log_.append(std::move(event));
    return there;
}

std::size_t Sessions::drain(Session& session) {
    std::vector<audit::Event> events;
    const auto count = session.ring->drain(events);
    for (auto& event : events) {
        if (event.kind == "operation") {
            const bool no = event.text("verdict") == "refused";
            ++totals_.operations;
            const auto latency = event.number("latency_ns").value_or(0);
            totals_.latency_ns += latency;
            const auto bucket = std::ranges::lower_bound(Totals::bounds_us, (latency + 999) / 1000);
            ++totals_.within[static_cast<std::size_t>(bucket - Totals::bounds_us.begin())];
            auto& counted = session.notes->counted;
            ++counted.operations;
            if (no) {
                ++totals_.refusals;
                ++counted.refusals;
            }
            if (const auto id = event.number("map.id"))
                session.notes->add_map(static_cast<std::uint32_t>(*id), event.number("map.memory").value_or(0));
        }
        // Over whatever a worker may claim.
        describe(event, session);
        log_.append(std::move(event));
    }
    return count;
}

void Sessions::drain() {
    for (auto& [id, session] : sessions_)
        if (session->ring)
            while (drain(*session) != 0) {
            }
    log_.flush();
    for (auto& [id, session] : sessions_) {
        if (!session->ring) continue;
        session->notes->save_counted();
        session->ring->release();
    }
}

// A worker that wrote impossible things into its ring is not itself any more.
void Sessions::end_compromised() {
    std::vector<std::string> ids;
    for (const auto& [id, session] : sessions_)
        if (session->ring && session->ring->is_corrupt()) ids.push_back(id);
    for (const auto& id : ids) revoke(id, "its worker broke the audit ring");
}

// Waking this process for each event would cost the worker, and so its client, more than the event itself. From the
// first one on the rings are looked at every few milliseconds, and workers wake nobody, until one look finds nothing.
void Sessions::drain_later() {
    if (std::exchange(draining_, true)) return;
    constexpr std::uint64_t pause_ns = 20'000'000;
    auto timer = loop_.at(now_ns(CLOCK_MONOTONIC) + pause_ns, [this] {
        draining_ = false;
        bool any = false;
        for (auto& [id, session] : sessions_)
            if (session->ring) any |= drain(*session) != 0;
        drain();
        for (auto& [id, session] : sessions_)
            if (session->ring && !any) any |= !session->ring->prepare_to_sleep();
        end_compromised();
        if (any) drain_later();
    });
    if (timer)
        drain_timer_ = std::move(*timer);
    else
        drain();
}

// Takes what a session used off the others that it counted for, except what is still there. Done once, even if this
// process is killed in the middle: then something may count for longer than it is there, and not the other way round.
void Sessions::settle(Session& session) {
    auto& notes = *session.notes;
    std::vector<std::uint32_t> ids;
    for (const auto& map : notes.maps()) ids.push_back(static_cast<std::uint32_t>(map.id));
    if (!ids.empty())
        if (const auto there = spawner_.living_maps(ids)) {
            const std::set<std::uint32_t> living(there->begin(), there->end());
            for (const auto id : ids)
                if (!living.contains(id)) notes.remove_map(id);
        }
    notes.set_ended();
    // What is left of itself, and of those derived from it.
    std::uint64_t maps = 0, memory = 0;
    const auto add = [&](const SessionNotes& left) {
        maps += left.maps().size();
        for (const auto& map : left.maps()) memory += map.memory;
    };
    add(notes);
    for (const auto& orphans : orphans_)
        if (std::ranges::find(orphans.levels, session.levels.back()) != orphans.levels.end()) add(*orphans.notes);
    std::vector<std::shared_ptr<Counters>> others(session.levels.begin(), session.levels.end() - 1);
    for (const auto& level : others)
        for (const auto count : all_counts) {
            const auto kept = count == Count::maps ? maps : count == Count::map_memory ? memory : 0;
            const auto used = session.own().used(count);
            level->give_back(count, used - std::min(used, kept));
        }
    if (notes.maps().empty()) return;
    orphans_.push_back({session.id, session.notes, std::move(others)});
    orphan_pause_ns_ = 0;
    recheck_orphans();
}

void Sessions::recheck_orphans() {
    std::vector<std::uint32_t> ids;
    for (const auto& orphans : orphans_)
        for (const auto& map : orphans.notes->maps()) ids.push_back(static_cast<std::uint32_t>(map.id));
    if (const auto living = spawner_.living_maps(ids)) {
        const std::set<std::uint32_t> there(living->begin(), living->end());
        for (auto& orphans : orphans_) {
            const auto maps = orphans.notes->maps();
            for (const auto& map : maps) {
                const auto id = static_cast<std::uint32_t>(map.id);
                if (there.contains(id)) continue;
                orphans.notes->remove_map(id);
                for (const auto& level : orphans.levels) {
                    level->give_back(Count::maps, 1);
                    level->give_back(Count::map_memory, map.memory);
                }
            }
            if (orphans.notes->maps().empty()) store_.drop_all(orphans.session);
        }
        std::erase_if(orphans_, [](const Orphans& orphans) { return orphans.notes->maps().empty(); });
    }
    orphan_timer_ = {};
    if (orphans_.empty()) return forget_unused_counters();
    // Soon at first: most are let go of by a process that is just ending.
    constexpr std::uint64_t shortest_ns = 50'000'000, longest_ns = 5'000'000'000;
    orphan_pause_ns_ = std::clamp(2 * orphan_pause_ns_, shortest_ns, longest_ns);
    if (auto timer = loop_.at(now_ns(CLOCK_MONOTONIC) + orphan_pause_ns_, [this] { recheck_orphans(); }))
        orphan_timer_ = std::move(*timer);
}

void Sessions::end(const std::string& id, std::string_view kind, std::string_view why) {
    const auto at = sessions_.find(id);
    if (at == sessions_.end()) return;
    // Those derived from it first, so that each is told of while its parent is known.
    std::vector<std::string> children;
    for (const auto& [other, session] : sessions_)
        if (session->parent() == id) children.push_back(other);
    for (const auto& child : children)
        end(child, kind, why.empty() ? "the session it was derived from has ended" : why);
    auto session = std::move(sessions_.extract(id).mapped());
    if (session->worker.process) {
        // SIGKILL, and gone before anybody is told so: with it go the only real fds of its programs and links.
        ::syscall(SYS_pidfd_send_signal, session->worker.process.get(), SIGKILL, nullptr, 0);
        pollfd gone{session->worker.process.get(), POLLIN, 0};
        (void)::poll(&gone, 1, 5000);
        while (drain(*session) != 0) {
        }
        for (auto said = receiver_.receive(session->control, MSG_DONTWAIT); said && *said;
             said = receiver_.receive(session->control, MSG_DONTWAIT))
            (void)note_map(*session, **said);
    }
    const auto& counted = session->notes->counted;
    audit::Event event{.kind = std::string(kind)};
    describe(event, *session);
    event.set("operations", counted.operations).set("refusals", counted.refusals);
    if (!why.empty()) event.set("reason", why);
    log_.append(std::move(event));
    log_.flush();
    finish(*session);
}

// After it was told: what is settled is not told again by another daemon.
void Sessions::finish(Session& session) {
    settle(session);
    if (session.notes->maps().empty())
        store_.drop_all(session.id);
    else
        store_.drop_all_but_record(session.id);
    forget_unused_counters();
}

bool Sessions::revoke(const std::string& id, std::string_view why) {
    if (!sessions_.contains(id)) return false;
    end(id, "session_revoke", why);
    return true;
}

std::size_t Sessions::revoke_grant(std::string_view name, std::string_view why) {
    std::vector<std::string> ids;
    for (const auto& [id, session] : sessions_)
        if (session->grant().name == name && session->ancestors.empty()) ids.push_back(id);
    for (const auto& id : ids) revoke(id, why);
    return ids.size();
}

}  // namespace bpfwarden::broker
