// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_symlink, as any file.
#include <unistd.h>

#include <filesystem>

#include "attack/attack.hpp"
#include "attack/disk.hpp"

namespace bpfwarden::test {

static const std::string folder = "/etc/systemd/system", unit = folder + "/bpfwarden-guard.service";
static bool is_masked(const Place&) {
    char target[16];
    return ::readlink(unit.c_str(), target, sizeof target) > 0;
}
static int act(const Place&) {
    std::filesystem::create_directories(folder);
    return status_of(::symlink("/dev/null", unit.c_str()));
}
static void as_before() { ::unlink(unit.c_str()); }
static const Registered vector{"disk_unit",
                               {.what = "the guard's unit is masked",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = is_masked,
                                .clean_up = as_before,
                                .not_held = kept_by_an_image}};

}  // namespace bpfwarden::test
