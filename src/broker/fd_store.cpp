// SPDX-License-Identifier: Apache-2.0
#include "broker/fd_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace bpfwarden::broker {

std::string piece_name(Piece piece, std::string_view of) { return static_cast<char>(piece) + std::string(of); }

FdStore FdStore::of_service_manager() {
    FdStore store;
    const char* socket = std::getenv("NOTIFY_SOCKET");
    store.keeps_ = socket != nullptr && *socket != '\0';
    return store;
}

FdStore::Inherited FdStore::take_inherited() {
    Inherited inherited;
    char** names = nullptr;
    const int count = ::sd_listen_fds_with_names(1, &names);
    std::vector<UniqueFd> unnamed;
    for (int i = 0; i < count; ++i) {
        UniqueFd one(SD_LISTEN_FDS_START + i);
        const std::string name = names != nullptr && names[i] != nullptr ? names[i] : "";
        if (names != nullptr) ::free(names[i]);
        const bool listens = ::sd_is_socket(one.get(), AF_UNIX, SOCK_SEQPACKET, 1) > 0;
        if (name == "control" && listens && !inherited.control)
            inherited.control = std::move(one);
        else if (listens)
            unnamed.push_back(std::move(one));
        else
            inherited.stored.emplace(name, std::move(one));
    }
    ::free(names);
    // A supervisor that knows no names gives the one socket.
    if (!inherited.control && unnamed.size() == 1) inherited.control = std::move(unnamed.front());
    // Somebody who gives up before being accepted must not stop the loop.
    if (inherited.control) ::fcntl(inherited.control.get(), F_SETFL, O_NONBLOCK);
    return inherited;
}

bool FdStore::has_room(std::size_t pieces) const {
    constexpr std::size_t piece_bytes = 10;  // a letter, eight digits, ':'
    return keeps_ && names_.size() + pieces <= most_fds && name_bytes_ + pieces * piece_bytes <= most_name_bytes;
}

bool FdStore::keep(Piece piece, std::string_view of, FdRef fd) {
    const auto name = piece_name(piece, of);
    // As systemd has it: FDNAME= is printable, without ':', and of at most 255 bytes.
    if (!has_room(1) || name.size() > 255 || name.find_first_of(":\n") != name.npos || fd.get() < 0) return false;
    // FDPOLL=0: systemd lets go of what hangs up or has ended, by default. That a worker has ended while there was no
    // daemon is for the next one to see.
    const auto text = fmt::format("FDSTORE=1\nFDPOLL=0\nFDNAME={}", name);
    const int number = fd.get();
    if (::sd_pid_notify_with_fds(0, 0, text.c_str(), &number, 1) <= 0) return false;
    knows(name);
    return true;
}

void FdStore::drop(const std::string& name) {
    const auto at = names_.find(name);
    if (!keeps_ || at == names_.end()) return;
    name_bytes_ -= name.size() + 1;
    names_.erase(at);
    (void)::sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name.c_str());
}

void FdStore::drop_all(std::string_view session) {
    drop_all_but_record(session);
    // The notes last: they say that what is missing is no loss.
    drop(Piece::state, session);
    drop(Piece::notes, session);
}

void FdStore::drop_all_but_record(std::string_view session) {
    for (const auto piece : {Piece::opener, Piece::socket, Piece::control, Piece::worker, Piece::ring, Piece::wakeup})
        drop(piece, session);
    for (std::size_t i = 0; i < most_own_counters; ++i) drop(own_counters(i), session);
}

void FdStore::let_go(std::map<std::string, UniqueFd> stored) {
    for (const auto& [name, fd] : stored) {
        knows(name);
        drop(name);
    }
}

void FdStore::knows(const std::string& name) {
    if (names_.insert(name).second) name_bytes_ += name.size() + 1;
}

}  // namespace bpfwarden::broker
