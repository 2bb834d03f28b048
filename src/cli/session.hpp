// SPDX-License-Identifier: Apache-2.0
// `bpfwarden session …`, and what of `bpfwarden grant …` asks the daemon.
#pragma once

#include "broker/control.hpp"
#include "cli/command.hpp"

namespace bpfwarden::cli {

Result<int> session_list(const Args& args);
Result<int> session_show(const Args& args);
Result<int> session_revoke(const Args& args);
Result<int> session_metrics(const Args& args);
Result<int> session_attach(const Args& args);
Result<int> session_supervise(const Args& args);
Result<int> grant_reload(const Args& args);
Result<int> grant_revoke(const Args& args);

// The session with this id, or with the only id that begins so.
Result<broker::SessionRecord> find_session(broker::Control& control, const std::string& id);

}  // namespace bpfwarden::cli
