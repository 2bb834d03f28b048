// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works. BPF_OBJ_PIN does not look at the descriptor's mode. Seen by bpf_map(the map, read) first, then
// bpf_map(the map, read and write).
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mount.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    if (const int status = make_stage()) return status;
    LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = BPF_F_RDONLY);
    const int map = ::bpf_obj_get_opts(at.pin("refused").c_str(), &options);
    const auto pin = on_stage + "/map";
    if (const int status =
            steps([&] { return map; }, [] { return ::mount("bpf", on_stage.c_str(), "bpf", 0, nullptr); },
                  [&] { return ::bpf_obj_pin(map, pin.c_str()); }))
        return status;
    return remove_the_key(::bpf_obj_get(pin.c_str()));
}
static const Registered vector{
    "map_repinned",
    {.what = "a read-only descriptor of the map is pinned in another bpffs, where the map is got for writing",
     .act = act}};

}  // namespace bpfwarden::test
