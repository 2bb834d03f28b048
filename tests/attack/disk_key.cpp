// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. It is read by the tools that check signatures; who may change what is sealed has no key.
#include "attack/attack.hpp"
#include "attack/disk.hpp"

namespace bpfwarden::test {

namespace fs = std::filesystem;

static const fs::path file = "/etc/bpfwarden/keys/hostile.pem";
static bool is_there(const Place&) { return fs::exists(file); }
static int act(const Place&) { return write_file(file, "a key\n"); }
static void as_before() { fs::remove(file); }
static const Registered vector{"disk_key",
                               {.what = "a key of the attacker is put among those that are trusted",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = is_there,
                                .clean_up = as_before,
                                .not_held = kept_by_an_image}};

}  // namespace bpfwarden::test
