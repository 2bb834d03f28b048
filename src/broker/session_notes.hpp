// SPDX-License-Identifier: Apache-2.0
// What the daemon learns of a session while it runs, in memory that outlives the daemon: which maps it made, how many
// operations were told. The worker has no part in it, so it is there too when the worker is not any more.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::broker {

// Soundness: killed between any two writes, it reads as before or as after: a map is written behind the others before
// it is counted; one that goes has the last one put in its place before there is one less, and a last one that is in
// two places is the sign of that. No write is more than a header, which the kernel does whole.
class SessionNotes {
  public:
    static Result<SessionNotes> create();
    // Fails for what this class did not write.
    static Result<SessionNotes> adopt(UniqueFd memory);

    struct Map {
        std::uint64_t id = 0, memory = 0;
    };
    const std::vector<Map>& maps() const { return maps_; }
    // Once for each id; further ones change nothing.
    void add_map(std::uint32_t id, std::uint64_t memory);
    void remove_map(std::uint32_t id);

    struct Counted {
        std::uint64_t operations = 0, refusals = 0;
        bool operator==(const Counted&) const = default;
    };
    Counted counted;
    // Writes `counted`, if it has changed.
    void save_counted();

    pid_t worker() const { return static_cast<pid_t>(header_.worker); }
    void set_worker(pid_t pid);
    // Its opener was told of it, or whoever derived it.
    bool was_greeted() const { return header_.greeted != 0; }
    void set_greeted();
    // The session has ended, was told, and is settled: what is left here are maps that somebody still has.
    bool has_ended() const { return header_.ended != 0; }
    void set_ended();

    FdRef memory() const { return memory_; }

  private:
    struct Header {
        std::uint64_t magic = 0, maps = 0, greeted = 0, ended = 0, worker = 0;
        Counted counted;
    };
    explicit SessionNotes(UniqueFd memory) : memory_(std::move(memory)) {}
    bool write(const void* from, std::size_t size, off_t at);
    void write_header();
    static off_t place(std::size_t number) { return static_cast<off_t>(sizeof(Header) + number * sizeof(Map)); }

    UniqueFd memory_;
    Header header_;
    std::vector<Map> maps_;                       // as they are in the memory
    std::map<std::uint64_t, std::size_t> where_;  // id -> index
};

}  // namespace bpfwarden::broker
