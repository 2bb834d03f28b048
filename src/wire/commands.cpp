// SPDX-License-Identifier: Apache-2.0
#include "wire/commands.hpp"

#include <array>

namespace bpfwarden::wire {

namespace {

struct Command {
    std::string_view name;
    Route route = Route::refused;
};
using enum Route;
// By number, which the kernel never changes; the installed header may be older than the last ones.
constexpr std::array commands = {
    Command{"map_create", broker},
    Command{"map_lookup_elem", kernel},
    Command{"map_update_elem", kernel},
    Command{"map_delete_elem", kernel},
    Command{"map_get_next_key", kernel},
    Command{"prog_load", broker},
    Command{"obj_pin", kernel},
    Command{"obj_get", kernel},
    Command{"prog_attach", broker},
    Command{"prog_detach", broker},
    Command{"prog_run", broker},
    Command{"prog_get_next_id", broker},
    Command{"map_get_next_id", broker},
    Command{"prog_get_fd_by_id", broker},
    Command{"map_get_fd_by_id", broker},
    Command{"obj_get_info_by_fd", info},
    Command{"prog_query", broker},
    Command{"raw_tracepoint_open", broker},
    Command{"btf_load", broker},
    Command{"btf_get_fd_by_id", broker},
    Command{"task_fd_query", refused},
    Command{"map_lookup_and_delete_elem", kernel},
    Command{"map_freeze", freeze},
    Command{"btf_get_next_id", refused},
    Command{"map_lookup_batch", kernel},
    Command{"map_lookup_and_delete_batch", kernel},
    Command{"map_update_batch", kernel},
    Command{"map_delete_batch", kernel},
    Command{"link_create", broker},
    Command{"link_update", broker},
    Command{"link_get_fd_by_id", broker},
    Command{"link_get_next_id", broker},
    Command{"enable_stats", refused},
    Command{"iter_create", broker},
    Command{"link_detach", broker},
    Command{"prog_bind_map", broker},
    // A session takes a token's place; libbpf, which tries for one by itself, then goes on without.
    Command{"token_create", refused},
    Command{"prog_stream_read_by_fd", kernel},
    Command{"prog_assoc_struct_ops", refused},
};

}  // namespace

Route route_of(unsigned command) { return command < commands.size() ? commands[command].route : refused; }

std::string_view command_name(unsigned command) {
    if (command == perf_event_open_number) return "perf_event_open";
    return command < commands.size() ? commands[command].name : "bpf";
}

}  // namespace bpfwarden::wire
