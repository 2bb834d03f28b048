// SPDX-License-Identifier: Apache-2.0
// What both ways in of `bpfwarden run` share, and the two.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.hpp"
#include "client/session.hpp"
#include "grant/danger.hpp"
#include "grant/resolve.hpp"
#include "grant/subject.hpp"
#include "grant/way.hpp"
#include "kernel/probe.hpp"
#include "kernel/user.hpp"

namespace bpfwarden::cli {

// By a kernel token, with --into too. Both give the command's status; an Error is a failure of `run` itself.
Result<int> run_with_token(const Args& args, const grant::Resolved& grant);
// By a session whose worker answers the command's own system calls. Root brings a grant; anybody else has an installed
// one opened by the daemon.
Result<int> run_intercepted(const Args& args, const grant::Resolved& grant);
Result<int> run_intercepted(const Args& args, const std::string& installed_grant);

// The command of `args`, under this session; by root as `user`, unless that is root.
Result<int> run_in_session(const Args& args, client::Session& session, const kernel::User* user, bool learning = false);

// To standard error. fmt::print() throws when nobody can read what it says.
void say(const std::string& text);

// ---- what the command line asks for

Result<long> number_option(std::string_view option, const std::string& text, long least);
Result<std::vector<int>> kept_fds(const Args& args);

// ---- may it?

// Dangers that come with this use of the grant, and that it does not acknowledge.
Result<> need_acknowledged(const grant::Resolved& grant, const grant::UseContext& context);
// Every key that this way in does not hold must be in --unenforced, and nothing else may be.
Result<> need_enforced(const Args& args, const grant::Resolved& grant, grant::Way way);

// Whether this kernel has tokens, tried once.
const kernel::Finding& token_here();

// ---- who?

// --user, or the one user that the grant is for, or root.
Result<kernel::User> command_user(const Args& args, const grant::Resolved& grant);
// The facts that the grant's subject asks for.
Result<grant::Opener> opener_of(const grant::Resolved& grant, const kernel::User& user,
                                const std::vector<std::string>& command);

}  // namespace bpfwarden::cli
