// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_rename, twice: (a, b), then (b, a). What is unlinked then is the pin's inode
// under a name that was another's.
#include <fcntl.h>
#include <unistd.h>
#include <cstdio>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    const auto link = at.pin("link"), map = at.pin("refused");
    return steps([&] { return ::renameat2(AT_FDCWD, link.c_str(), AT_FDCWD, map.c_str(), RENAME_EXCHANGE); },
                 [&] { return ::unlink(map.c_str()); });
}
static const Registered vector{
    "exchange_pin",
    {.what = "the pin and another change their names, then the pin goes by the other name", .act = act}};

}  // namespace bpfwarden::test
