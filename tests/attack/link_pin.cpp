// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_link, then inode_unlink: with another name left, nothing is let go.
#include <unistd.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    const auto pin = at.pin("link"), other = at.mount + "/other";
    return steps([&] { return ::link(pin.c_str(), other.c_str()); }, [&] { return ::unlink(pin.c_str()); });
}
static const Registered vector{
    "link_pin",
    {.what = "the pin gets another name and loses its own: the policy decides, its owner does not find it",
     .act = act,
     .loses = Loses::other,
     .achieved = pin_is_hidden}};

}  // namespace bpfwarden::test
