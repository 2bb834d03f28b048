// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: the clone alone goes, and no hook sees it.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    const int copy = ::open_tree(AT_FDCWD, at.mount.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return copy < 0 ? errno : status_of(::close(copy));
}
static const Registered vector{
    "clone_tree", {.what = "open_tree() clones the bpffs, and the clone ends", .act = act, .loses = Loses::nothing}};

}  // namespace bpfwarden::test
