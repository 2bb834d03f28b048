// SPDX-License-Identifier: Apache-2.0
#include "audit/reader.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "audit/json.hpp"
#include "base/text.hpp"

namespace bpfwarden::audit {

// Also the longest line: ours are a quarter of that at most.
static constexpr std::size_t chunk = std::size_t{1} << 18;

Result<Reader::File> Reader::open_file(const std::string& path) {
    File file{.fd = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), .path = path};
    if (!file.fd) return fail_errno("opening " + bpfwarden::quoted(path));
    struct stat status{};
    if (::fstat(file.fd.get(), &status) != 0) return fail_errno("fstat of " + bpfwarden::quoted(path));
    if (!S_ISREG(status.st_mode)) return fail(Code::bad_input, bpfwarden::quoted(path) + " is no regular file");
    file.device = status.st_dev;
    file.inode = status.st_ino;
    file.size = static_cast<std::uint64_t>(status.st_size);
    file.changed_ns = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
    return file;
}

// PATH and its rotated files as far as `known` (all of them without one), oldest first. They are opened newest first:
// while the daemon rotates, a file moves in the same direction as we do, so we can meet it twice but not miss it. In
// the middle of that one number has no file, so the row ends only where two are missing.
//
// A reader that is slower than two rotations could take a file that is newer than all it has for an older one, or take
// two numbers that were missing one after the other for the end. So it holds only if the newest file is the same before
// and after.
Result<std::deque<Reader::File>> Reader::newer_than(const std::string& path, const File* known) {
    const auto newest = [&] {
        struct stat status{};
        return ::stat(path.c_str(), &status) == 0 ? std::pair(status.st_dev, status.st_ino) : std::pair<dev_t, ino_t>();
    };
    constexpr int most_tries = 1000;  // rotations that follow each other so closely end some day
    for (int tries = 0;; ++tries) {
        const auto before = newest();
        auto files = listed(path, known);
        if (!files || newest() == before || tries == most_tries) return files;
    }
}

Result<std::deque<Reader::File>> Reader::listed(const std::string& path, const File* known) {
    std::deque<File> files;
    const auto same = [](const File& a, const File& b) { return a.device == b.device && a.inode == b.inode; };
    unsigned missing = 0;
    for (unsigned number = 0; missing < 2; ++number) {
        auto file = open_file(number == 0 ? path : path + "." + std::to_string(number));
        const bool is_there = file || file.error().number() != ENOENT;
        missing = is_there ? 0 : missing + 1;
        if (!is_there) continue;
        if (!file) return fail(std::move(file).error());
        // The second condition is for a known file that is there no more.
        if (known != nullptr && (same(*file, *known) || file->changed_ns < known->changed_ns)) break;
        if (!std::ranges::any_of(files, [&](const File& one) { return same(one, *file); }))
            files.push_front(std::move(*file));
    }
    return files;
}

Result<Reader> Reader::open(const std::string& path, std::uint64_t last_bytes) {
    Reader reader(path);
    reader.files_ = BW_TRY(newer_than(path, nullptr));
    if (reader.files_.empty()) return fail_errno(ENOENT, "opening " + bpfwarden::quoted(path));
    std::uint64_t left = last_bytes;
    for (std::size_t i = reader.files_.size(); i-- > 0;) {
        auto& file = reader.files_[i];
        if (file.size <= left) {
            left -= file.size;
            continue;
        }
        file.position = file.size - left;
        reader.files_.erase(reader.files_.begin(), reader.files_.begin() + static_cast<std::ptrdiff_t>(i));
        reader.whole_ = false;
        // What is left of the line there is skipped; a line that starts just there, too.
        reader.skip_ = true;
        break;
    }
    return reader;
}

void Reader::skip_before(std::uint64_t ns_since_1970) {
    while (files_.size() > 1 && static_cast<std::uint64_t>(files_.front().changed_ns) < ns_since_1970) {
        files_.pop_front();
        skip_ = false;
        whole_ = true;
    }
}

void Reader::watch() {
    watch_ = UniqueFd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    const auto folder = std::filesystem::path(path_).parent_path();
    // The folder, not the file: a rotation is seen too.
    constexpr unsigned changes = IN_MODIFY | IN_CREATE | IN_MOVED_TO;
    if (watch_ && ::inotify_add_watch(watch_.get(), folder.empty() ? "." : folder.c_str(), changes) < 0) watch_.reset();
}

