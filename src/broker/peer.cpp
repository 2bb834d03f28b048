// SPDX-License-Identifier: Apache-2.0
#include "broker/peer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/text.hpp"
#include "kernel/cgroup.hpp"
#include "kernel/file.hpp"
#include "kernel/mount.hpp"
#include "kernel/process.hpp"
#include "trust/digest.hpp"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77  // 6.5
#endif

namespace bpfwarden::broker {

// Field 22 of /proc/PID/stat, counted after the name, which may contain anything.
static std::string start_time(pid_t pid) {
    const auto text = kernel::read_file(fmt::format("/proc/{}/stat", pid));
    if (!text) return {};
    const auto after = text->rfind(") ");
    if (after == std::string::npos) return {};
    const auto fields = split(std::string_view(*text).substr(after + 2), ' ');
    return fields.size() > 19 ? std::string(fields[19]) : std::string();
}

static Result<PidFd> process_of(FdRef socket, pid_t pid) {
    int fd = -1;
    socklen_t size = sizeof fd;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERPIDFD, &fd, &size) == 0) return PidFd(fd);
    if (errno != ENOPROTOOPT) return fail_errno("getsockopt(SO_PEERPIDFD)");
    const auto before = start_time(pid);
    auto process = BW_TRY(kernel::open_process(pid));
    if (before.empty() || start_time(pid) != before || !kernel::is_alive(process))
        return fail(Code::denied, "the process that connected has ended");
    return process;
}

Result<Peer> peer_of(FdRef socket, Spawner& spawner) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return fail_errno("getsockopt(SO_PEERCRED)");
    Peer peer;
    peer.pid = credentials.pid;
    peer.uid = credentials.uid;
    peer.gid = credentials.gid;
    // 0: a process of a pid namespace that is not below ours.
    if (peer.pid <= 0) return fail(Code::denied, "the process that connected is not visible from here");
    peer.groups.resize(64);
    for (;;) {
        size = static_cast<socklen_t>(peer.groups.size() * sizeof(gid_t));
        if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &size) == 0) break;
        if (errno != ERANGE) return fail_errno("getsockopt(SO_PEERGROUPS)");
        peer.groups.resize(size / sizeof(gid_t));
    }
    peer.groups.resize(size / sizeof(gid_t));
    if (std::ranges::find(peer.groups, peer.gid) == peer.groups.end()) peer.groups.push_back(peer.gid);
    peer.process = BW_TRY(process_of(socket, peer.pid));
    if (const auto cgroup = kernel::read_file(fmt::format("/proc/{}/cgroup", peer.pid)))
        peer.cgroup = kernel::cgroup_in(*cgroup);
    if (auto identity = spawner.identify(peer.process)) {
        peer.exe = std::move(identity->exe);
        peer.executable = std::move(identity->executable);
    }
    // What was read by number above was this process's only if it is still there.
    if (!kernel::is_alive(peer.process)) return fail(Code::denied, "the process that connected has ended");
    peer.container = kernel::container_in(peer.cgroup);
    return peer;
}

// Empty if it cannot be read, which then matches no condition.
static std::string digest_of(FdRef executable) {
    using Key = std::tuple<dev_t, ino_t, std::int64_t, long, off_t>;
    static std::map<Key, std::string> known;
    constexpr std::size_t most_known = 1024;
    constexpr off_t largest = 512 * 1024 * 1024;
    struct stat info{};
    // Whoever serves a FUSE file system decides at each read what is in a file, and how long a reader waits.
    if (const auto type = kernel::file_system_type(executable); !type || *type == kernel::fuse_magic) return {};
    const UniqueFd file(
        ::open(fmt::format("/proc/self/fd/{}", executable.get()).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > largest) return {};
    const Key key(info.st_dev, info.st_ino, info.st_ctim.tv_sec, info.st_ctim.tv_nsec, info.st_size);
    if (const auto at = known.find(key); at != known.end()) return at->second;
    auto digest = trust::sha256_of_file(file);
    if (!digest) return {};
    if (known.size() >= most_known) known.clear();
    return known.emplace(key, std::move(*digest)).first->second;
}

grant::Opener opener_of(const Peer& peer, const grant::Resolved& grant) {
    grant::Opener opener;
    opener.uid = peer.uid;
    opener.gids.assign(peer.groups.begin(), peer.groups.end());
    opener.cgroup = peer.cgroup;
    opener.exe = peer.exe;
    if (grant::asks_for(grant, grant::SubjectKey::user))
        if (const auto* entry = ::getpwuid(peer.uid)) opener.user = entry->pw_name;
    if (grant::asks_for(grant, grant::SubjectKey::group))
        for (const auto gid : peer.groups)
            if (const auto* entry = ::getgrgid(gid)) opener.groups.emplace_back(entry->gr_name);
    if (grant::asks_for(grant, grant::SubjectKey::exe_sha256) && peer.executable)
        opener.exe_sha256 = digest_of(peer.executable);
    return opener;
}

}  // namespace bpfwarden::broker
