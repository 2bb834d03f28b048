// SPDX-License-Identifier: Apache-2.0
#include "attack/helper.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "attack/acts.hpp"
#include "attack/eventually.hpp"

namespace bpfwarden::test {

namespace fs = std::filesystem;

void write_helper(const Place& at) {
    // The same process removes them, so that its number is known.
    std::ofstream(helper_program) << "#!/bin/sh\necho $$ >" << other_actor << "\nexec /bin/busybox rm -rf /proc/"
                                  << ::getpid() << "/root" << at.pins << "\n";
    fs::permissions(helper_program, fs::perms::owner_all);
}

int helper_has_run() {
    const auto has_run = [] {
        const auto number = text_of(other_actor);
        return number.ends_with('\n') && !fs::exists("/proc/" + number.substr(0, number.size() - 1));
    };
    return eventually(std::chrono::seconds(20), has_run) ? 0 : ETIMEDOUT;
}

}  // namespace bpfwarden::test