// Reads whole lines from the present file. False: there are none for now. What is behind the last newline is not kept
// but read again later: it may be cut off and written anew when the disk is full.
bool Reader::fill() {
    auto& file = files_.front();
    lines_.resize(chunk);
    at_ = 0;
    ssize_t n = 0;
    do n = ::pread(file.fd.get(), lines_.data(), chunk, static_cast<off_t>(file.position));
    while (n < 0 && errno == EINTR);
    const auto size = n < 0 ? std::size_t{0} : static_cast<std::size_t>(n);
    const auto newline = size == 0 ? std::string::npos : lines_.rfind('\n', size - 1);
    if (newline == std::string::npos && size == chunk) {  // no line of ours: skip it
        if (!skip_) too_long_at_ = file.position;
        skip_ = true;
        file.position += size;
        lines_.clear();
        return true;
    }
    lines_.resize(newline == std::string::npos ? 0 : newline + 1);
    file.position += lines_.size();
    return !lines_.empty();
}

// Called at the end of the last file.
void Reader::follow_rotation() {
    char events[4096];
    while (watch_ && ::read(watch_.get(), events, sizeof events) > 0) {
    }
    auto& file = files_.back();
    struct stat status{};
    if (::fstat(file.fd.get(), &status) == 0 && static_cast<std::uint64_t>(status.st_size) < file.position) {
        file.position = 0;  // emptied in place: not by us, but it happens
        expected_.reset();
    }
    if (::stat(path_.c_str(), &status) != 0 || (status.st_dev == file.device && status.st_ino == file.inode)) return;
    struct stat last{};
    if (::fstat(file.fd.get(), &last) == 0)
        file.changed_ns = last.st_mtim.tv_sec * 1'000'000'000 + last.st_mtim.tv_nsec;
    // A file that cannot be opened now can be, perhaps, the next time.
    if (auto newer = newer_than(path_, &file))
        for (auto& one : *newer) files_.push_back(std::move(one));
}

std::optional<Reader::Item> Reader::next_line() {
    while (true) {
        auto& file = files_.front();
        if (at_ < lines_.size()) {
            const auto newline = lines_.find('\n', at_);
            const auto offset = file.position - (lines_.size() - at_);
            const auto line = std::string_view(lines_).substr(at_, newline - at_);
            at_ = newline + 1;
            if (std::exchange(skip_, false)) {
                if (const auto start = std::exchange(too_long_at_, {}))
                    return BadLine{file.path, *start, "it is longer than any event"};
                continue;
            }
            if (line.empty()) continue;
            auto event = from_json(line);
            if (event) return std::move(*event);
            return BadLine{file.path, offset, event.error().why().empty() ? event.error().what() : event.error().why()};
        }
        if (fill()) continue;
        if (files_.size() == 1) follow_rotation();
        // Once more: the daemon writes to the old file until it has the new one.
        if (fill()) continue;
        if (files_.size() == 1) return std::nullopt;
        struct stat status{};
        const bool cut = ::fstat(files_.front().fd.get(), &status) == 0 &&
                         static_cast<std::uint64_t>(status.st_size) > files_.front().position;
        BadLine last{files_.front().path, files_.front().position, "its last line is cut off"};
        files_.pop_front();
        too_long_at_.reset();
        if (!std::exchange(skip_, false) && cut) return last;
    }
}

// Soundness: a number is missing, or somebody says why. A gap event accounts for exactly the numbers it names.
Reader::Item Reader::in_order(Event event) {
    if (event.seq == 0) return event;  // not written by Log
    const auto first = event.kind == "gap" ? event.number("first_seq").value_or(event.seq) : event.seq;
    const auto expected = std::exchange(expected_, event.seq + 1);
    const auto before_ns = std::exchange(last_ns_, event.time_ns);
    const bool from_the_start = first == 1;  // the daemon was started anew
    if (!expected || first == *expected || from_the_start) return event;
    // A number that was there before means that the daemon was started anew, and its first events are missing.
    Hole hole{first > *expected ? *expected : 1, first - 1, files_.front().path, before_ns, event.time_ns};
    held_ = std::move(event);
    return hole;
}

std::optional<Reader::Item> Reader::next() {
    if (held_) {
        Item item = std::move(*held_);
        held_.reset();
        return item;
    }
    auto item = next_line();
    if (item && std::holds_alternative<Event>(*item)) return in_order(std::get<Event>(std::move(*item)));
    if (item) std::get<BadLine>(*item).before_ns = last_ns_;
    return item;
}

}  // namespace bpfwarden::audit
