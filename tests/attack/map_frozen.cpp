// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. Seen by bpf(BPF_MAP_FREEZE, a descriptor).
#include <bpf/bpf.h>
#include <fcntl.h>
#include <fstream>
#include <string>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static bool is_frozen(const Place& at) {
    LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = BPF_F_RDONLY);
    const int map = ::bpf_obj_get_opts(at.pin("refused").c_str(), &options);
    std::ifstream about("/proc/self/fdinfo/" + std::to_string(map));
    for (std::string line; std::getline(about, line);)
        if (line == "frozen:\t1") return true;
    return false;
}

static int act(const Place&) {
    const int map = map_by_id("refused");
    return map < 0 ? errno : status_of(::bpf_map_freeze(map));
}
static const Registered vector{"map_frozen",
                               {.what = "BPF_MAP_FREEZE: the policy decides, its owner cannot change the map any more",
                                .act = act,
                                .loses = Loses::other,
                                .achieved = is_frozen}};

}  // namespace bpfwarden::test
