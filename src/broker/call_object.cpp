// SPDX-License-Identifier: Apache-2.0
// Calls on what the session has already made: run it, ask about it, find it again.
#include <fcntl.h>

#include "broker/call_state.hpp"

namespace bpfwarden::broker {

void run_program(CallState& state) {
    auto& fields = state.attr().test;
    const auto program = state.program(fields.prog_fd);
    if (!program) {
        state.failed(EBADF);
        return;
    }
    state.out.program_name = program->name;
    if (!state.judge(grant::OtherCommand{"prog_run"})) return;
    // The kernel goes on until a signal comes, and the worker gets none.
    constexpr std::uint32_t most_repeats = 1'000'000;
    if (fields.repeat > most_repeats) {
        state.refused(E2BIG, "session", "", "a program is run at most a million times in one call");
        return;
    }
    fields.prog_fd = static_cast<std::uint32_t>(program->fd.get());
    state.out.result = state.run();
}

void bind_map(CallState& state) {
    auto& fields = state.attr().prog_bind_map;
    const auto program = state.program(fields.prog_fd);
    const int map = state.fd(fields.map_fd);
    std::string type;
    if (!program || map < 0) {
        state.failed(EBADF);
        return;
    }
    if (!state.judge(grant::OtherCommand{"prog_bind_map"}) || !state.own_map(map, type)) return;
    fields.prog_fd = static_cast<std::uint32_t>(program->fd.get());
    fields.map_fd = static_cast<std::uint32_t>(map);
    state.out.result = state.run();
}

// Before 6.5 the kernel asks for CAP_BPF, and every skeleton with constants in it freezes their map.
void freeze_map(CallState& state) {
    const int map = state.fd(state.attr().map_fd);
    std::string type;
    if (map < 0) {
        state.failed(EBADF);
        return;
    }
    if (!state.judge(grant::OtherCommand{"map_freeze"}) || !state.own_map(map, type)) return;
    state.attr().map_fd = static_cast<std::uint32_t>(map);
    state.out.result = state.run();
}

// The machine's lists, as far as they are the session's.
void next_id(CallState& state) {
    const auto command = CallState::name(kernel::NameKind::command, state.call.command);
    if (!state.judge(grant::OtherCommand{command})) return;
    const auto& objects = state.session.objects;
    const auto after = state.attr().start_id;
    const auto next = state.call.command == BPF_PROG_GET_NEXT_ID   ? objects.next_program(after)
                      : state.call.command == BPF_LINK_GET_NEXT_ID ? objects.next_link(after)
                                                                   : objects.next_map(after);
    if (next == 0) {
        state.failed(ENOENT);
        return;
    }
    state.attr().next_id = next;
}

void fd_by_id(CallState& state) {
    const auto command = CallState::name(kernel::NameKind::command, state.call.command);
    if (!state.judge(grant::OtherCommand{command})) return;
    const auto id = state.attr().prog_id;
    auto& objects = state.session.objects;
    if (state.call.command == BPF_MAP_GET_FD_BY_ID) {
        // Whole, whatever is asked for: a read-only fd, pinned in any bpffs and fetched from there, is writable.
        if (objects.map(id) == nullptr || !state.session.open_map) {
            state.failed(ENOENT);
            return;
        }
        auto map = state.session.open_map(id);
        if (map)
            state.out.fd = std::move(*map);
        else
            state.failed(map.error().number() > 0 ? map.error().number() : ENOENT);
        return;
    }
    if (state.attr().open_flags != 0) {
        state.failed(EINVAL);
        return;
    }
    if (state.call.command == BPF_PROG_GET_FD_BY_ID) {
        if (auto program = objects.program_by_id(id))
            state.hand_out(std::move(program));
        else
            state.failed(ENOENT);
    } else if (auto link = objects.link_by_id(id)) {
        state.hand_out(std::move(link));
    } else {
        state.failed(ENOENT);
    }
}

// Of the session's own maps: what reads a map by its number asks for the types as well. Whoever may find the one again
// may find the other; types of others, modules among them, are not there.
void types_by_id(CallState& state) {
    if (!state.judge(grant::OtherCommand{"map_get_fd_by_id"})) return;
    state.out.operation = "command btf_get_fd_by_id";
    if (state.attr().open_flags != 0) {
        state.failed(EINVAL);
        return;
    }
    const int types = state.session.objects.types(state.attr().btf_id);
    if (types < 0) {
        state.failed(ENOENT);
        return;
    }
    state.out.fd = UniqueFd(::fcntl(types, F_DUPFD_CLOEXEC, 0));
    if (!state.out.fd) state.failed(errno);
}

void object_info(CallState& state) {
    auto& fields = state.attr().info;
    if (!state.judge(grant::OtherCommand{"obj_get_info_by_fd"})) return;
    if (const auto program = state.program(fields.bpf_fd)) {
        fields.bpf_fd = static_cast<std::uint32_t>(program->fd.get());
    } else if (const auto link = state.link(fields.bpf_fd)) {
        fields.bpf_fd = static_cast<std::uint32_t>(link->fd.get());
    } else {
        state.failed(EBADF);
        return;
    }
    state.out.result = state.run();
}

}  // namespace bpfwarden::broker
