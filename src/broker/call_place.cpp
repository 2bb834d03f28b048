// SPDX-License-Identifier: Apache-2.0
// Programs put where an fd of one is taken, but by no call that makes a link: sockets, and maps of programs.
#include <sys/socket.h>

#include <cstring>

#include "broker/call_state.hpp"
#include "intercept/calls.hpp"

namespace bpfwarden::broker {

namespace {

// No attributes, and fds in their order: what is shared with the calls of bpf(2).
class Placing {
  public:
    Placing(SessionState& session, std::uint32_t command, std::span<UniqueFd> fds) : state_(session, call_, fds) {
        call_.command = command;
    }
    CallState& state() { return state_; }
    std::shared_ptr<Program> program(std::uint32_t index) {
        auto program = state_.program(index);
        if (!program) {
            state_.refused(EPERM, "session", "", "the program was not loaded in this session");
            return nullptr;
        }
        state_.out.program_name = program->name;
        state_.out.program_sha256 = program->sha256;
        return program;
    }
    Outcome take() { return std::move(state_.out); }

  private:
    wire::BpfCall call_;
    CallState state_;
};

}  // namespace

Outcome attach_socket(SessionState& session, std::uint32_t option, std::span<UniqueFd> fds) {
    Placing placing(session, BPF_PROG_ATTACH, fds);
    auto& state = placing.state();
    state.out.operation = "attach to a socket";
    if (fds.size() != 2 || (option != SO_ATTACH_BPF && option != SO_ATTACH_REUSEPORT_EBPF)) {
        state.failed(EINVAL);
        return placing.take();
    }
    const auto program = placing.program(0);
    // Which types of programs there may be was judged when it was loaded: this is all that these two are for.
    if (!program || !state.may_outlive("a program at a socket")) return placing.take();
    const int number = program->fd.get();
    if (::setsockopt(fds[1].get(), SOL_SOCKET, static_cast<int>(option), &number, sizeof number) != 0)
        state.failed(errno);
    else
        state.out.verdict = {true, 0, "allow.program_types", "", {}};
    return placing.take();
}

// Soundness: what is reached through the map is reached by programs of the session alone, which end with it. The kernel
// reads as much of key and value as the map has, so the lengths must be the map's: behind them is this process's
// memory, and a map that the client has would tell it.
Outcome store_program(SessionState& session, std::uint64_t flags, wire::Bytes key, std::vector<std::byte> value,
                      std::uint32_t at, std::span<UniqueFd> fds) {
    Placing placing(session, BPF_MAP_UPDATE_ELEM, fds);
    auto& state = placing.state();
    state.out.operation = "command map_update_elem";
    std::string type;
    if (fds.size() != 2 || std::size_t{at} + sizeof(int) > value.size()) {
        state.failed(EINVAL);
        return placing.take();
    }
    if (!state.own_map(fds[0].get(), type)) return placing.take();
    bpf_map_info info{};
    bpf_attr query{};
    query.info.bpf_fd = static_cast<__u32>(fds[0].get());
    query.info.info_len = sizeof info;
    query.info.info = reinterpret_cast<__u64>(&info);
    if (::syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &query, sizeof query.info) != 0) {
        state.failed(errno);
        return placing.take();
    }
    if (intercept::program_in_value(info.type) != at || key.size() != info.key_size ||
        value.size() != info.value_size) {
        state.failed(EINVAL);
        return placing.take();
    }
    const auto program = placing.program(1);
    if (!program) return placing.take();
    const int number = program->fd.get();
    std::memcpy(value.data() + at, &number, sizeof number);
    bpf_attr attr{};
    attr.map_fd = static_cast<__u32>(fds[0].get());
    attr.key = reinterpret_cast<__u64>(key.data());
    attr.value = reinterpret_cast<__u64>(value.data());
    attr.flags = flags;
    if (::syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof attr) != 0)
        state.failed(errno);
    else
        state.out.verdict = {true, 0, "allow.map_types", "", {}};
    return placing.take();
}

}  // namespace bpfwarden::broker
