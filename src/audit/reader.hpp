// SPDX-License-Identifier: Apache-2.0
// Reads audit.jsonl and its rotated files in order, and what is written while it reads.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>

#include "audit/event.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::audit {

// Numbers that are missing, and that no gap event accounts for.
struct Hole {
    std::uint64_t first = 0, last = 0;
    std::string file;                           // in which the next event is
    std::uint64_t before_ns = 0, after_ns = 0;  // of the events around it
    bool operator==(const Hole&) const = default;
};

struct BadLine {
    std::string file;
    std::uint64_t offset = 0;  // in bytes
    std::string why;
    std::uint64_t before_ns = 0;  // of the event before it, 0 if there is none
};

// A file's last line without its newline is not read before it has one, except where another file follows.
class Reader {
  public:
    using Item = std::variant<Event, Hole, BadLine>;

    // All of it: the oldest file there is first. With `last_bytes`, from the first line in about that many bytes at
    // the end.
    static Result<Reader> open(const std::string& path, std::uint64_t last_bytes = ~std::uint64_t{0});
    // Whether it begins with the oldest event there is, but for those that skip_before() left out.
    bool is_whole() const { return whole_; }

    // Leaves out old files that were last written before that time.
    void skip_before(std::uint64_t ns_since_1970);

    // Makes changed() tell. Call it right after open(): nothing written since then is missed.
    void watch();
    // Readable when something may have been written (-1 if the machine has no watch left: look again now and then).
    FdRef changed() const { return watch_; }

    // The next one; nullopt where the last file ends for now. Looks for what is new when called again.
    std::optional<Item> next();
    // The file it reads at the moment.
    const std::string& file() const { return files_.front().path; }

  private:
    struct File {
        UniqueFd fd;
        std::string path;
        std::uint64_t device = 0, inode = 0, size = 0;
        std::int64_t changed_ns = 0;
        std::uint64_t position = 0;  // of the first line not yet read
    };
    explicit Reader(std::string path) : path_(std::move(path)) {}
    static Result<File> open_file(const std::string& path);
    static Result<std::deque<File>> newer_than(const std::string& path, const File* known);
    static Result<std::deque<File>> listed(const std::string& path, const File* known);
    std::optional<Item> next_line();
    bool fill();
    void follow_rotation();
    Item in_order(Event event);

    std::string path_;
    std::deque<File> files_;  // the one being read, then newer ones
    std::string lines_;       // whole lines of it, read but not yet given out, from at_ on
    std::size_t at_ = 0;
    bool whole_ = true;
    bool skip_ = false;                         // what comes is the rest of a line that is not wanted,
    std::optional<std::uint64_t> too_long_at_;  // or is none of ours
    UniqueFd watch_;
    std::optional<std::uint64_t> expected_;  // seq
    std::uint64_t last_ns_ = 0;              // of the last event
    std::optional<Event> held_;              // found behind a hole
};

}  // namespace bpfwarden::audit
