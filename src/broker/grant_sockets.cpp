// SPDX-License-Identifier: Apache-2.0
#include "broker/grant_sockets.hpp"

#include <fmt/format.h>
#include <sys/acl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>

#include "broker/signer_files.hpp"

namespace bpfwarden::broker {

namespace fs = std::filesystem;

GrantSockets::~GrantSockets() {
    for (auto& [name, entry] : grants_) close_sockets(entry.listeners, {});
}

static Result<> set_access(const std::string& path, const std::string& list) {
    if (list.empty()) return {};
    const std::unique_ptr<void, int (*)(void*)> acl(::acl_from_text(list.c_str()), ::acl_free);
    if (!acl) return fail_errno("reading the access list " + list);
    if (::acl_set_file(path.c_str(), ACL_TYPE_ACCESS, static_cast<acl_t>(acl.get())) == 0) return {};
    // No ACLs there: anybody may knock, and who it is, is asked then in any case.
    if (errno == EOPNOTSUPP && ::chmod(path.c_str(), 0666) == 0) return {};
    return fail_errno("setting the access list of " + path);
}

Result<std::unique_ptr<GrantSockets::Listener>> GrantSockets::listen(const Planned& planned, const std::string& name,
                                                                     const std::string& access) {
    const auto& path = planned.path;
    const auto first = path + "~";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    first.copy(address.sun_path, sizeof address.sun_path - 1);
    std::error_code problem;
    fs::create_directories(fs::path(path).parent_path(), problem);
    if (problem) return fail_errno(problem.value(), "making " + fs::path(path).parent_path().string());
    auto listener = std::make_unique<Listener>();
    listener->path = path;
    listener->socket = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener->socket) return fail_errno("socket");
    ::unlink(first.c_str());
    // For nobody but root until its access list is set.
    const mode_t mask = ::umask(0177);
    const int bound = ::bind(listener->socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::umask(mask);
    if (bound != 0) return fail_errno("making the socket " + path);
    if (::listen(listener->socket.get(), 128) != 0) return fail_errno("listen");
    auto* raw = listener.get();
    listener->watch = BW_TRY(
        loop_.on_readable(listener->socket, [this, raw, name, more = planned.more] { accept(*raw, name, more); }));
    BW_TRY(set_access(first, access));
    if (::rename(first.c_str(), path.c_str()) != 0) return fail_errno("making the socket " + path);
    return listener;
}

// All that is known to be wrong before anything is changed.
Result<std::vector<GrantSockets::Planned>> GrantSockets::plan(const std::string& name,
                                                              const grant::Resolved& grant) const {
    std::vector<Planned> sockets;
    sockets.push_back({fmt::format("{}/grant/{}", places_.run, name), {}});
    for (const auto& file : attach_files(grant)) {
        auto loaded = BW_TRY_WITHIN(read_derived(text_of(file, grant)), "narrowing the grant to one control group");
        const auto revision = loaded.texts.revision();
        sockets.push_back({fmt::format("{}/cgroup{}/{}", places_.run, file.cgroup, file.attach_type),
                           {std::make_shared<const GrantRevision>(GrantRevision{name, revision, std::move(loaded)})}});
    }
    for (const auto& one : sockets)
        // It is made under another name first, and then put in its place.
        if (one.path.size() + 1 >= sizeof sockaddr_un{}.sun_path)
            return fail(
                Error(Code::bad_input, fmt::format("{}: the path of its socket is too long: {}", grant.file, one.path))
                    .because("a socket's path has at most 106 bytes")
                    .advise("shorten the grant's name, or the control group's path in it"));
    return sockets;
}

void GrantSockets::close_sockets(std::vector<std::unique_ptr<Listener>>& listeners, const std::vector<Planned>& kept) {
    for (const auto& listener : listeners) {
        if (std::ranges::find(kept, listener->path, &Planned::path) != kept.end()) continue;
        ::unlink(listener->path.c_str());
        // Directories below cgroup/ go when they are empty.
        const auto top = places_.run + "/cgroup";
        for (auto at = fs::path(listener->path).parent_path(); at.string().starts_with(top + "/");
             at = at.parent_path())
            if (::rmdir(at.c_str()) != 0) break;
    }
    listeners.clear();
}

Result<GrantSockets::Change> GrantSockets::load(bool all_or_nothing) {
    struct Ready {
        LoadedGrant grant;
        std::vector<Planned> sockets;
    };
    std::map<std::string, Ready> ready;
    std::set<std::string> taken;  // paths
    Change change;
    const auto problem = [&](const Error& error) {
        change.problems.push_back(error.why().empty() ? error.what() : error.what() + ": " + error.why());
    };
    const grant::LoadOptions options{.root = places_.root};
    for (const auto& installed : BW_TRY(grant::list_installed(options))) {
        auto loaded = load_grant(installed.path, options);
        if (!loaded) {
            problem(loaded.error());
            continue;
        }
        auto sockets = plan(installed.name, loaded->grant);
        if (!sockets) {
            problem(sockets.error());
            continue;
        }
        // Where two grants are over the same control group, the file is that of the first by name; the other one has
        // its own socket all the same.
        std::erase_if(*sockets, [&](const Planned& one) { return taken.contains(one.path); });
        for (const auto& one : *sockets) taken.insert(one.path);
        ready.emplace(installed.name, Ready{std::move(*loaded), std::move(*sockets)});
    }
    auto keys = BW_TRY(read_signer_files(places_.root));
    if (all_or_nothing && !(change.problems.empty() && keys.problems.empty())) {
        const bool of_keys = change.problems.empty();
        std::ranges::move(keys.problems, std::back_inserter(change.problems));
        return fail(Error(Code::bad_input, of_keys ? "the keys of signers are not valid, and nothing was changed"
                                                   : "the grants are not valid, and nothing was changed")
                        .because(fmt::format("{}", fmt::join(change.problems, "\n  ")))
                        .advise(of_keys ? "bpfwarden-grant(5), IDENTITY, says what a key has to be"
                                        : "bpfwarden grant check FILE shows all there is to say of one"));
    }
    const auto signers = keys.texts.size();
    std::ranges::move(keys.problems, std::back_inserter(change.problems));
    sessions_.trust(std::move(keys.texts));

    for (auto at = grants_.begin(); at != grants_.end();) {
        if (ready.contains(at->first)) {
            ++at;
            continue;
        }
        change.removed.push_back(at->first);
        close_sockets(at->second.listeners, {});
        at = grants_.erase(at);
    }
    for (auto& [name, one] : ready) {
        const auto revision = one.grant.texts.revision();
        auto& entry = grants_[name];
        if (entry.grant && entry.grant->revision == revision && !entry.listeners.empty()) {
            change.same.push_back(name);
            continue;
        }
        (entry.grant ? change.changed : change.added).push_back(name);
        entry.grant = std::make_shared<const GrantRevision>(GrantRevision{name, revision, std::move(one.grant)});
        // What sessions of an earlier revision use goes on counting.
        if (!entry.counters) entry.counters = BW_TRY(sessions_.counters_of(name));
        // The new ones take the place of the old ones in one step each: nobody finds the door missing.
        std::vector<std::unique_ptr<Listener>> listeners;
        const auto list = access_list(entry.grant->loaded.grant);
        for (const auto& socket : one.sockets) listeners.push_back(BW_TRY(listen(socket, name, list)));
        close_sockets(entry.listeners, one.sockets);
        entry.listeners = std::move(listeners);
    }
    audit::Event event{.kind = "grant_reload"};
    event.set("added", change.added.size()).set("changed", change.changed.size()).set("removed", change.removed.size());
    event.set("signers", signers);
    if (!change.problems.empty()) event.set("invalid", change.problems.size());
    log_.append(std::move(event));
    return change;
}

Result<std::size_t> GrantSockets::revoke(const std::string& name) {
    const auto at = grants_.find(name);
    const auto ended = sessions_.revoke_grant(name, "its grant was revoked");
    if (at == grants_.end() && ended == 0)
        return fail(Error(Code::not_found, "there is no grant " + name)
                        .advise("bpfwarden grant list shows those that are installed"));
    if (at != grants_.end()) close_sockets(at->second.listeners, {});
    audit::Event event{.kind = "grant_revoke"};
    event.set("grant", name).set("sessions", ended);
    log_.append(std::move(event));
    return ended;
}

std::size_t GrantSockets::count() const {
    std::size_t all = 0;
    for (const auto& [name, entry] : grants_) all += entry.listeners.size();
    return all;
}

void GrantSockets::accept(Listener& listener, const std::string& name,
                          const std::vector<std::shared_ptr<const GrantRevision>>& more) {
    UniqueFd socket(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) return;
    const auto entry = grants_.find(name);
    if (entry == grants_.end()) return;
    sessions_.open(std::move(socket), entry->second.grant, entry->second.counters, more, listener.path);
}

}  // namespace bpfwarden::broker
