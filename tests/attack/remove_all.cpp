// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_unlink for each pin, then inode_rmdir.
#include <filesystem>

#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    std::error_code error;
    std::filesystem::remove_all(at.pins, error);
    return error.value();
}
static const Registered vector{"remove_all", {.what = "rm -rf of the directory of the pins", .act = act}};

}  // namespace bpfwarden::test
