// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: works; none asks for the descriptor's mode. Seen by bpf_map(the map, read), bpf(BPF_PROG_LOAD,
// BPF_TRACE_ITER), bpf(BPF_LINK_CREATE, BPF_TRACE_ITER, the map's descriptor in memory of the user).
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static int act(const Place& at) {
    LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = BPF_F_RDONLY);
    const int map = ::bpf_obj_get_opts(at.pin("refused").c_str(), &options);
    if (map < 0) return errno;
    Hostile hostile("clear_each");
    if (hostile.load() < 0) return errno;
    bpf_iter_link_info info{};
    info.map.map_fd = static_cast<__u32>(map);
    LIBBPF_OPTS(bpf_iter_attach_opts, over, .link_info = &info, .link_info_len = sizeof info);
    const auto* link = bpf_program__attach_iter(hostile.program, &over);
    if (link == nullptr) return errno;
    const int run = ::bpf_iter_create(bpf_link__fd(link));
    char none[1];
    return run < 0 ? errno : status_of(::read(run, none, sizeof none));
}
static const Registered vector{
    "map_iterator", {.what = "an iterator over a read-only descriptor of the map writes the values", .act = act}};

}  // namespace bpfwarden::test
