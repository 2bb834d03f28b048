// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by inode_rename, as any file. What runs has the old one; what is in force has none.
#include <sys/stat.h>
#include <unistd.h>

#include "attack/attack.hpp"
#include "attack/disk.hpp"

namespace bpfwarden::test {

static const std::string program = "/bpfwarden/bin/bpfwarden-guard", old = program + ".old",
                         hostile = program + ".hostile";
static bool is_replaced(const Place&) {
    struct stat now{};
    return ::stat(program.c_str(), &now) == 0 && now.st_size < 100;
}
static int act(const Place&) {
    if (const int status = write_file(hostile, "#!/bin/sh\n")) return status;
    return steps([] { return ::link(program.c_str(), old.c_str()); },
                 [] { return ::rename(hostile.c_str(), program.c_str()); });
}
static void as_before() { ::rename(old.c_str(), program.c_str()); }
static const Registered vector{"disk_binary",
                               {.what = "the guard's program is replaced",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = is_replaced,
                                .clean_up = as_before,
                                .not_held = kept_by_an_image}};

}  // namespace bpfwarden::test
