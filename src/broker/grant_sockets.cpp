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
#include <memory>

namespace bpfwarden::broker {

namespace fs = std::filesystem;

GrantSockets::~GrantSockets() {
    for (auto& [name, entry] : grants_) close_sockets(entry);
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

Result<std::unique_ptr<GrantSockets::Listener>> GrantSockets::listen(
    const std::string& path, const std::string& name, std::vector<std::shared_ptr<const GrantRevision>> more) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail(Error(Code::failed, "the path of a grant's socket is too long: " + path)
                        .because("a socket's path has at most 107 bytes")
                        .advise("shorten the grant's name, or the control group's path in it"));
    path.copy(address.sun_path, path.size());
    std::error_code problem;
    fs::create_directories(fs::path(path).parent_path(), problem);
    if (problem) return fail_errno(problem.value(), "making " + fs::path(path).parent_path().string());
    auto listener = std::make_unique<Listener>();
    listener->path = path;
    listener->socket = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener->socket) return fail_errno("socket");
    ::unlink(path.c_str());
    // For nobody but root until its access list is set.
    const mode_t mask = ::umask(0177);
    const int bound = ::bind(listener->socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::umask(mask);
    if (bound != 0) return fail_errno("making the socket " + path);
    if (::listen(listener->socket.get(), 128) != 0) return fail_errno("listen");
    auto* raw = listener.get();
    listener->watch = BW_TRY(
        loop_.on_readable(listener->socket, [this, raw, name, more = std::move(more)] { accept(*raw, name, more); }));
    return listener;
}

Result<> GrantSockets::make_sockets(Entry& entry) {
    const auto& name = entry.grant->name;
    const auto& grant = entry.grant->loaded.grant;
    const auto list = access_list(grant);
    const auto add = [&](const std::string& path, std::vector<std::shared_ptr<const GrantRevision>> more) -> Result<> {
        auto listener = BW_TRY(listen(path, name, std::move(more)));
        const auto set = set_access(path, list);
        entry.listeners.push_back(std::move(listener));
        return set;
    };
    BW_TRY(add(fmt::format("{}/grant/{}", places_.run, name), {}));
    for (const auto& file : attach_files(grant)) {
        auto loaded = BW_TRY_WITHIN(read_derived(text_of(file, grant)), "narrowing the grant to one control group");
        const auto revision = loaded.texts.revision();
        BW_TRY(add(fmt::format("{}/cgroup{}/{}", places_.run, file.cgroup, file.attach_type),
                   {std::make_shared<const GrantRevision>(GrantRevision{name, revision, std::move(loaded)})}));
    }
    return {};
}

void GrantSockets::close_sockets(Entry& entry) {
    for (const auto& listener : entry.listeners) {
        ::unlink(listener->path.c_str());
        // Directories below cgroup/ go when they are empty.
        const auto top = places_.run + "/cgroup";
        for (auto at = fs::path(listener->path).parent_path(); at.string().starts_with(top + "/");
             at = at.parent_path())
            if (::rmdir(at.c_str()) != 0) break;
    }
    entry.listeners.clear();
}

Result<GrantSockets::Change> GrantSockets::reload() {
    std::map<std::string, LoadedGrant> loaded;
    std::string problems;
    const grant::LoadOptions options{.root = places_.root};
    for (const auto& installed : BW_TRY(grant::list_installed(options))) {
        auto one = load_grant(installed.path, options);
        if (one)
            loaded.emplace(installed.name, std::move(*one));
        else
            problems += fmt::format("{}{}", problems.empty() ? "" : "\n  ",
                                    one.error().why().empty() ? one.error().what() : one.error().why());
    }
    if (!problems.empty())
        return fail(Error(Code::bad_input, "the grants are not valid, and nothing was changed")
                        .because(problems)
                        .advise("bpfwarden grant check FILE shows all there is to say of one"));
    Change change;
    for (auto at = grants_.begin(); at != grants_.end();) {
        if (loaded.contains(at->first)) {
            ++at;
            continue;
        }
        change.removed.push_back(at->first);
        close_sockets(at->second);
        at = grants_.erase(at);
    }
    for (auto& [name, one] : loaded) {
        const auto revision = one.texts.revision();
        auto& entry = grants_[name];
        if (entry.grant && entry.grant->revision == revision && !entry.listeners.empty()) {
            change.same.push_back(name);
            continue;
        }
        (entry.grant ? change.changed : change.added).push_back(name);
        entry.grant = std::make_shared<const GrantRevision>(GrantRevision{name, revision, std::move(one)});
        // What sessions of an earlier revision use goes on counting.
        if (!entry.counters) entry.counters = std::make_shared<Counters>(BW_TRY(Counters::create()));
        close_sockets(entry);
        BW_TRY(make_sockets(entry));
    }
    audit::Event event{.kind = "grant_reload"};
    event.set("added", change.added.size()).set("changed", change.changed.size()).set("removed", change.removed.size());
    log_.append(std::move(event));
    return change;
}

Result<std::size_t> GrantSockets::revoke(const std::string& name) {
    const auto at = grants_.find(name);
    const auto ended = sessions_.revoke_grant(name, "its grant was revoked");
    if (at == grants_.end() && ended == 0)
        return fail(Error(Code::not_found, "there is no grant " + name)
                        .advise("bpfwarden grant list shows those that are installed"));
    if (at != grants_.end()) close_sockets(at->second);
    audit::Event event{.kind = "grant_revoke"};
    event.set("grant", name).set("sessions", ended);
    log_.append(std::move(event));
    return ended;
}

std::vector<GrantSockets::Listed> GrantSockets::list() const {
    std::vector<Listed> all;
    for (const auto& [name, entry] : grants_)
        for (const auto& listener : entry.listeners) all.push_back({name, entry.grant->revision, listener->path});
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
