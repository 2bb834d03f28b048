// SPDX-License-Identifier: Apache-2.0
// The daemon's own socket, /run/bpfwarden/control: what root asks it to show and to do. Both ends are here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "broker/grant_texts.hpp"
#include "wire/message.hpp"

namespace bpfwarden::broker {

enum class ControlRequest : std::uint16_t {
    list_sessions = 200,
    revoke_session,  // {id}
    reload_grants,
    revoke_grant,  // {name}
    metrics,
    open_session,  // {uid, gid, u8 learns, texts of a grant that is not installed} -> {} + session fd
};

struct SessionRecord {
    std::string id, parent, grant, revision, socket, exe, cgroup, container;
    std::uint32_t depth = 0;  // how often it was derived
    std::uint32_t uid = 0, pid = 0, worker = 0;
    std::uint64_t opened_ns = 0;  // CLOCK_REALTIME
    std::uint64_t left_ms = 0;    // of its lifetime; 0: no end
    std::uint64_t programs = 0, maps = 0, links = 0, map_memory = 0;
    std::uint64_t operations = 0, refusals = 0;
};
struct ReloadRecord {
    std::vector<std::string> added, changed, removed, same;
};

void write(wire::Writer& to, const SessionRecord& record);
SessionRecord read_session(wire::Reader& from);

// The client's side, for the command line.
class Control {
  public:
    // Code no_daemon if nobody listens, denied if this user may not.
    static Result<Control> connect(const std::string& run = {});

    Result<std::vector<SessionRecord>> sessions();
    Result<> revoke_session(const std::string& id);
    Result<ReloadRecord> reload();
    Result<std::uint64_t> revoke_grant(const std::string& name);
    // A session of a grant that is not installed, for this user, whose processes its worker can look into.
    // With `learns`, what is done in it can be asked for (client/requests.hpp, operations()).
    Result<UniqueFd> open_session(const GrantTexts& grant, std::uint32_t uid, std::uint32_t gid, bool learns = false);
    // OpenMetrics text.
    Result<std::string> metrics();

  private:
    explicit Control(UniqueFd socket) : socket_(std::move(socket)) {}
    Result<wire::Reader> ask(ControlRequest request, const wire::Writer& body);
    UniqueFd socket_;
    wire::Receiver receiver_;
    wire::Message answer_;
};

// $BPFWARDEN_RUN or /run/bpfwarden.
std::string run_directory();

}  // namespace bpfwarden::broker
