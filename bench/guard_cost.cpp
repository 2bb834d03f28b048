// SPDX-License-Identifier: Apache-2.0
// What acts take that the guard looks at, on things that are not sealed, for bench/guards.py: a line each, with ns
// (instructions in a guest that counts them). Whether there is a seal is the caller's affair.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "least.hpp"

using bpfwarden::bench::give_up;
using bpfwarden::bench::least;

namespace {

constexpr const char* place = "/srv/cost";
constexpr const char* name = "/srv/cost/file";
constexpr const char* other = "/srv/cost/other";

void must(long result, const char* what) {
    if (result < 0) give_up(what);
}

void make(const char* path) {
    const int file = ::open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    must(file, path);
    ::close(file);
}

}  // namespace

int main() {
    ::mkdir("/srv", 0755);
    ::mkdir(place, 0755);
    ::mkdir("/srv/cost/mount", 0755);
    const auto tell = [](const char* what, double cost) { std::printf("%s %.1f\n", what, cost); };
    tell("open", least(3000, [] { ::close(::open("/etc/passwd", O_RDONLY | O_CLOEXEC)); }));
    // With what has to be done before each; that costs the same without a seal.
    tell("unlink", least(2000, [] {
             make(name);
             must(::unlink(name), "unlink");
         }));
    make(name);
    const char* from = name;
    const char* to = other;
    tell("rename", least(2000, [&] {
             must(::rename(from, to), "rename");
             std::swap(from, to);
         }));
    tell("mount", least(300, [] {
             must(::mount("cost", "/srv/cost/mount", "tmpfs", 0, nullptr), "mount");
             must(::umount2("/srv/cost/mount", 0), "umount");
         }));
    const pid_t other_process = ::fork();
    if (other_process == 0) {
        ::signal(SIGURG, SIG_IGN);
        for (;;) ::pause();
    }
    tell("kill", least(3000, [&] { must(::kill(other_process, SIGURG), "kill"); }));
    ::kill(other_process, SIGKILL);
    const int map = ::bpf_map_create(BPF_MAP_TYPE_ARRAY, "cost", 4, 8, 1, nullptr);
    must(map, "map");
    const unsigned key = 0;
    unsigned long long value = 0;
    tell("map_update", least(3000, [&] { must(::bpf_map_update_elem(map, &key, &value, BPF_ANY), "update"); }));
    return 0;
}
