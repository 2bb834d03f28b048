// SPDX-License-Identifier: Apache-2.0
#include "attack/victim.hpp"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/fd.hpp"

namespace bpfwarden::test {

static const char* name_of(Victim victim) {
    switch (victim) {
        case Victim::connect:
            return "connect";
        case Victim::bpf:
            return "bpf";
        case Victim::sysctl:
            return "sysctl";
        case Victim::open:
        case Victim::open_in_root:
            break;
    }
    return "open";
}

int load(const World& world, Victim victim, const Place& at) {
    std::vector<std::string> words{loader, is_without_link(victim) ? "attach" : "load", name_of(victim)};
    if (!is_without_link(victim)) words.push_back(at.pins);
    words.push_back(inner_secrets + "file");
    return world.execute(words);
}

static int try_open() {
    const UniqueFd fd(::open((outer_secrets + "file").c_str(), O_RDONLY | O_CLOEXEC));
    return fd ? 0 : errno;
}

static int try_connect() {
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(9);
    to.sin_addr.s_addr = htonl(0x7f00004d);
    return status_of(::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to));
}

static int try_stats() {
    const UniqueFd stats(::bpf_enable_stats(BPF_STATS_RUN_TIME));
    return stats ? 0 : errno;
}

static int try_sysctl() {
    const UniqueFd file(::open("/proc/sys/kernel/printk_ratelimit", O_RDWR | O_CLOEXEC));
    char text[32];
    const auto size = ::read(file.get(), text, sizeof text);
    if (size <= 0) return errno;
    return status_of(::pwrite(file.get(), text, static_cast<std::size_t>(size), 0));
}

bool decides(Victim victim) {
    switch (victim) {
        case Victim::connect:
            return try_connect() == EPERM;
        case Victim::bpf:
            return try_stats() == EPERM;
        case Victim::sysctl:
            return try_sysctl() == EPERM;
        case Victim::open:
        case Victim::open_in_root:
            break;
    }
    return try_open() == EPERM;
}

// Until it does not decide, or the time is over.
static bool decides_for(Victim victim, std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (decides(victim)) {
        if (std::chrono::steady_clock::now() > end) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
}

bool ends(Victim victim) { return !decides_for(victim, std::chrono::seconds(10)); }
// From bpf(): what a map of maps has is replaced when no program can use the old one any more.
static void wait_for_a_grace_period() {
    const UniqueFd inner(::bpf_map_create(BPF_MAP_TYPE_ARRAY, "inner", 4, 4, 1, nullptr));
    LIBBPF_OPTS(bpf_map_create_opts, of_these, .inner_map_fd = static_cast<__u32>(inner.get()));
    const UniqueFd outer(::bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "outer", 4, 4, 1, &of_these));
    const __u32 zero = 0;
    const int fd = inner.get();
    EXPECT_EQ(::bpf_map_update_elem(outer.get(), &zero, &fd, BPF_ANY), 0);
}

// The kernel frees an inode of bpffs and what is mounted behind a grace period, then a link in a worker.
bool stays(Victim victim) {
    for (int i = 0; i < 2; ++i) wait_for_a_grace_period();
    return decides_for(victim, std::chrono::milliseconds(20));
}

void detach_all() {
    const UniqueFd cgroup(::open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (const auto type : {BPF_CGROUP_SYSCTL, BPF_LSM_CGROUP, BPF_CGROUP_INET4_CONNECT}) {
        // Without room for the flags, programs of lsm_cgroup are not told.
        __u32 ids[16], flags[16];
        LIBBPF_OPTS(bpf_prog_query_opts, found, .prog_ids = ids, .prog_cnt = 16, .prog_attach_flags = flags);
        if (::bpf_prog_query_opts(cgroup.get(), type, &found))
            ADD_FAILURE() << "cannot ask what is attached: " << errno;
        for (__u32 each = 0; each < found.prog_cnt; ++each) {
            const UniqueFd program(::bpf_prog_get_fd_by_id(ids[each]));
            // One that a link has attached is refused, and ends with the link.
            (void)::bpf_prog_detach2(program.get(), cgroup.get(), type);
        }
    }
}

}  // namespace bpfwarden::test
