// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_rename(…, old dentry, …, new dentry = the pin, with an inode).
#include <cstdio>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) { return status_of(::rename(at.pin("refused").c_str(), at.pin("link").c_str())); }
static const Registered vector{"rename_onto_pin", {.what = "another pin is renamed onto the pin", .act = act}};

}  // namespace bpfwarden::test
