// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/text.hpp"
#include "cli/run.hpp"
#include "grant/enforcement.hpp"
#include "kernel/file.hpp"
#include "trust/digest.hpp"

namespace bpfwarden::cli {

const kernel::Finding& token_here() {
    static const kernel::Finding found = kernel::probe_token();
    return found;
}

void say(const std::string& text) { std::fputs((text + "\n").c_str(), stderr); }

// ---- what the command line asks for ---------------------------------------------------------------------------

Result<long> number_option(std::string_view option, const std::string& text, long least) {
    long value = 0;
    const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), value);
    // Both are ints to the kernel: a larger number would be cut to another one.
    if (err == std::errc{} && end == text.data() + text.size() && value >= least && value <= INT_MAX) return value;
    return fail(Error(Code::usage, fmt::format("{} {} cannot be used", option, bpfwarden::quoted(text)))
                    .because(fmt::format("it must be a number from {} to {}", least, INT_MAX)));
}

Result<std::vector<int>> kept_fds(const Args& args) {
    std::vector<int> fds;
    for (const auto& text : args.values("--keep-fd")) {
        const long fd = BW_TRY(number_option("--keep-fd", text, 3));
        if (::fcntl(static_cast<int>(fd), F_GETFD) < 0)
            return fail(Error(Code::usage, fmt::format("--keep-fd {}: no such file descriptor is open", fd))
                            .advise(fmt::format("open it for this command, as a shell does with {}<FILE", fd)));
        fds.push_back(static_cast<int>(fd));
    }
    return fds;
}

// ---- may it? ---------------------------------------------------------------------------------------------------

Result<> need_acknowledged(const grant::Resolved& grant, const grant::UseContext& context) {
    for (const auto& need : grant::use_time_dangers(grant, context))
        if (!need.acknowledged)
            return fail(Error(Code::denied, fmt::format("this use of the grant {}", need.danger->hands_over))
                            .because(fmt::format("{}: {}: {}", need.at.text(), need.what, need.danger->because))
                            .advise(fmt::format("if that is meant, add {} to dangerous = [...] in the grant",
                                                bpfwarden::quoted(need.danger->name))));
    return {};
}

Result<> need_enforced(const Args& args, const grant::Resolved& grant, grant::Way way) {
    std::vector<std::string> given;
    for (const auto& list : args.values("--unenforced"))
        for (const auto key : split(list, ',')) given.emplace_back(key);
    const auto keys = grant::enforced_keys();
    const std::vector<std::string_view> known(keys.begin(), keys.end());
    for (const auto& key : given)
        if (std::ranges::none_of(known, [&](auto one) { return grant::names_key(key, one); })) {
            const auto near = nearest(key, known);
            return fail(
                Error(Code::usage, fmt::format("--unenforced: there is no grant key {}", bpfwarden::quoted(key)))
                    .advise(near ? fmt::format("did you mean {}?", *near) : "bpfwarden-grant(5) lists the keys"));
        }
    std::vector<std::string> missing;
    std::string why;
    for (const auto& key : grant::unenforced(grant, way)) {
        if (std::ranges::any_of(given, [&](const auto& one) { return grant::names_key(one, key.key); })) continue;
        if (why.empty()) why = fmt::format("{}: {}: {}", key.at.text(), key.key, key.why);
        missing.push_back(key.key);
    }
    if (missing.empty()) return {};
    return fail(
        Error(Code::denied, fmt::format("{} cannot hold the command to {}",
                                        way == grant::Way::token ? "a token" : "a session", join(missing, ", ")))
            .because(std::move(why))
            .advise(fmt::format("change the grant, or accept that nobody enforces it: --unenforced={}",
                                join(missing, ","))));
}

// ---- who? ------------------------------------------------------------------------------------------------------

// --user, or the one user that the grant is for, or root.
Result<kernel::User> command_user(const Args& args, const grant::Resolved& grant) {
    if (const auto named = args.value("--user")) return kernel::find_user(*named);
    if (grant.subject && grant.subject->lines.size() == 1)
        for (const auto& condition : grant.subject->lines.front().conditions)
            if (condition.key == grant::SubjectKey::user || condition.key == grant::SubjectKey::uid)
                return kernel::find_user(condition.value);
    if (!grant.subject) return kernel::find_user("0");
    return fail(Error(Code::usage, "which user is the command to run as?")
                    .because("the grant's subject does not name exactly one")
                    .advise("say --user USER"));
}

// Where execvp would find the command, with symbolic links resolved; empty if nowhere.
static std::string real_executable(const std::string& command) {
    const char* path = command.contains('/') ? nullptr : std::getenv("PATH");
    std::vector<std::string> tried;
    if (path == nullptr) tried.push_back(command);
    for (const auto folder : path ? split(path, ':') : std::vector<std::string_view>{})
        tried.push_back(fmt::format("{}/{}", folder.empty() ? "." : folder, command));
    for (const auto& candidate : tried) {
        std::error_code problem;
        const auto real = std::filesystem::canonical(candidate, problem);
        if (!problem && ::access(real.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(real, problem))
            return real;
    }
    return "";
}

Result<grant::Opener> opener_of(const grant::Resolved& grant, const kernel::User& user,
                                const std::vector<std::string>& command) {
    grant::Opener opener{.uid = user.uid,
                         .user = user.name,
                         .gids = {user.groups.begin(), user.groups.end()},
                         .groups = user.group_names};
    if (grant::asks_for(grant, grant::SubjectKey::cgroup))
        for (const std::string text = BW_TRY(kernel::read_file("/proc/self/cgroup"));
             const auto line : split(text, '\n'))
            if (line.starts_with("0::")) opener.cgroup = line.substr(3);
    if (command.empty()) return opener;
    opener.exe = real_executable(command.front());
    if (!opener.exe.empty() && grant::asks_for(grant, grant::SubjectKey::exe_sha256)) {
        const UniqueFd file(::open(opener.exe.c_str(), O_RDONLY | O_CLOEXEC));
        if (!file) return fail_errno("opening " + opener.exe);
        opener.exe_sha256 = BW_TRY(trust::sha256_of_file(file));
    }
    return opener;
}

}  // namespace bpfwarden::cli
