// SPDX-License-Identifier: Apache-2.0
// What a machine does besides: the same under a seal as without one, by root who is no updater.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include <fmt/format.h>

#include "vm/guard_guest.hpp"
#include "vm/guard_programs.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;

const std::string here = place + "normal";

int mounts() {
    if (::mount("t", here.c_str(), "tmpfs", 0, nullptr)) return errno;
    const auto below = here + "/below";
    if (::mkdir(below.c_str(), 0755) || ::mount(place.c_str(), below.c_str(), nullptr, MS_BIND, nullptr) ||
        ::mount(nullptr, below.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) || ::umount(below.c_str()))
        return errno;
    if (::rename(below.c_str(), (here + "/moved").c_str()) || ::rmdir((here + "/moved").c_str())) return errno;
    if (::mount("b", here.c_str(), "bpf", 0, nullptr) || ::umount(here.c_str())) return errno;
    return status_of(::umount2(here.c_str(), MNT_DETACH));
}

int moves_a_mount() {
    const auto to = place + "folder";
    if (::unshare(CLONE_NEWNS) || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr)) return errno;
    ::mkdir(to.c_str(), 0755);
    if (::mount("t", here.c_str(), "tmpfs", 0, nullptr)) return errno;
    const int moved = status_of(::syscall(SYS_move_mount, AT_FDCWD, here.c_str(), AT_FDCWD, to.c_str(), 0));
    ::umount((moved ? here : to).c_str());
    return moved;
}

// As runc begins a container; the first process there then works.
int starts_a_container() {
    if (::unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP))
        return errno;
    return in_child([] {
        if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr)) return errno;
        if (::mount("t", here.c_str(), "tmpfs", 0, nullptr)) return errno;
        for (const char* name : {"bin", "usr", "lib", "lib64", "bpfwarden", "proc", "dev"}) {
            const auto from = fmt::format("/{}", name), to = here + from;
            struct stat there{};
            if (::stat(from.c_str(), &there)) continue;
            ::mkdir(to.c_str(), 0755);
            if (std::string(name) != "proc" && ::mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr))
                return errno;
        }
        if (::mount("proc", (here + "/proc").c_str(), "proc", 0, nullptr)) return errno;
        const UniqueFd old(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)),
            root(::open(here.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (::fchdir(root.get()) || ::syscall(SYS_pivot_root, ".", ".") || ::fchdir(old.get())) return errno;
        if (::mount(nullptr, ".", nullptr, MS_REC | MS_SLAVE, nullptr) || ::umount2(".", MNT_DETACH) || ::chdir("/"))
            return errno;
        if (::sethostname("container", 9)) return errno;
        return ::getpid() == 1 && ::access("/run", F_OK) < 0 ? std::system("echo hello > /dev/null") : 254;
    });
}

int copies_mounts_and_ends() {
    if (::unshare(CLONE_NEWNS)) return errno;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr)) return errno;
    // All of them, but where this stands.
    for (const char* path : {"/sys/kernel/tracing", "/sys/kernel/debug", "/dev/shm", "/run"})
        if (::umount2(path, MNT_DETACH)) return errno;
    return 0;
}

int bpftool(const char* words) { return std::system(fmt::format("bpftool {} > /dev/null 2>&1", words).c_str()); }
int lists_programs() { return bpftool("prog list"); }
int lists_maps() { return bpftool("map list"); }
int lists_links() { return bpftool("link list"); }
int lists_cgroups() { return bpftool("cgroup tree"); }

int traces() {
    const auto program = permit_program(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, "security_syslog");
    const UniqueFd link(::bpf_raw_tracepoint_open(nullptr, program.get()));
    return link ? 0 : errno;
}
int drops_packets() {
    const auto program = permit_program(BPF_PROG_TYPE_XDP, BPF_XDP);
    const UniqueFd link(::bpf_link_create(program.get(), static_cast<int>(::if_nametoindex("lo")), BPF_XDP, nullptr));
    return link ? 0 : errno;
}
int pins_a_map() {
    const char* pin = "/sys/fs/bpf/of-others";
    const UniqueFd map(::bpf_map_create(BPF_MAP_TYPE_HASH, "others", 4, 4, 8, nullptr));
    if (::bpf_obj_pin(map.get(), pin)) return errno;
    const UniqueFd again(::bpf_obj_get(pin));
    const __u32 key = 1;
    if (!again || ::bpf_map_update_elem(again.get(), &key, &key, BPF_ANY)) return errno;
    return status_of(::unlink(pin));
}
int restricts_a_cgroup() {
    const auto cgroup = "/sys/fs/cgroup/normal";
    ::mkdir(cgroup, 0755);
    int done = 0;
    {
        const UniqueFd at(::open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        const auto one = permit_program(BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE),
                   two = permit_program(BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE);
        const UniqueFd link(::bpf_link_create(one.get(), at.get(), BPF_CGROUP_DEVICE, nullptr));
        if (!link || ::bpf_link_update(link.get(), two.get(), nullptr) || ::bpf_link_detach(link.get())) done = errno;
        // As systemd does it.
        if (!done && (::bpf_prog_attach(one.get(), at.get(), BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI) ||
                      ::bpf_prog_detach2(one.get(), at.get(), BPF_CGROUP_DEVICE)))
            done = errno;
    }
    return ::rmdir(cgroup) ? errno : done;
}
int writes_sysctls() {
    for (const char* path : {"/proc/sys/kernel/hostname", "/proc/sys/vm/swappiness"}) {
        const auto text = text_of(path);
        const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
        if (::write(fd.get(), text.data(), text.size()) < 0) return errno;
    }
    return 0;
}
int signals_and_limits() {
    const pid_t child = ::fork();
    if (child == 0) ::pause();
    int status = 0;
    const bool done = ::setpriority(PRIO_PROCESS, static_cast<id_t>(child), 5) == 0 && ::kill(child, SIGTERM) == 0 &&
                      ::waitpid(child, &status, 0) == child;
    return done && WTERMSIG(status) == SIGTERM ? 0 : 254;
}

const std::pair<const char*, int (*)()> acts[] = {
    {"mounts", mounts},
    {"moves_a_mount", moves_a_mount},
    {"starts_a_container", starts_a_container},
    {"copies_mounts_and_ends", copies_mounts_and_ends},
    {"lists_programs", lists_programs},
    {"lists_maps", lists_maps},
    {"lists_links", lists_links},
    {"lists_cgroups", lists_cgroups},
    {"traces", traces},
    {"drops_packets", drops_packets},
    {"pins_a_map", pins_a_map},
    {"restricts_a_cgroup", restricts_a_cgroup},
    {"writes_sysctls", writes_sysctls},
    {"signals_and_limits", signals_and_limits},
};

class GuardNormal : public GuardGuest {
  protected:
    static std::map<std::string, int> all() {
        std::map<std::string, int> results;
        fs::create_directories(here);
        for (const auto& [name, act] : acts) results[name] = as_other(act);
        return results;
    }
};

TEST_F(GuardNormal, TheSameAsWithoutASeal) {
    const auto without = all();
    for (const auto& [name, result] : without) EXPECT_EQ(result, 0) << name << " does not work at all";
    seal();
    EXPECT_EQ(all(), without);
    expect_in_force();
    EXPECT_TRUE(is_mounted(enforce::sealed_bpffs));
    EXPECT_EQ(run({"guard", "status"}, without_mac_admin).status, 0);
}

}  // namespace
}  // namespace bpfwarden::test
