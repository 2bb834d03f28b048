// SPDX-License-Identifier: Apache-2.0
// The session that a process with the preload library runs over.
#pragma once

#include "bpfwarden/bpfwarden.h"

namespace bpfwarden::preload {

// Neither BPFWARDEN_SESSION_FD nor BPFWARDEN_GRANT is set: the library then does nothing at all.
bool is_configured();
// The session, opened at its first use; nothing if that failed, with errno.
bpfw_session* session();
// With BPFWARDEN_VERBOSE, what bpfw_error() says on standard error: the program itself only knows an errno.
void explain();

}  // namespace bpfwarden::preload
