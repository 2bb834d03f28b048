// SPDX-License-Identifier: Apache-2.0
#include "broker/saved_session.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "broker/fd_store.hpp"

namespace bpfwarden::broker {

namespace {

constexpr std::uint64_t saved_magic = 0x7661736472777062;  // "bpwrdsav"
// Raised with every change of what is written below. Another version's sessions end at the restart that changes it.
constexpr std::uint32_t saved_version = 1;

}  // namespace

bool is_session_id(std::string_view text) {
    return text.size() == 8 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

SavedSession saved(const Session& session) {
    const auto& opener = *session.opener;
    SavedSession all{.id = session.id,
                     .ancestors = session.ancestors,
                     .chain = {},
                     .signers = session.signers ? *session.signers : trust::SignerTexts(),
                     .own_counters = static_cast<std::uint32_t>(session.own_counters),
                     .opened_ns = session.opened_ns,
                     .ends_at_ms = session.ends_at_ms,
                     .path = session.path,
                     .opener = {.uid = opener.uid,
                                .gid = opener.gid,
                                .pid = opener.pid,
                                .exe = opener.exe,
                                .cgroup = opener.cgroup,
                                .container = opener.container}};
    for (const auto& grant : session.chain) all.chain.push_back({grant->name, grant->revision, grant->loaded.texts});
    return all;
}

void write(wire::Writer& to, const SavedSession& session) {
    to.number(saved_magic);
    to.number(saved_version);
    to.text(session.id);
    to.number(static_cast<std::uint32_t>(session.ancestors.size()));
    for (const auto& id : session.ancestors) to.text(id);
    to.number(static_cast<std::uint32_t>(session.chain.size()));
    for (const auto& grant : session.chain) {
        to.text(grant.name);
        to.text(grant.revision);
        write(to, grant.texts);
    }
    to.number(static_cast<std::uint32_t>(session.signers.size()));
    for (const auto& [name, certificates] : session.signers) {
        to.text(name);
        to.text(certificates);
    }
    to.number(session.own_counters);
    to.number(session.opened_ns);
    to.number(session.ends_at_ms);
    to.text(session.path);
    to.number(session.opener.uid);
    to.number(session.opener.gid);
    to.number(session.opener.pid);
    to.text(session.opener.exe);
    to.text(session.opener.cgroup);
    to.text(session.opener.container);
}

Result<SavedSession> read_saved(wire::Bytes bytes) {
    wire::Reader from(bytes);
    if (from.number<std::uint64_t>() != saved_magic) return fail(Code::bad_input, "this is no saved session");
    if (from.number<std::uint32_t>() != saved_version)
        return fail(Error(Code::bad_input, "the session was saved by another release of bpfwardend"));
    SavedSession session;
    session.id = from.text();
    for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n) session.ancestors.push_back(from.text());
    for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n) {
        auto& grant = session.chain.emplace_back();
        grant.name = from.text();
        grant.revision = from.text();
        grant.texts = read_texts(from);
    }
    for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n) {
        auto name = from.text();
        session.signers.emplace(std::move(name), from.text());
    }
    session.own_counters = from.number<std::uint32_t>();
    session.opened_ns = from.number<std::uint64_t>();
    session.ends_at_ms = from.number<std::uint64_t>();
    session.path = from.text();
    session.opener.uid = from.number<std::uint32_t>();
    session.opener.gid = from.number<std::uint32_t>();
    session.opener.pid = from.number<std::int32_t>();
    session.opener.exe = from.text();
    session.opener.cgroup = from.text();
    session.opener.container = from.text();
    if (!from.done() || !is_session_id(session.id) || !std::ranges::all_of(session.ancestors, is_session_id) ||
        session.chain.empty() || session.own_counters > most_own_counters ||
        // A set of counters for each text: all of them its own, or but one its ancestors'.
        session.own_counters != (session.ancestors.empty() ? session.chain.size() : 1) ||
        session.ancestors.size() >= session.chain.size() + session.ancestors.empty())
        return fail(Code::bad_input, "a saved session is broken");
    return session;
}

Result<UniqueFd> save(const Session& session) {
    wire::Writer bytes;
    write(bytes, saved(session));
    return wire::sealed_memory("bpfwarden-session", bytes.bytes());
}

Result<SavedSession> load_saved(FdRef memory) {
    struct stat status{};
    if (::fstat(memory.get(), &status) != 0) return fail_errno("fstat of a saved session");
    const auto mapping = BW_TRY(wire::Mapping::of(memory, static_cast<std::size_t>(status.st_size)));
    return read_saved(mapping.bytes());
}

}  // namespace bpfwarden::broker
