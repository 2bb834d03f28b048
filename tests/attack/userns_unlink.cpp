// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_unlink. Who is root outside owns the files.
#include <sched.h>
#include <unistd.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    return steps([] { return ::unshare(CLONE_NEWUSER); }, [&] { return ::unlink(at.pin("link").c_str()); });
}
static const Registered vector{
    "userns_unlink", {.what = "the pin is unlinked from a user namespace, by who is root outside", .act = act}};

}  // namespace bpfwarden::test
