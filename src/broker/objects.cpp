// SPDX-License-Identifier: Apache-2.0
#include "broker/objects.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <limits>

namespace bpfwarden::broker {

static std::optional<std::uint64_t> cookie_of(FdRef fd) {
    std::uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0) return std::nullopt;
    return cookie;
}

Result<Objects::StandIn> Objects::hold(Held held) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair");
    held.kept = UniqueFd(ends[0]);
    UniqueFd given(ends[1]);
    // Nothing is ever sent over it: without this a client could park data and fds in its queue.
    if (::shutdown(held.kept.get(), SHUT_RD) != 0) return fail_errno("shutdown");
    const auto cookie = cookie_of(given);
    if (!cookie) return fail_errno("getsockopt(SO_COOKIE)");
    const FdRef watched(held.kept.get());
    held_.insert_or_assign(*cookie, std::move(held));
    return StandIn{*cookie, std::move(given), watched};
}

Result<Objects::StandIn> Objects::hand_out(std::shared_ptr<Program> program) {
    return hold({{}, std::move(program), nullptr});
}
Result<Objects::StandIn> Objects::hand_out(std::shared_ptr<Link> link) { return hold({{}, nullptr, std::move(link)}); }

const Objects::Held* Objects::find(FdRef fd) const {
    const auto cookie = cookie_of(fd);
    if (!cookie) return nullptr;
    const auto at = held_.find(*cookie);
    return at == held_.end() ? nullptr : &at->second;
}

std::shared_ptr<Program> Objects::program(FdRef fd) const {
    const auto* held = find(fd);
    return held == nullptr ? nullptr : held->program;
}

std::shared_ptr<Link> Objects::link(FdRef fd) const {
    const auto* held = find(fd);
    return held == nullptr ? nullptr : held->link;
}

const Map* Objects::map(std::uint32_t id) const {
    const auto at = maps_.find(id);
    return at == maps_.end() ? nullptr : &at->second;
}

bool Objects::remove_attached(std::uint64_t target, std::uint32_t type, const Program* program) {
    const auto at = std::ranges::find_if(attached_, [&](const Attached& one) {
        return one.target == target && one.type == type && (program == nullptr || one.program.get() == program);
    });
    if (at == attached_.end()) return false;
    attached_.erase(at);
    return true;
}

std::uint32_t Objects::next_program(std::uint32_t after) const {
    auto next = std::numeric_limits<std::uint32_t>::max();
    for (const auto& [handle, held] : held_)
        if (held.program && held.program->id > after) next = std::min(next, held.program->id);
    for (const auto& program : given_)
        if (program->id > after) next = std::min(next, program->id);
    return next == std::numeric_limits<std::uint32_t>::max() ? 0 : next;
}
std::uint32_t Objects::next_link(std::uint32_t after) const {
    auto next = std::numeric_limits<std::uint32_t>::max();
    for (const auto& [handle, held] : held_)
        if (held.link && held.link->id > after) next = std::min(next, held.link->id);
    return next == std::numeric_limits<std::uint32_t>::max() ? 0 : next;
}
std::uint32_t Objects::next_map(std::uint32_t after) const {
    const auto at = maps_.upper_bound(after);
    return at == maps_.end() ? 0 : at->first;
}
std::shared_ptr<Program> Objects::program_by_id(std::uint32_t id) const {
    for (const auto& [handle, held] : held_)
        if (held.program && held.program->id == id) return held.program;
    const auto given = std::ranges::find(given_, id, [](const auto& program) { return program->id; });
    return given == given_.end() ? nullptr : *given;
}
std::shared_ptr<Link> Objects::link_by_id(std::uint32_t id) const {
    for (const auto& [handle, held] : held_)
        if (held.link && held.link->id == id) return held.link;
    return nullptr;
}

}  // namespace bpfwarden::broker
