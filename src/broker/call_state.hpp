// SPDX-License-Identifier: Apache-2.0
// What the steps of a call share. Each step returns false after it has put why into the outcome.
#pragma once

#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "broker/call.hpp"
#include "kernel/names.hpp"

namespace bpfwarden::broker {

class CallState {
  public:
    CallState(SessionState& of, wire::BpfCall& one, std::span<UniqueFd> fds) : session(of), call(one), fds_(fds) {}

    SessionState& session;
    wire::BpfCall& call;
    Outcome out;

    bpf_attr& attr() { return call.attr; }

    bool failed(int error) {
        out.result = -error;
        return false;
    }
    // Refused by us, whatever the grant allows or for what it does not say.
    bool refused(int error, std::string key, std::string line, std::string reason);
    bool judge(const grant::Operation& operation);
    // Whether something that goes on after a revocation may be made.
    bool may_outlive(std::string_view what);
    bool take(Count count, std::uint64_t amount = 1);
    bool take_load();
    bool full(const Ledger::Full& full);

    // The kernel's name of a number; digits for one that this release does not know, which no grant allows.
    static std::string name(kernel::NameKind kind, std::uint32_t value);

    // The client's fd behind an index of the call; -1 for none.
    int fd(std::uint32_t index) const { return index == wire::no_fd ? -1 : fds_[index].get(); }
    bool has_fd(std::uint32_t index) const { return index < fds_.size(); }
    std::shared_ptr<Program> program(std::uint32_t index) const;
    std::shared_ptr<Link> link(std::uint32_t index) const;
    // A map that this session made, for use by the kernel; refused otherwise. Its type.
    bool own_map(int fd, std::string& type);

    // bpf(2) with the call's attributes as they are now: the value, or -errno.
    int run() { return run(call.command); }
    int run(std::uint32_t command) {
        const long result = ::syscall(SYS_bpf, command, &call.attr, call.layout.size);
        return result < 0 ? -errno : static_cast<int>(result);
    }

    bool hand_out(std::shared_ptr<Program> program);
    bool hand_out(std::shared_ptr<Link> link);

  private:
    std::span<UniqueFd> fds_;
};

// By command; each fills `out`.
void create_map(CallState& state);
void load_program(CallState& state);
void load_btf(CallState& state);
void create_link(CallState& state);
void open_raw_tracepoint(CallState& state);
void update_link(CallState& state);
void detach_link(CallState& state);
void create_iterator(CallState& state);
void attach_program(CallState& state);
void detach_program(CallState& state);
void query_programs(CallState& state);
void run_program(CallState& state);
void bind_map(CallState& state);
void freeze_map(CallState& state);
void next_id(CallState& state);
void fd_by_id(CallState& state);
void types_by_id(CallState& state);
void object_info(CallState& state);

}  // namespace bpfwarden::broker
