// SPDX-License-Identifier: Apache-2.0
#include "broker/call.hpp"

#include <fcntl.h>

#include <cstring>

#include "base/text.hpp"
#include "broker/call_state.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::broker {

bool CallState::refused(int error, std::string key, std::string line, std::string reason) {
    out.result = -error;
    out.verdict = {false, error, key, reason, {}};
    out.refusal = wire::Refusal{error, std::move(key), std::move(line), std::move(reason)};
    return false;
}

bool CallState::judge(const grant::Operation& operation) {
    out.operation = grant::describe(operation);
    out.verdict = session.rights.check(operation);
    if (out.verdict.allowed) return true;
    out.result = -out.verdict.error;
    out.refusal = wire::Refusal{out.verdict.error, out.verdict.key, out.verdict.at.text(), out.verdict.reason};
    return false;
}

bool CallState::may_outlive(std::string_view what) {
    const auto* grant = session.rights.forbids_not_revocable();
    if (grant == nullptr) return true;
    const auto at = grant->not_revocable ? grant->not_revocable->at : Position{grant->file, 0, 0};
    return refused(EPERM, "session.not_revocable", at.text(),
                   fmt::format("{} would go on after the session is revoked, and the grant does not say "
                               "not_revocable = true",
                               what));
}

bool CallState::full(const Ledger::Full& full) {
    const auto& limit = full.grant->of(full.limit);
    return refused(EDQUOT, fmt::format("limits.{}", grant::key_of(full.limit)), limit->at.text(),
                   full.limit == grant::Limit::loads_per_minute
                       ? fmt::format("more than {} loads in a minute", full.most)
                       : fmt::format("it would pass the limit of {}",
                                     full.limit == grant::Limit::map_memory
                                         ? format_size(full.most)
                                         : fmt::format("{} {}", full.most, grant::key_of(full.limit))));
}

bool CallState::take(Count count, std::uint64_t amount) {
    auto over = session.ledger.take(count, amount);
    const bool of_maps = count == Count::maps || count == Count::map_memory;
    // The client closes maps by itself and tells nobody.
    if (over && of_maps && session.forget_dead_maps && session.forget_dead_maps() != 0)
        over = session.ledger.take(count, amount);
    return over ? full(*over) : true;
}

bool CallState::take_load() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const auto over = session.ledger.take_load(static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
                                               static_cast<std::uint64_t>(now.tv_nsec));
    return over ? full(*over) : true;
}

std::string CallState::name(kernel::NameKind kind, std::uint32_t value) {
    const auto known = kernel::Names::known().name(kind, value);
    return known ? std::string(*known) : std::to_string(value);
}

std::shared_ptr<Program> CallState::program(std::uint32_t index) const {
    if (index == wire::no_fd) return nullptr;
    if (auto program = session.objects.program(fds_[index])) return program;
    if (!session.rights.gives_programs() || !kernel::kernel_calls_it(fds_[index], "anon_inode:bpf-prog"))
        return nullptr;
    return session.objects.program_by_id(object_id(fds_[index].get()));
}
std::shared_ptr<Link> CallState::link(std::uint32_t index) const {
    return index == wire::no_fd ? nullptr : session.objects.link(fds_[index]);
}

bool CallState::own_map(int fd, std::string& type) {
    // Maps and programs are numbered separately, and the info of both begins alike.
    if (!kernel::kernel_calls_it(FdRef(fd), "anon_inode:bpf-map")) return failed(EBADF);
    const auto* map = session.objects.map(object_id(fd));
    if (map == nullptr)
        return refused(EPERM, "session", session.rights.last().file,
                       "the map was neither made in this session nor given to it");
    type = map->type;
    return true;
}

bool CallState::hand_out(std::shared_ptr<Program> program) {
    if (session.rights.gives_programs()) {
        out.fd = UniqueFd(::fcntl(program->fd.get(), F_DUPFD_CLOEXEC, 3));
        if (!out.fd) return failed(errno);
        session.objects.add_given(std::move(program));
        return true;
    }
    auto stand_in = session.objects.hand_out(std::move(program));
    if (!stand_in) return failed(stand_in.error().number());
    out.fd = std::move(*stand_in);
    return true;
}

bool CallState::hand_out(std::shared_ptr<Link> link) {
    auto stand_in = session.objects.hand_out(std::move(link));
    if (!stand_in) return failed(stand_in.error().number());
    out.fd = std::move(*stand_in);
    return true;
}

Outcome perform(SessionState& session, wire::BpfCall& call, std::span<UniqueFd> fds) {
    CallState state(session, call, fds);
    switch (call.command) {
        case BPF_MAP_CREATE:
            create_map(state);
            break;
        case BPF_PROG_LOAD:
            load_program(state);
            break;
        case BPF_BTF_LOAD:
            load_btf(state);
            break;
        case BPF_LINK_CREATE:
            create_link(state);
            break;
        case BPF_RAW_TRACEPOINT_OPEN:
            open_raw_tracepoint(state);
            break;
        case BPF_LINK_UPDATE:
            update_link(state);
            break;
        case BPF_LINK_DETACH:
            detach_link(state);
            break;
        case BPF_ITER_CREATE:
            create_iterator(state);
            break;
        case BPF_PROG_ATTACH:
            attach_program(state);
            break;
        case BPF_PROG_DETACH:
            detach_program(state);
            break;
        case BPF_PROG_QUERY:
            query_programs(state);
            break;
        case BPF_PROG_TEST_RUN:
            run_program(state);
            break;
        case BPF_PROG_BIND_MAP:
            bind_map(state);
            break;
        case BPF_MAP_FREEZE:
            freeze_map(state);
            break;
        case BPF_PROG_GET_NEXT_ID:
        case BPF_MAP_GET_NEXT_ID:
        case BPF_LINK_GET_NEXT_ID:
            next_id(state);
            break;
        case BPF_PROG_GET_FD_BY_ID:
        case BPF_MAP_GET_FD_BY_ID:
        case BPF_LINK_GET_FD_BY_ID:
            fd_by_id(state);
            break;
        case BPF_BTF_GET_FD_BY_ID:
            types_by_id(state);
            break;
        case BPF_OBJ_GET_INFO_BY_FD:
            object_info(state);
            break;
        default:
            state.refused(EPERM, "allow.commands", session.rights.last().file,
                          fmt::format("{} does not go through a session",
                                      CallState::name(kernel::NameKind::command, call.command)));
    }
    if (state.out.operation.empty())
        state.out.operation = "command " + CallState::name(kernel::NameKind::command, call.command);
    return std::move(state.out);
}

}  // namespace bpfwarden::broker
