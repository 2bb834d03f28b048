// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. It is read at the start. Under a seal only the updater applies policies.
#include "attack/attack.hpp"
#include "attack/disk.hpp"

namespace bpfwarden::test {

namespace fs = std::filesystem;

static const fs::path file = "/etc/bpfwarden/policies.d/hostile.toml";
static bool is_there(const Place&) { return fs::exists(file); }
static int act(const Place&) { return write_file(file, "format = 1\n"); }
static void as_before() { fs::remove(file); }
static const Registered vector{"disk_policy",
                               {.what = "a policy is written among those for the start",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = is_there,
                                .clean_up = as_before,
                                .not_held = kept_by_an_image}};

}  // namespace bpfwarden::test
