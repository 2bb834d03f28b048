// SPDX-License-Identifier: Apache-2.0
// What a session has made. A program or a link is handed out as a stand-in: one end of a socket pair whose other end
// is kept here beside the only real fd. The stand-in can be inherited and passed like the real thing, only this worker
// can turn it back, and when the last copy of it is closed, the worker is told and lets go of the real fd.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "grant/operation.hpp"

namespace bpfwarden::broker {

// The kernel's number of a map, program or link behind one of our own fds; 0 if it cannot be told.
std::uint32_t object_id(int fd);

// An object's number, asked for when somebody wants it: a call less before the client gets its answer.
class ObjectId {
  public:
    std::uint32_t of(FdRef fd) const { return id_ != 0 ? id_ : id_ = object_id(fd.get()); }

  private:
    mutable std::uint32_t id_ = 0;
};

struct Program {
    ProgFd fd;
    ObjectId number;
    std::uint32_t id() const { return number.of(fd); }
    std::string name, type, attach, sha256;
    std::string target;  // the function or raw tracepoint that it was loaded for
};

struct Link {
    LinkFd fd;
    ObjectId number;
    std::uint32_t id() const { return number.of(fd); }
    grant::Attach made_as;  // what was judged when it was made
    UniqueFd event;         // the perf event that it is at; a supervised program's own fd of it may be the stand-in now
};

struct Map {
    std::string type;
    std::uint64_t memory = 0;
};

// Attached by BPF_PROG_ATTACH, which hands out nothing: a link all the same, so that the end of the session ends it.
struct Attached {
    std::uint64_t target = 0;  // inode number of the cgroup
    std::uint32_t type = 0;
    std::shared_ptr<Program> program;
    std::shared_ptr<Link> link;
};

class Objects {
  public:
    using Handle = std::uint64_t;  // the stand-in's socket cookie: never used again while the machine is up

    struct StandIn {
        Handle handle = 0;
        UniqueFd given;  // for the client
        UniqueFd kept;   // to be watched for its hang-up
    };
    // Keeps the object; may be called again for one more stand-in of the same.
    Result<UniqueFd> hand_out(std::shared_ptr<Program> program);
    Result<UniqueFd> hand_out(std::shared_ptr<Link> link);
    // Makes stand-ins in advance, when nobody waits for an answer: a socket pair costs as much as the rest of a call.
    // `watch` is called with each new one.
    void prepare();
    std::function<void(const StandIn&)> watch;

    // What `fd`, from a client, stands for; null for everything that is no stand-in of this session.
    //
    // Soundness: a cookie is 64 bits, given to one socket for ever. Only the end that was handed out has it; inode
    // numbers of sockets, which are used again, are not looked at.
    std::shared_ptr<Program> program(FdRef fd) const;
    std::shared_ptr<Link> link(FdRef fd) const;

    // The last stand-in with this handle was closed: whatever is not held otherwise goes.
    void drop(Handle handle) { held_.erase(handle); }

    void add_map(std::uint32_t id, Map map) { maps_.insert_or_assign(id, std::move(map)); }
    const Map* map(std::uint32_t id) const;
    void remove_map(std::uint32_t id) { maps_.erase(id); }
    const std::map<std::uint32_t, Map>& maps() const { return maps_; }

    // Types of maps that the session made, by their number; -1: of none. A copy is kept of the first 64 of a session.
    void add_types(int fd);
    int types(std::uint32_t id) const;

    // A program whose real fd the client has (hand_out = "program"): known again by its number.
    void add_given(std::shared_ptr<Program> program) { given_.push_back(std::move(program)); }

    void add_attached(Attached attached) { attached_.push_back(std::move(attached)); }
    bool remove_attached(std::uint64_t target, std::uint32_t type, const Program* program);
    // Links that stay although their stand-ins were closed (on_close = "keep").
    void keep(std::shared_ptr<Link> link) { kept_.push_back(std::move(link)); }
    bool keeps_any() const { return !kept_.empty(); }

    // The smallest id greater than `after`; 0: there is none.
    std::uint32_t next_program(std::uint32_t after) const;
    std::uint32_t next_link(std::uint32_t after) const;
    std::uint32_t next_map(std::uint32_t after) const;
    std::shared_ptr<Program> program_by_id(std::uint32_t id) const;
    std::shared_ptr<Link> link_by_id(std::uint32_t id) const;

  private:
    struct Held {
        UniqueFd kept;
        std::shared_ptr<Program> program;  // one of the two
        std::shared_ptr<Link> link;
    };
    Result<StandIn> make() const;
    Result<UniqueFd> hold(Held held);
    const Held* find(FdRef fd) const;

    // As many as most programs make at their start.
    static constexpr std::size_t enough_ = 32;
    std::vector<StandIn> spare_;
    std::unordered_map<Handle, Held> held_;
    std::map<std::uint32_t, Map> maps_;  // by id
    std::map<std::uint32_t, UniqueFd> types_;
    std::vector<std::shared_ptr<Program>> given_;
    std::vector<Attached> attached_;
    std::vector<std::shared_ptr<Link>> kept_;
};

}  // namespace bpfwarden::broker
