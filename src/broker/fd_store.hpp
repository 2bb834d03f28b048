// SPDX-License-Identifier: Apache-2.0
// The service manager's file descriptor store: copies of fds that it holds for the next bpfwardend (sd_notify(3),
// FDSTORE=1), each by a name. What this process says before it dies, it has said: systemd reads notifications before it
// reaps their sender.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/fd.hpp"

namespace bpfwarden::broker {

// What one fd is to its session, or to a grant.
enum class Piece : char {
    state = 's',     // saved_session.hpp; the last one to be kept: what lacks it never was a session
    notes = 'n',     // session_notes.hpp
    opener = 'o',    // pidfd of who opened it; not of derived ones, whose opener is their parent's
    socket = 'k',    // the session's own, until it is used
    control = 'x',   // the daemon's end of the worker's control socket
    worker = 'w',    // pidfd
    ring = 'r',      // the audit ring's memory
    wakeup = 'e',    // and its eventfd
    counters = '0',  // the session's own; one more for each narrowing that it was opened with: '1', '2', …
    of_grant = 'g',  // a grant's counters, by the grant's name
};

std::string piece_name(Piece piece, std::string_view of);
inline Piece own_counters(std::size_t number) { return static_cast<Piece>('0' + number); }
inline constexpr std::size_t most_own_counters = 10;

class FdStore {
  public:
    // systemd hands all names over in one environment variable, which execve(2) takes up to 128 KiB of: past that the
    // service could not be started any more. The unit's FileDescriptorStoreMax= is the same number of fds.
    static constexpr std::size_t most_fds = 12'288, most_name_bytes = 124 * 1024;

    // Nothing is kept.
    FdStore() = default;
    // The service manager's. It keeps nothing either where there is none (no NOTIFY_SOCKET).
    static FdStore of_service_manager();

    // What this process was started with and has no other name for: to be called once, before anything else takes fds.
    struct Inherited {
        UniqueFd control;                        // the listening control socket
        std::map<std::string, UniqueFd> stored;  // by name
    };
    static Inherited take_inherited();

    bool keeps() const { return keeps_; }
    // Whether as many more fit, with names of pieces of sessions.
    bool has_room(std::size_t pieces) const;
    // False: it is not kept.
    bool keep(Piece piece, std::string_view of, FdRef fd);
    void drop(Piece piece, std::string_view of) { drop(piece_name(piece, of)); }
    void drop(const std::string& name);
    // All pieces of one session that are there; all but those that tell of it.
    void drop_all(std::string_view session);
    void drop_all_but_record(std::string_view session);
    // All that is there from before, unused: with their last fds, what was in it ends.
    void let_go(std::map<std::string, UniqueFd> stored);
    // It is there from before.
    void knows(const std::string& name);

  private:
    bool keeps_ = false;
    std::set<std::string> names_;  // what is there
    std::size_t name_bytes_ = 0;   // with the ':' behind each
};

}  // namespace bpfwarden::broker
