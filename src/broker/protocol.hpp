// SPDX-License-Identifier: Apache-2.0
// What bpfwarden's own processes say to each other, in the frames of wire/message.hpp. Nothing of this is reachable for
// clients; a message here still has no more trust than its sender.
#pragma once

#include <cstdint>

#include "wire/message.hpp"

namespace bpfwarden::broker {

enum class Internal : std::uint16_t {
    // daemon -> spawner
    identify = 100,  // {} + pidfd -> exe path + fd of the executable
    make_worker,     // WorkerOrder -> {i32 pid} + pidfd
    living_maps,     // {n, ids} -> {n, ids}: those that are still there
    open_map,        // {id} -> {} + fd
    // daemon -> worker
    go,  // {}: it is written down that you are there. No answer; a worker that is to outlive the daemon waits for it
    // worker -> daemon
    derive,     // {grant text} -> {Answer, session id} + session fd
    dead_maps,  // {n, ids} -> {n, ids}: as living_maps
    made_map,   // {id, memory}, where the audit ring had no room to say so. No answer
    map_by_id,  // {id} -> {Answer} + fd: of a map that the session made
    // worker -> its opener
    open_event,   // perf_event_open
    read_event,   // the id or format of an event
    read_events,  // of all that may be opened
    // worker or opener -> the parser
    verify_signature,  // {content, n, signatures} -> {Answer, n, names, why not}
    function_names,    // {offset} + file -> {Answer, n, names}
    reply = 120,
};

// What was decided by us has no errno of the kernel's; a program gets the one that the kernel would have given it.
Error with_errno(const Error& error);

inline wire::Type as_type(Internal kind) { return static_cast<wire::Type>(kind); }

// A request, and its answer, over a socket that only this exchange uses. Waits at most `timeout_ms`.
Result<wire::Message> ask(FdRef socket, wire::Receiver& receiver, Internal kind, wire::Bytes body,
                          std::span<const int> fds = {}, int timeout_ms = 5000);

}  // namespace bpfwarden::broker
