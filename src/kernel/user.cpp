// SPDX-License-Identifier: Apache-2.0
#include "kernel/user.hpp"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/text.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::kernel {

static std::optional<std::uint32_t> id_number(std::string_view text) {
    std::uint32_t id = 0;
    const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), id);
    // 2^32-1 is "no change" to setresuid().
    if (err != std::errc{} || end != text.data() + text.size() || id == ~0U) return std::nullopt;
    return id;
}

static Result<gid_t> find_group(const std::string& text) {
    // Not reentrant, and need not be: nothing of ours has threads.
    if (const group* entry = ::getgrnam(text.c_str())) return entry->gr_gid;
    if (const auto id = id_number(text)) return *id;
    return fail(
        Error(Code::not_found, "there is no group " + quoted(text)).advise("name an existing group, or a number"));
}

Result<User> find_user(const std::string& text) {
    const auto colon = text.find(':');
    const std::string who = text.substr(0, colon);
    const auto id = id_number(who);
    const passwd* entry = ::getpwnam(who.c_str());
    if (entry == nullptr && id) entry = ::getpwuid(*id);
    if (entry == nullptr && !id)
        return fail(
            Error(Code::not_found, "there is no user " + quoted(who)).advise("name an existing user, or a number"));

    User user;
    user.uid = entry ? entry->pw_uid : *id;
    user.gid = entry ? entry->pw_gid : *id;
    user.name = entry ? entry->pw_name : "";
    if (colon != std::string::npos) user.gid = BW_TRY(find_group(text.substr(colon + 1)));
    user.groups = {user.gid};
    if (!user.name.empty()) {
        int count = 64;
        user.groups.resize(64);
        while (::getgrouplist(user.name.c_str(), user.gid, user.groups.data(), &count) < 0)
            user.groups.resize(static_cast<std::size_t>(count));
        user.groups.resize(static_cast<std::size_t>(count));
    }
    for (const gid_t gid : user.groups)
        if (const group* found = ::getgrgid(gid)) user.group_names.emplace_back(found->gr_name);
    return user;
}

Result<Ids> owner_of_process(pid_t pid) {
    Ids ids;
    const std::string text = BW_TRY(read_file("/proc/" + std::to_string(pid) + "/status"));
    for (const auto line : split(text, '\n')) {
        const auto fields = split(line, '\t');  // "Uid:", real, effective, saved, file system
        if (fields.size() < 3) continue;
        if (fields[0] == "Uid:") ids.uid = id_number(fields[2]).value_or(0);
        if (fields[0] == "Gid:") ids.gid = id_number(fields[2]).value_or(0);
    }
    return ids;
}

}  // namespace bpfwarden::kernel
