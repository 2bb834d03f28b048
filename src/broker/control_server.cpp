// SPDX-License-Identifier: Apache-2.0
#include "broker/control_server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace bpfwarden::broker {

ControlServer::~ControlServer() {
    if (!path_.empty()) ::unlink(path_.c_str());
}

Result<> ControlServer::listen(const std::string& path, UniqueFd inherited) {
    if (inherited) {
        socket_ = std::move(inherited);
    } else {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (path.size() >= sizeof address.sun_path)
            return fail(Code::usage, "the path of the control socket is too long");
        path.copy(address.sun_path, path.size());
        socket_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!socket_) return fail_errno("socket");
        if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
            return fail(Error(Code::failed, "another bpfwardend is running")
                            .because("it answers at " + path)
                            .advise("stop it first, or use another --run directory"));
        socket_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        ::unlink(path.c_str());
        const mode_t mask = ::umask(0177);
        const int bound = ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
        ::umask(mask);
        if (bound != 0) return fail_errno("making the socket " + path);
        if (::listen(socket_.get(), 16) != 0) return fail_errno("listen");
        path_ = path;
    }
    watch_ = BW_TRY(loop_.on_readable(socket_, [this] { accept(); }));
    return {};
}

void ControlServer::accept() {
    UniqueFd socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) return;
    ucred peer{};
    socklen_t size = sizeof peer;
    // The socket's mode says so already; a socket that somebody else made may have another.
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != 0) return;
    const int number = socket.get();
    auto watch = loop_.on_readable(socket, [this, number] { serve(number); });
    if (watch) connections_.insert_or_assign(number, Connection{std::move(socket), std::move(*watch)});
}

void ControlServer::serve(int number) {
    const auto at = connections_.find(number);
    if (at == connections_.end()) return;
    auto message = receiver_.receive(at->second.socket, MSG_DONTWAIT);
    if (!message && message.error().number() == EAGAIN) return;
    if (!message || !*message) {
        connections_.erase(at);
        return;
    }
    wire::Writer to;
    to.number(static_cast<std::uint8_t>(wire::Answer::done));
    UniqueFd given;
    if (const auto done = answer(**message, at->second.socket, to, given); !done) {
        to.clear();
        to.number(static_cast<std::uint8_t>(wire::Answer::failed));
        wire::write_error(to, done.error());
    }
    const int fd = given.get();
    if (!wire::send(at->second.socket, wire::Type::answer, (*message)->id, to.bytes(), {&fd, given ? 1U : 0U},
                    MSG_DONTWAIT))
        connections_.erase(at);
}

static SessionRecord record_of(const Session& session) {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const auto now_ms =
        static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
    const auto& own = session.own();
    return {.id = session.id,
            .parent = session.parent(),
            .grant = session.grant().name,
            .revision = session.grant().revision,
            .socket = session.path,
            .exe = session.opener->exe,
            .cgroup = session.opener->cgroup,
            .container = session.opener->container,
            .depth = static_cast<std::uint32_t>(session.chain.size() - 1),
            .uid = session.opener->uid,
            .pid = static_cast<std::uint32_t>(session.opener->pid),
            .worker = static_cast<std::uint32_t>(session.worker.pid),
            .opened_ns = session.opened_ns,
            .left_ms = session.ends_at_ms == 0
                           ? 0
                           : std::max<std::uint64_t>(1, session.ends_at_ms - std::min(session.ends_at_ms, now_ms)),
            .programs = own.used(Count::programs),
            .maps = own.used(Count::maps),
            .links = own.used(Count::links),
            .map_memory = own.used(Count::map_memory),
            .operations = session.notes->counted.operations,
            .refusals = session.notes->counted.refusals};
}

Result<> ControlServer::answer(wire::Message& request, FdRef asker, wire::Writer& to, UniqueFd& given) {
    wire::Reader from(request.body);
    switch (static_cast<ControlRequest>(request.type)) {
        case ControlRequest::list_sessions:
            sessions_.drain();
            to.number(static_cast<std::uint32_t>(sessions_.all().size()));
            for (const auto& [id, session] : sessions_.all()) write(to, record_of(*session));
            return {};
        case ControlRequest::revoke_session: {
            const auto id = from.text();
            if (!sessions_.revoke(id, "it was revoked"))
                return fail(Error(Code::not_found, "there is no session " + id)
                                .advise("bpfwarden session list shows those that there are"));
            return {};
        }
        case ControlRequest::reload_grants: {
            const auto change = BW_TRY(grants_.reload());
            for (const auto* list : {&change.added, &change.changed, &change.removed, &change.same}) {
                to.number(static_cast<std::uint32_t>(list->size()));
                for (const auto& name : *list) to.text(name);
            }
            return {};
        }
        case ControlRequest::revoke_grant:
            to.number(static_cast<std::uint64_t>(BW_TRY(grants_.revoke(from.text()))));
            return {};
        case ControlRequest::open_session: {
            const auto uid = from.number<std::uint32_t>();
            const auto gid = from.number<std::uint32_t>();
            const bool learns = from.number<std::uint8_t>() != 0;
            auto texts = read_texts(from);
            if (!from.done()) return fail(Error::from_errno(EPROTO, "a broken request"));
            given = BW_TRY(sessions_.open_for(asker, uid, gid, learns, std::move(texts)));
            return {};
        }
        case ControlRequest::metrics:
            sessions_.drain();
            to.text(metrics());
            return {};
    }
    return fail(Error(Code::unsupported, "the daemon does not know this request")
                    .because("the command is newer than the daemon")
                    .advise("restart bpfwardend"));
}

// OpenMetrics 1.0 text: a family's lines together, seconds as the unit, "# EOF" at the end.
std::string ControlServer::metrics() const {
    std::uint64_t lost = 0;
    for (const auto& sink : log_.status()) lost += sink.lost;
    const auto& totals = sessions_.totals();
    std::string text = fmt::format(
        "# TYPE bpfwarden_sessions gauge\n# HELP bpfwarden_sessions Sessions that are open.\nbpfwarden_sessions {}\n"
        "# TYPE bpfwarden_sessions_opened counter\n# HELP bpfwarden_sessions_opened Sessions since the start.\n"
        "bpfwarden_sessions_opened_total {}\n"
        "# TYPE bpfwarden_operations counter\n# HELP bpfwarden_operations Operations since the start.\n"
        "bpfwarden_operations_total{{verdict=\"allowed\"}} {}\nbpfwarden_operations_total{{verdict=\"refused\"}} {}\n"
        "# TYPE bpfwarden_audit_lost counter\n# HELP bpfwarden_audit_lost Audit events that a sink could not take.\n"
        "bpfwarden_audit_lost_total {}\n"
        "# TYPE bpfwarden_operation_seconds histogram\n# UNIT bpfwarden_operation_seconds seconds\n"
        "# HELP bpfwarden_operation_seconds From the request to the answer.\n",
        sessions_.all().size(), totals.sessions, totals.operations - totals.refusals, totals.refusals, lost);
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < totals.within.size(); ++i) {
        count += totals.within[i];
        const auto bound = i < totals.bounds_us.size()
                               ? fmt::format("{}", static_cast<double>(totals.bounds_us[i]) / 1e6)
                               : std::string("+Inf");
        text += fmt::format("bpfwarden_operation_seconds_bucket{{le=\"{}\"}} {}\n", bound, count);
    }
    return text + fmt::format("bpfwarden_operation_seconds_count {}\nbpfwarden_operation_seconds_sum {:.9f}\n# EOF\n",
                              count, static_cast<double>(totals.latency_ns) / 1e9);
}

}  // namespace bpfwarden::broker
