// SPDX-License-Identifier: Apache-2.0
#include "broker/session_notes.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>

namespace bpfwarden::broker {

static constexpr std::uint64_t notes_magic = 0x3165746f6e647762;  // "bwdnote1"

Result<SessionNotes> SessionNotes::create() {
    UniqueFd memory(::memfd_create("bpfwarden-notes", MFD_CLOEXEC));
    if (!memory) return fail_errno("memfd_create");
    SessionNotes notes(std::move(memory));
    notes.header_.magic = notes_magic;
    if (!notes.write(&notes.header_, sizeof(Header), 0)) return fail_errno("writing a session's notes");
    return notes;
}

Result<SessionNotes> SessionNotes::adopt(UniqueFd memory) {
    SessionNotes notes(std::move(memory));
    auto& header = notes.header_;
    struct stat status{};
    if (::fstat(notes.memory_.get(), &status) != 0) return fail_errno("fstat of a session's notes");
    // Nothing that keeps a reader waiting.
    if (!S_ISREG(status.st_mode)) return fail(Code::bad_input, "a session's notes are no memory");
    if (::pread(notes.memory_.get(), &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header) ||
        header.magic != notes_magic)
        return fail(Code::bad_input, "these are no notes of a session");
    if (header.maps > (static_cast<std::uint64_t>(status.st_size) - sizeof header) / sizeof(Map))
        return fail(Code::bad_input, "a session's notes are cut off");
    notes.counted = header.counted;
    notes.maps_.resize(header.maps);
    const auto bytes = header.maps * sizeof(Map);
    if (::pread(notes.memory_.get(), notes.maps_.data(), bytes, place(0)) != static_cast<ssize_t>(bytes))
        return fail_errno("reading a session's notes");
    for (std::size_t i = 0; i < notes.maps_.size(); ++i) {
        const auto id = notes.maps_[i].id;
        if (id <= std::numeric_limits<std::uint32_t>::max() && notes.where_.emplace(id, i).second) continue;
        if (id > std::numeric_limits<std::uint32_t>::max() || i + 1 != notes.maps_.size())
            return fail(Code::bad_input, "a session's notes are broken");
        // One was being taken away: this last one is in its place already.
        notes.maps_.pop_back();
        notes.write_header();
    }
    return notes;
}

// Memory that cannot be had costs what is told after a restart, and nothing before.
bool SessionNotes::write(const void* from, std::size_t size, off_t at) {
    return ::pwrite(memory_.get(), from, size, at) == static_cast<ssize_t>(size);
}

void SessionNotes::write_header() {
    header_.maps = maps_.size();
    header_.counted = counted;
    (void)write(&header_, sizeof header_, 0);
}

void SessionNotes::add_map(std::uint32_t id, std::uint64_t memory) {
    if (!where_.emplace(id, maps_.size()).second) return;
    maps_.push_back({id, memory});
    (void)write(&maps_.back(), sizeof(Map), place(maps_.size() - 1));
    write_header();
}

void SessionNotes::remove_map(std::uint32_t id) {
    const auto at = where_.find(id);
    if (at == where_.end()) return;
    const auto hole = at->second;
    where_.erase(at);
    if (hole + 1 != maps_.size()) {
        maps_[hole] = maps_.back();
        where_[maps_[hole].id] = hole;
        (void)write(&maps_[hole], sizeof(Map), place(hole));
    }
    maps_.pop_back();
    write_header();
}

void SessionNotes::save_counted() {
    if (counted != header_.counted) write_header();
}
void SessionNotes::set_worker(pid_t pid) {
    header_.worker = static_cast<std::uint64_t>(pid);
    write_header();
}
void SessionNotes::set_greeted() {
    header_.greeted = 1;
    write_header();
}
void SessionNotes::set_ended() {
    header_.ended = 1;
    write_header();
}

}  // namespace bpfwarden::broker
