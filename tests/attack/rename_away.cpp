// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_rename(…, the pin, …, a dentry without an inode).
#include <cstdio>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    return status_of(::rename(at.pin("link").c_str(), (at.mount + "/elsewhere").c_str()));
}
static const Registered vector{"rename_away",
                               {.what = "the pin is renamed: the policy decides, its owner does not find it",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = pin_is_hidden}};

}  // namespace bpfwarden::test
