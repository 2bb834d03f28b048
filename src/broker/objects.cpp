// SPDX-License-Identifier: Apache-2.0
#include "broker/objects.hpp"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

namespace bpfwarden::broker {

static int info_of(int fd, void* info, std::uint32_t size) {
    bpf_attr attr{};
    attr.info.bpf_fd = static_cast<std::uint32_t>(fd);
    attr.info.info_len = size;
    attr.info.info = reinterpret_cast<std::uint64_t>(info);
    return ::syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr.info) < 0 ? -errno : 0;
}

std::uint32_t object_id(int fd) {
    // `type` and `id` are the first two members of the info of maps, programs and links alike, since there is any.
    std::uint32_t type_and_id[2] = {};
    return info_of(fd, type_and_id, sizeof type_and_id) == 0 ? type_and_id[1] : 0;
}

static std::optional<std::uint64_t> cookie_of(FdRef fd) {
    std::uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0) return std::nullopt;
    return cookie;
}

Result<Objects::StandIn> Objects::make() const {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair");
    StandIn made{0, UniqueFd(ends[1]), UniqueFd(ends[0])};
    // Nothing is ever sent over it: without this a client could park data and fds in its queue.
    if (::shutdown(made.kept.get(), SHUT_RD) != 0) return fail_errno("shutdown");
    const auto cookie = cookie_of(made.given);
    if (!cookie) return fail_errno("getsockopt(SO_COOKIE)");
    made.handle = *cookie;
    if (watch) watch(made);
    return made;
}

void Objects::prepare() {
    while (spare_.size() < enough_) {
        auto made = make();
        if (!made) return;  // whoever needs one is told
        spare_.push_back(std::move(*made));
    }
}

Result<UniqueFd> Objects::hold(Held held) {
    if (spare_.empty()) spare_.push_back(BW_TRY(make()));
    auto stand_in = std::move(spare_.back());
    spare_.pop_back();
    held.kept = std::move(stand_in.kept);
    held_.insert_or_assign(stand_in.handle, std::move(held));
    return std::move(stand_in.given);
}

Result<UniqueFd> Objects::hand_out(std::shared_ptr<Program> program) { return hold({{}, std::move(program), nullptr}); }
Result<UniqueFd> Objects::hand_out(std::shared_ptr<Link> link) { return hold({{}, nullptr, std::move(link)}); }

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

void Objects::add_types(int fd) {
    constexpr std::size_t most = 64;
    bpf_btf_info info{};
    if (types_.size() >= most || info_of(fd, &info, sizeof info) != 0 || types_.contains(info.id)) return;
    types_.emplace(info.id, UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)));
}
int Objects::types(std::uint32_t id) const {
    const auto at = types_.find(id);
    return at == types_.end() ? -1 : at->second.get();
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
        if (held.program && held.program->id() > after) next = std::min(next, held.program->id());
    for (const auto& program : given_)
        if (program->id() > after) next = std::min(next, program->id());
    return next == std::numeric_limits<std::uint32_t>::max() ? 0 : next;
}
std::uint32_t Objects::next_link(std::uint32_t after) const {
    auto next = std::numeric_limits<std::uint32_t>::max();
    for (const auto& [handle, held] : held_)
        if (held.link && held.link->id() > after) next = std::min(next, held.link->id());
    return next == std::numeric_limits<std::uint32_t>::max() ? 0 : next;
}
std::uint32_t Objects::next_map(std::uint32_t after) const {
    const auto at = maps_.upper_bound(after);
    return at == maps_.end() ? 0 : at->first;
}
std::shared_ptr<Program> Objects::program_by_id(std::uint32_t id) const {
    for (const auto& [handle, held] : held_)
        if (held.program && held.program->id() == id) return held.program;
    const auto given = std::ranges::find(given_, id, [](const auto& program) { return program->id(); });
    return given == given_.end() ? nullptr : *given;
}
std::shared_ptr<Link> Objects::link_by_id(std::uint32_t id) const {
    for (const auto& [handle, held] : held_)
        if (held.link && held.link->id() == id) return held.link;
    return nullptr;
}

}  // namespace bpfwarden::broker
