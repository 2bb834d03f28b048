// SPDX-License-Identifier: Apache-2.0
// Sessions that outlive a daemon. Each is in pieces in the store (fd_store.hpp), and these are put there and taken away
// in an order in which a daemon that is killed between any two steps leaves either the session or its end:
//
//   opening   counters, opener, socket, notes; the state last: without it nobody was told of a session yet
//   first use control, ring, wakeup; the worker is made, and waits; its pidfd; the socket goes; Internal::go.
//             Without the pidfd it was not used yet: closing the control socket ends the waiting worker, and the next
//             use makes another
//   the end   told in the audit log; the notes say so; all others go, and what maps are left stays with state and notes
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>

#include "broker/protocol.hpp"
#include "broker/sessions.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::broker {

struct Sessions::Pieces {
    std::string session;
    std::map<Piece, UniqueFd> fds;
    SavedSession saved;
    std::shared_ptr<SessionNotes> notes;

    bool has(Piece piece) const { return fds.contains(piece); }
    UniqueFd take(Piece piece) {
        const auto at = fds.find(piece);
        return at == fds.end() ? UniqueFd() : std::move(at->second);
    }
};

namespace {

bool is_pidfd(FdRef fd) {
    return ::syscall(SYS_pidfd_send_signal, fd.get(), 0, nullptr, 0) == 0 || errno == ESRCH || errno == EPERM;
}
bool is_connected_socket(FdRef fd) { return ::sd_is_socket(fd.get(), AF_UNIX, SOCK_SEQPACKET, 0) > 0; }

void say_go(FdRef control) { (void)wire::send(control, as_type(Internal::go), 0, {}, {}, MSG_DONTWAIT); }

}  // namespace

// ---- what is put there ---------------------------------------------------------------------------------------------

void Sessions::keep(Session& session) {
    // With those of a worker, so that one that is kept at its opening is kept at its first use.
    constexpr std::size_t most_other_pieces = 8;
    if (!store_.has_room(session.own_counters + most_other_pieces)) return;
    const auto& id = session.id;
    const auto first = session.levels.size() - session.own_counters;
    session.kept = true;
    for (std::size_t i = 0; i < session.own_counters; ++i)
        session.kept &= store_.keep(own_counters(i), id, session.levels[first + i]->memory());
    // systemd keeps one fd once, under one name.
    if (session.ancestors.empty()) session.kept &= store_.keep(Piece::opener, id, session.opener->process);
    session.kept &= store_.keep(Piece::socket, id, session.socket);
    session.kept &= store_.keep(Piece::notes, id, session.notes->memory());
    const auto state = save(session);
    session.kept = session.kept && state && store_.keep(Piece::state, id, *state);
    if (!session.kept) store_.drop_all(id);
}

void Sessions::keep_control(Session& session) {
    const auto& id = session.id;
    session.kept = store_.keep(Piece::control, id, session.control) &&
                   store_.keep(Piece::ring, id, session.ring->memory()) &&
                   store_.keep(Piece::wakeup, id, session.ring->wakeup());
    if (!session.kept) store_.drop_all(id);
}

void Sessions::keep_worker(Session& session) {
    if (store_.keep(Piece::worker, session.id, session.worker.process)) {
        store_.drop(Piece::socket, session.id);
    } else {
        store_.drop_all(session.id);
        session.kept = false;
    }
    say_go(session.control);
}

Result<std::shared_ptr<Counters>> Sessions::counters_of(const std::string& grant) {
    auto& counters = counters_[grant];
    if (!counters) {
        counters = std::make_shared<Counters>(BW_TRY(Counters::create()));
        (void)store_.keep(Piece::of_grant, grant, counters->memory());
    }
    return counters;
}

void Sessions::forget_unused_counters() {
    std::set<const Counters*> in_use;
    for (const auto& [id, session] : sessions_) in_use.insert(session->levels.front().get());
    for (const auto& orphans : orphans_) in_use.insert(orphans.levels.front().get());
    std::erase_if(counters_, [&](const auto& entry) {
        const auto& [grant, counters] = entry;
        if (in_use.contains(counters.get())) return false;
        counters->reset_used();
        // Of a grant that is installed: it has a rate of loads to hold still.
        if (counters.use_count() > 1) return false;
        store_.drop(Piece::of_grant, grant);
        return true;
    });
}

// ---- what is taken over --------------------------------------------------------------------------------------------

