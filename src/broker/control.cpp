// SPDX-License-Identifier: Apache-2.0
#include "broker/control.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>

#include "broker/protocol.hpp"

namespace bpfwarden::broker {

std::string run_directory() {
    const char* given = std::getenv("BPFWARDEN_RUN");
    return given != nullptr && *given != '\0' ? given : "/run/bpfwarden";
}

void write(wire::Writer& to, const SessionRecord& record) {
    for (const auto* text : {&record.id, &record.parent, &record.grant, &record.revision, &record.socket, &record.exe,
                             &record.cgroup, &record.container})
        to.text(*text);
    for (const auto number : {record.depth, record.uid, record.pid, record.worker}) to.number(number);
    for (const auto number : {record.opened_ns, record.left_ms, record.programs, record.maps, record.links,
                              record.map_memory, record.operations, record.refusals})
        to.number(number);
}

SessionRecord read_session(wire::Reader& from) {
    SessionRecord record;
    for (auto* text : {&record.id, &record.parent, &record.grant, &record.revision, &record.socket, &record.exe,
                       &record.cgroup, &record.container})
        *text = from.text();
    for (auto* number : {&record.depth, &record.uid, &record.pid, &record.worker})
        *number = from.number<std::uint32_t>();
    for (auto* number : {&record.opened_ns, &record.left_ms, &record.programs, &record.maps, &record.links,
                         &record.map_memory, &record.operations, &record.refusals})
        *number = from.number<std::uint64_t>();
    return record;
}

Result<Control> Control::connect(const std::string& run) {
    const auto path = (run.empty() ? run_directory() : run) + "/control";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return fail(Code::usage, "the path of the daemon's socket is too long");
    path.copy(address.sun_path, path.size());
    UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno("socket");
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return Control(std::move(socket));
    const int error = errno;
    if (error == EACCES || error == EPERM)
        return fail(Error::from_errno(error, "this user may not ask the daemon")
                        .with_code(Code::denied)
                        .because(path + " is for root")
                        .advise("run it as root"));
    return fail(Error::from_errno(error, "the daemon bpfwardend is not running")
                    .with_code(Code::no_daemon)
                    .because("nobody listens at " + path)
                    .advise("start it: systemctl start bpfwardend, or bpfwardend itself"));
}

Result<wire::Reader> Control::ask(ControlRequest request, const wire::Writer& body) {
    constexpr int patience_ms = 30'000;
    answer_ = BW_TRY(broker::ask(socket_, receiver_, static_cast<Internal>(request), body.bytes(), {}, patience_ms));
    wire::Reader from(answer_.body);
    if (from.number<std::uint8_t>() == static_cast<std::uint8_t>(wire::Answer::done)) return from;
    return fail(wire::read_error(from));
}

static Failure broken() { return fail(Error::from_errno(EPROTO, "the daemon's answer is broken")); }

Result<std::vector<SessionRecord>> Control::sessions() {
    auto from = BW_TRY(ask(ControlRequest::list_sessions, {}));
    std::vector<SessionRecord> all;
    for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n) all.push_back(read_session(from));
    if (!from.done()) return broken();
    return all;
}

Result<> Control::revoke_session(const std::string& id) {
    wire::Writer body;
    body.text(id);
    BW_TRY(ask(ControlRequest::revoke_session, body));
    return {};
}

Result<ReloadRecord> Control::reload() {
    auto from = BW_TRY(ask(ControlRequest::reload_grants, {}));
    ReloadRecord record;
    for (auto* list : {&record.added, &record.changed, &record.removed, &record.same})
        for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n) list->push_back(from.text());
    if (!from.done()) return broken();
    return record;
}

Result<std::uint64_t> Control::revoke_grant(const std::string& name) {
    wire::Writer body;
    body.text(name);
    auto from = BW_TRY(ask(ControlRequest::revoke_grant, body));
    const auto ended = from.number<std::uint64_t>();
    if (!from.done()) return broken();
    return ended;
}

Result<UniqueFd> Control::open_session(const GrantTexts& grant, std::uint32_t uid, std::uint32_t gid, bool learns) {
    wire::Writer body;
    body.number(uid);
    body.number(gid);
    body.number(static_cast<std::uint8_t>(learns));
    write(body, grant);
    BW_TRY(ask(ControlRequest::open_session, body));
    if (answer_.fds.size() != 1) return broken();
    return std::move(answer_.fds.front());
}

Result<std::string> Control::metrics() {
    auto from = BW_TRY(ask(ControlRequest::metrics, {}));
    auto text = from.text();
    if (!from.done()) return broken();
    return text;
}

}  // namespace bpfwarden::broker
