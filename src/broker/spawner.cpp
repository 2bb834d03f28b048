// SPDX-License-Identifier: Apache-2.0
#include "broker/spawner.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/protocol.hpp"
#include "broker/spawner_process.hpp"

namespace bpfwarden::broker {

Result<Spawner> Spawner::start() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair");
    UniqueFd here(ends[0]), there(ends[1]);
    auto child = BW_TRY(kernel::Child::fork([&]() -> int {
        here.reset();
        return run_spawner(std::move(there));
    }));
    return Spawner(std::move(here), std::move(child));
}

// An answer is {Answer::done, …} or {Answer::failed, error}.
static Result<wire::Reader> answered(const wire::Message& message) {
    wire::Reader from(message.body);
    if (from.number<std::uint8_t>() == static_cast<std::uint8_t>(wire::Answer::done)) return from;
    return fail(wire::read_error(from));
}

Result<Identity> Spawner::identify(PidRef process) {
    const int fd = process.get();
    auto message = BW_TRY(ask(socket_, receiver_, Internal::identify, {}, {&fd, 1}));
    auto from = BW_TRY(answered(message));
    Identity identity{from.text(), {}};
    if (!from.done() || message.fds.size() != 1) return fail(Code::failed, "the spawner's answer is broken");
    identity.executable = std::move(message.fds.front());
    return identity;
}

Result<WorkerProcess> Spawner::make_worker(const WorkerOrder& order, const WorkerFds& fds) {
    wire::Writer body;
    body.text(order.session_id);
    body.text(order.grant);
    body.text(order.revision);
    body.number(order.ends_at_ms);
    body.text(order.cgroup);
    body.number(order.uid);
    body.number(order.gid);
    body.number(static_cast<std::uint8_t>(order.keep));
    body.number(static_cast<std::uint8_t>(order.learns));
    body.number(static_cast<std::uint32_t>(order.grants.size()));
    for (const auto& texts : order.grants) write(body, texts);
    body.number(static_cast<std::uint32_t>(order.signers.size()));
    for (const auto& [name, text] : order.signers) {
        body.text(name);
        body.text(text);
    }
    std::vector<int> all{fds.session, fds.control, fds.ring, fds.wakeup, fds.opener};
    all.insert(all.end(), fds.counters.begin(), fds.counters.end());
    auto message = BW_TRY(ask(socket_, receiver_, Internal::make_worker, body.bytes(), all));
    auto from = BW_TRY(answered(message));
    WorkerProcess worker;
    worker.pid = from.number<std::int32_t>();
    worker.charged = from.number<std::uint8_t>() != 0;
    if (!from.done() || message.fds.size() != 1) return fail(Code::failed, "the spawner's answer is broken");
    worker.process = PidFd(message.fds.front().release());
    return worker;
}

Result<UniqueFd> Spawner::open_map(std::uint32_t id) {
    wire::Writer body;
    body.number(id);
    auto message = BW_TRY(ask(socket_, receiver_, Internal::open_map, body.bytes()));
    BW_TRY(answered(message));
    if (message.fds.size() != 1) return fail(Code::failed, "the spawner's answer is broken");
    return std::move(message.fds.front());
}

Result<std::vector<std::uint32_t>> Spawner::living_maps(const std::vector<std::uint32_t>& ids) {
    wire::Writer body;
    body.number(static_cast<std::uint32_t>(ids.size()));
    for (const auto id : ids) body.number(id);
    auto message = BW_TRY(ask(socket_, receiver_, Internal::living_maps, body.bytes()));
    auto from = BW_TRY(answered(message));
    std::vector<std::uint32_t> living;
    for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n) living.push_back(from.number<std::uint32_t>());
    if (!from.done()) return fail(Code::failed, "the spawner's answer is broken");
    return living;
}

}  // namespace bpfwarden::broker