void Sessions::adopt(std::map<std::string, UniqueFd> stored) {
    std::map<std::string, Pieces> all;
    for (auto& [name, fd] : stored) {
        store_.knows(name);
        const auto of = name.empty() ? name : name.substr(1);
        const auto piece = name.empty() ? Piece{} : static_cast<Piece>(name.front());
        if (piece == Piece::of_grant) {
            if (auto counters = Counters::map(std::move(fd)))
                counters_[of] = std::make_shared<Counters>(std::move(*counters));
            else
                store_.drop(name);
        } else if (is_session_id(of)) {
            all[of].fds.emplace(piece, std::move(fd));
        } else {
            store_.drop(name);
        }
    }
    std::vector<Pieces*> in_order, ended;
    for (auto& [id, pieces] : all) {
        pieces.session = id;
        // Ended and told; killed while the rest was taken away.
        if (auto notes = SessionNotes::adopt(pieces.take(Piece::notes)))
            pieces.notes = std::make_shared<SessionNotes>(std::move(*notes));
        const auto* missing = pieces.has(Piece::control) ? "its state is not there" : "its opening was not finished";
        auto saved = pieces.has(Piece::state) ? load_saved(pieces.take(Piece::state))
                                              : Result<SavedSession>(fail(Code::bad_input, missing));
        if (saved && saved->id != id) saved = fail(Code::bad_input, "its state is another session's");
        const bool told = pieces.notes && pieces.notes->has_ended();
        if (saved) pieces.saved = std::move(*saved);
        if (told && (!saved || pieces.notes->maps().empty()))
            store_.drop_all(id);
        else if (told)
            ended.push_back(&pieces);
        else if (!saved)
            lose(pieces, saved.error());
        else
            in_order.push_back(&pieces);
    }
    // What was derived comes after what it was derived from.
    std::ranges::stable_sort(in_order, {}, [](const Pieces* pieces) { return pieces->saved.ancestors.size(); });
    for (auto* pieces : in_order)
        if (const auto adopted = adopt_one(*pieces); !adopted) lose(*pieces, adopted.error());
    for (const auto* pieces : ended) adopt_maps(*pieces);
    revisions_.clear();
    if (!orphans_.empty()) recheck_orphans();
    forget_unused_counters();
    if (!sessions_.empty()) drain_later();
    log_.flush();
}

// A session that cannot go on: whoever holds it is told by its hang-up, the log by an event.
void Sessions::lose(Pieces& pieces, const Error& why) {
    auto worker = PidFd(pieces.take(Piece::worker).release());
    pieces.fds.clear();
    std::unique_ptr<Session> half;
    if (const auto at = sessions_.extract(pieces.session)) half = std::move(at.mapped());
    if (half && half->worker.process) worker = std::move(half->worker.process);
    if (is_pidfd(worker)) {
        ::syscall(SYS_pidfd_send_signal, worker.get(), SIGKILL, nullptr, 0);
        pollfd gone{worker.get(), POLLIN, 0};
        (void)::poll(&gone, 1, 5000);
    }
    if (half && half->ring)
        while (drain(*half) != 0) {
        }
    audit::Event event{.kind = "session_lost"};
    event.set("session", pieces.session);
    if (!pieces.saved.chain.empty()) {
        event.set("grant", pieces.saved.chain.front().name).set("revision", pieces.saved.chain.front().revision);
        event.set("opener.uid", pieces.saved.opener.uid).set("opener.pid", pieces.saved.opener.pid);
    }
    event.set("reason", why.why().empty() ? why.what() : why.what() + ": " + why.why());
    log_.append(std::move(event));
    if (half) {
        log_.flush();
        finish(*half);
    } else {
        store_.drop_all(pieces.session);
    }
}

Result<std::shared_ptr<const GrantRevision>> Sessions::revision_of(const SavedGrant& grant) {
    wire::Writer key;
    key.text(grant.name);
    write(key, grant.texts);
    auto& revision = revisions_[std::string(reinterpret_cast<const char*>(key.bytes().data()), key.bytes().size())];
    if (!revision)
        revision = std::make_shared<const GrantRevision>(
            GrantRevision{grant.name, grant.revision, {BW_TRY(resolve(grant.texts)), grant.texts}});
    return revision;
}

