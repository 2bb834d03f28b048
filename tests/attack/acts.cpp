// SPDX-License-Identifier: Apache-2.0
#include "attack/acts.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "attack/world.hpp"
#include "hostile.skel.h"

namespace bpfwarden::test {

int second_namespace() { return status_of(::unshare(CLONE_NEWNS)); }

int private_namespace() {
    return steps([] { return ::unshare(CLONE_NEWNS); },
                 [] { return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr); });
}

int make_stage() {
    return steps([] { return ::mkdir(stage.c_str(), 0700); },
                 [] { return ::mount("tmpfs", stage.c_str(), "tmpfs", 0, nullptr); },
                 [] { return ::mkdir(on_stage.c_str(), 0700); });
}

int back_and_forth(const std::function<int()>& in_the_first) {
    const int first = ::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (const int status = second_namespace()) return status;
    const int second = ::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    return steps([&] { return ::setns(first, CLONE_NEWNS); }, in_the_first,
                 [&] { return ::setns(second, CLONE_NEWNS); });
}

int set_propagation(const std::string& mount, unsigned long propagation) {
    mount_attr attributes{.attr_set = 0, .attr_clr = 0, .propagation = propagation, .userns_fd = 0};
    return ::mount_setattr(AT_FDCWD, mount.c_str(), 0, &attributes, sizeof attributes);
}

// Goes through all numbers, as whoever looks for it does. What is refused on the way is told if nothing fits.
template <class Info>
static int newest(int (*next)(__u32, __u32*), int (*open)(__u32), const std::function<bool(const Info&)>& fits) {
    int found = -1, refused = ENOENT;
    for (__u32 id = 0; next(id, &id) == 0;) {
        const int fd = open(id);
        Info info{};
        __u32 size = sizeof info;
        if (fd < 0 || ::bpf_obj_get_info_by_fd(fd, &info, &size)) {
            refused = errno;
        } else if (fits(info)) {
            if (found >= 0) ::close(found);
            found = fd;
            continue;
        }
        if (fd >= 0) ::close(fd);
    }
    if (found < 0) errno = refused;
    return found;
}

int map_by_id(const std::string& name) {
    return newest<bpf_map_info>(::bpf_map_get_next_id, ::bpf_map_get_fd_by_id,
                                [&](const auto& info) { return name == info.name; });
}

int program_by_id(const std::string& name) {
    return newest<bpf_prog_info>(::bpf_prog_get_next_id, ::bpf_prog_get_fd_by_id,
                                 [&](const auto& info) { return name == info.name; });
}

int link_by_id(const std::string& name) {
    const int program = program_by_id(name);
    bpf_prog_info about{};
    __u32 size = sizeof about;
    if (program < 0 || ::bpf_obj_get_info_by_fd(program, &about, &size)) return -1;
    ::close(program);
    return newest<bpf_link_info>(::bpf_link_get_next_id, ::bpf_link_get_fd_by_id,
                                 [&](const auto& info) { return info.prog_id == about.id; });
}

int root_cgroup() { return ::open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }

int attached_to_root(int type) {
    __u32 ids[16], flags[16];
    LIBBPF_OPTS(bpf_prog_query_opts, found, .prog_ids = ids, .prog_cnt = 16, .prog_attach_flags = flags);
    if (::bpf_prog_query_opts(root_cgroup(), static_cast<bpf_attach_type>(type), &found)) return -1;
    if (found.prog_cnt == 0) return errno = ENOENT, -1;
    return ::bpf_prog_get_fd_by_id(ids[0]);
}

int remove_the_key(int map) {
    struct {
        __u64 ino, dev;
    } key{};
    if (map < 0) return errno;
    if (::bpf_map_get_next_key(map, nullptr, &key)) return errno;
    return status_of(::bpf_map_delete_elem(map, &key));
}

// Outlives the attacker.
static int keep(int link) {
    if (link < 0) return errno;
    return status_of(::bpf_obj_pin(link, "/sys/fs/bpf/hostile"));
}

int link_to_root(const char* name, int type) {
    const int program = Hostile(name).load();
    if (program < 0) return errno;
    return keep(::bpf_link_create(program, root_cgroup(), static_cast<bpf_attach_type>(type), nullptr));
}

int write_to(int fd, const char* text) { return fd < 0 ? errno : status_of(::write(fd, text, std::strlen(text))); }
int write_switch(const std::string& path, const std::string& text) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    const int status = write_to(fd, text.c_str());
    if (fd >= 0) ::close(fd);
    return status;
}
void arm_again() { (void)write_to(::open(disarming, O_WRONLY | O_CLOEXEC), "1"); }

bool pin_is_hidden(const Place& at) { return ::access(at.pin("link").c_str(), F_OK) != 0; }

bool is_read_only(const Place& at) { return ::access(at.mount.c_str(), W_OK) != 0 && errno == EROFS; }

bool owner_is_refused(const Place&) {
    ::prctl(PR_SET_NAME, "the_owner");
    return ::open((inner_secrets + "innocent").c_str(), O_RDONLY | O_CLOEXEC) < 0;
}

Hostile::Hostile(const char* name) : objects(hostile__open()) {
    program = bpf_object__find_program_by_name(objects->obj, name);
    bpf_program__set_autoload(program, true);
}

int Hostile::load() {
    if (const int error = hostile__load(objects)) {
        errno = -error;
        return -1;
    }
    return bpf_program__fd(program);
}

int Hostile::attach() {
    if (load() < 0) return errno;
    const auto* link = bpf_program__attach(program);
    return link == nullptr ? errno : keep(bpf_link__fd(link));
}

}  // namespace bpfwarden::test