Result<> Sessions::adopt_one(Pieces& pieces) {
    const auto& saved = pieces.saved;
    if (!pieces.notes) return fail(Code::bad_input, "its notes are not there");
    auto made = std::make_unique<Session>();
    auto& session = *made;
    session.id = saved.id;
    session.ancestors = saved.ancestors;
    session.opened_ns = saved.opened_ns;
    session.ends_at_ms = saved.ends_at_ms;
    session.path = saved.path;
    if (!saved.signers.empty()) session.signers = std::make_shared<const trust::SignerTexts>(saved.signers);
    session.notes = pieces.notes;
    session.own_counters = saved.own_counters;
    session.kept = true;
    for (const auto& grant : saved.chain) session.chain.push_back(BW_TRY(revision_of(grant)));
    if (saved.ancestors.empty()) {
        session.opener = std::make_shared<Peer>();
        auto& opener = *session.opener;
        opener.uid = saved.opener.uid;
        opener.gid = saved.opener.gid;
        opener.pid = saved.opener.pid;
        opener.exe = saved.opener.exe;
        opener.cgroup = saved.opener.cgroup;
        opener.container = saved.opener.container;
        opener.process = PidFd(pieces.take(Piece::opener).release());
        if (!is_pidfd(opener.process)) return fail(Code::bad_input, "who opened it is not there");
        const auto counters = counters_.find(session.grant().name);
        if (counters == counters_.end()) return fail(Code::bad_input, "its grant's counters are not there");
        session.levels.push_back(counters->second);
    } else {
        const auto parent = sessions_.find(session.parent());
        if (parent == sessions_.end() || parent->second->chain.size() + 1 != session.chain.size())
            return fail(Code::bad_input, "the session it was derived from is not there");
        session.opener = parent->second->opener;
        session.levels = parent->second->levels;
    }
    for (std::size_t i = 0; i < saved.own_counters; ++i)
        session.levels.push_back(std::make_shared<Counters>(BW_TRY(Counters::map(pieces.take(own_counters(i))))));
    sessions_.emplace(saved.id, std::move(made));
    if (pieces.has(Piece::worker)) {
        BW_TRY(adopt_worker(session, pieces));
    } else {
        for (const auto piece : {Piece::control, Piece::ring, Piece::wakeup}) {
            pieces.take(piece).reset();
            store_.drop(piece, session.id);
        }
        session.socket = pieces.take(Piece::socket);
        if (!is_connected_socket(session.socket)) return fail(Code::bad_input, "its socket is not there");
        BW_TRY(watch_first_use(session));
        if (!session.notes->was_greeted()) say_hello(session);
    }
    BW_TRY(watch_lifetime(session));
    audit::Event event{.kind = "session_adopt"};
    describe(event, session);
    if (session.worker.process) event.set("worker.pid", session.worker.pid);
    log_.append(std::move(event));
    return {};
}

Result<> Sessions::adopt_worker(Session& session, Pieces& pieces) {
    session.worker.pid = session.notes->worker();
    session.worker.process = PidFd(pieces.take(Piece::worker).release());
    if (!is_pidfd(session.worker.process)) return fail(Code::bad_input, "its worker is not there");
    session.control = pieces.take(Piece::control);
    if (!is_connected_socket(session.control)) return fail(Code::bad_input, "its control socket is not there");
    const auto wakeup = pieces.fds.find(Piece::wakeup);
    if (wakeup == pieces.fds.end() || !kernel::kernel_calls_it(wakeup->second, "anon_inode:[eventfd]"))
        return fail(Code::bad_input, "its ring's eventfd is not there");
    session.ring = std::make_unique<audit::RingConsumer>(BW_TRY_WITHIN(
        audit::RingConsumer::adopt(pieces.take(Piece::ring), pieces.take(Piece::wakeup)), "its audit ring"));
    BW_TRY(watch_worker(session));
    // The last steps of its first use, in case that they were not made.
    store_.drop(Piece::socket, session.id);
    say_go(session.control);
    return {};
}

// Of a session that has ended: they count on whatever it counted on and is still there.
void Sessions::adopt_maps(const Pieces& pieces) {
    Orphans orphans{pieces.session, pieces.notes, {}};
    for (const auto& ancestor : pieces.saved.ancestors)
        if (const auto at = sessions_.find(ancestor); at != sessions_.end()) orphans.levels = at->second->levels;
    if (orphans.levels.empty())
        if (const auto counters = counters_.find(pieces.saved.chain.front().name); counters != counters_.end())
            orphans.levels = {counters->second};
    store_.drop_all_but_record(pieces.session);
    if (orphans.levels.empty())
        store_.drop_all(pieces.session);
    else
        orphans_.push_back(std::move(orphans));
}

}  // namespace bpfwarden::broker
