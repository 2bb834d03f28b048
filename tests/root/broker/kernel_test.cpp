// SPDX-License-Identifier: Apache-2.0
// What differs from kernel to kernel, or that only guests have: charging, kprobes, and the kernel's own ways around.
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "daemon.hpp"
#include "kernel/mount.hpp"

namespace bpfwarden::test {

namespace {

std::string cgroup_root() {
    const auto mounts = kernel::mount_table().value();
    for (const auto& mount : mounts)
        if (mount.file_system == "cgroup2" && mount.root == "/") return mount.path;
    return {};
}

std::uint64_t number_in(const std::string& path) {
    std::uint64_t number = 0;
    std::ifstream(path) >> number;
    return number;
}

// A leaf with the memory controller; empty where version 1 has that.
class MemoryCgroup {
  public:
    MemoryCgroup() {
        const auto root = cgroup_root();
        std::ofstream(root + "/cgroup.subtree_control") << "+memory";
        path_ = root + "/bpfwarden-memory-" + std::to_string(::getpid());
        ::mkdir(path_.c_str(), 0755);
        if (!std::filesystem::exists(path_ + "/memory.current")) {
            ::rmdir(path_.c_str());
            path_.clear();
        }
    }
    ~MemoryCgroup() {
        if (!path_.empty()) eventually([&] { return ::rmdir(path_.c_str()) == 0; });
    }
    const std::string& path() const { return path_; }
    std::uint64_t used() const { return number_in(path_ + "/memory.current"); }

  private:
    std::string path_;
};

const std::string arrays = allow("map_types = ['array']\ncapabilities = ['bpf']\n");

}  // namespace

// BPF memory counts for the cgroup that the opener was in, and its limit holds.
TEST(Charging, TheOpenersCgroupPays) {
    MemoryCgroup cgroup;
    if (cgroup.path().empty()) GTEST_SKIP() << "the memory controller is not in the version 2 hierarchy here";
    Daemon daemon({{"arrays", arrays}});
    constexpr std::uint32_t entries = 1 << 20;  // of 8 bytes
    Actor holder(0, [&](Actor& actor) {
        std::ofstream(cgroup.path() + "/cgroup.procs") << ::getpid();
        auto* session = ::bpfw_open("arrays");
        actor.say(outcome(create_map(session)));
        (void)actor.listen();
        actor.say(outcome(create_map(session, BPF_MAP_TYPE_ARRAY, entries)));
        (void)actor.listen();
        actor.say(outcome(create_map(session, BPF_MAP_TYPE_ARRAY, entries)));
        (void)actor.listen();
    });
    ASSERT_EQ(holder.hear(), "ok");
    const auto before = cgroup.used();
    holder.tell();
    ASSERT_EQ(holder.hear(), "ok");
    EXPECT_GT(cgroup.used(), before + 8 * entries * 9 / 10);
    std::ofstream(cgroup.path() + "/memory.max") << cgroup.used() + (1 << 20);
    holder.tell();
    EXPECT_EQ(holder.hear(), "ENOMEM");
    EXPECT_EQ(daemon.audit({"worker_start", "\"charged\":true"}).size(), 1U);
}

// bpf_timer_init(): such a timer fires on for as long as its map is held, whatever becomes of the program.
TEST(NotRevocable, TimersNeedTheGrantsWord) {
    const auto grant = [](const std::string& session) {
        return allow(
            "program_types = ['socket_filter']\nmap_types = ['array']\nhelpers = ['timer_init']\nverifier = "
            "['any']\ncapabilities = ['bpf']\n" +
            session);
    };
    Daemon daemon({{"plain", grant("")}, {"lasting", grant("[session]\nnot_revocable = true\n")}});
    const auto load = [](const char* name) {
        return as_user(test_user(), [&] {
            auto code = return_value(0);
            code.insert(code.begin(), {.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 169});
            return outcome(load_program(::bpfw_open(name), BPF_PROG_TYPE_SOCKET_FILTER, code));
        });
    };
    EXPECT_EQ(load("plain"), "EPERM session.not_revocable");
    // Past the broker, the kernel's verifier has its own say: the arguments are missing.
    EXPECT_EQ(load("lasting").substr(0, 5), "EACCE");
}

// A read-only map fd becomes writable by pinning it in any bpffs and getting it again, so a session gives what it is
// asked for by number whole, whatever is asked for.
TEST(ReadOnly, MapFdsByNumberWouldSayNothing) {
    Daemon daemon({{"arrays", arrays}});
    const auto said = as_user(0, [&]() -> std::string {
        if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("bpf", "/mnt", "bpf", 0, nullptr) != 0)
            return "mount";
        auto* session = ::bpfw_open("arrays");
        const int map = create_map(session);
        bpf_map_info info{};
        bpf_attr attr{};
        attr.info.bpf_fd = static_cast<std::uint32_t>(map);
        attr.info.info_len = sizeof info;
        attr.info.info = reinterpret_cast<std::uint64_t>(&info);
        if (::syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr) != 0) return "info";
        const auto get = [&](bool direct) {
            attr = {};
            attr.map_id = info.id;
            attr.open_flags = BPF_F_RDONLY;
            return direct ? static_cast<int>(::syscall(SYS_bpf, BPF_MAP_GET_FD_BY_ID, &attr, sizeof attr))
                          : ::bpfw_bpf(session, BPF_MAP_GET_FD_BY_ID, &attr, sizeof attr);
        };
        const auto by_session = outcome(get(false));
        const int read_only = get(true);  // as root past the broker: the control
        const auto write = [](int fd) {
            std::uint32_t key = 0;
            std::uint64_t value = 7;
            bpf_attr update{};
            update.map_fd = static_cast<std::uint32_t>(fd);
            update.key = reinterpret_cast<std::uint64_t>(&key);
            update.value = reinterpret_cast<std::uint64_t>(&value);
            return std::string(::syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &update, sizeof update) == 0
                                   ? "written"
                                   : ::strerrorname_np(errno));
        };
        std::string all = by_session + ", " + write(read_only);
        attr = {};
        attr.pathname = reinterpret_cast<std::uint64_t>("/mnt/map");
        attr.bpf_fd = static_cast<std::uint32_t>(read_only);
        if (::syscall(SYS_bpf, BPF_OBJ_PIN, &attr, sizeof attr) != 0) return all + ", not pinned";
        attr = {};
        attr.pathname = reinterpret_cast<std::uint64_t>("/mnt/map");
        const int again = static_cast<int>(::syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof attr));
        return all + ", pinned and " + write(again);
    });
    EXPECT_EQ(said, "ok, EPERM, pinned and written");
}

// By the function's name, as the grant has it; and its program stops with the session.
TEST(Kprobes, ByNameOfAFunction) {
    const auto type = number_in("/sys/bus/event_source/devices/kprobe/type");
    if (type == 0) GTEST_SKIP() << "no kprobes on this kernel";
    Daemon daemon(
        {{"probes", "dangerous = ['kernel_read']\n" +
                        allow("program_types = ['kprobe']\nmap_types = ['array']\nhelpers = "
                              "['map_lookup_elem']\nverifier = ['any']\n"
                              "capabilities = ['bpf', 'perfmon']\n[targets]\nfunctions = ['do_sys_openat2']\n")}});
    Actor tracer(test_user(), [&](Actor& actor) {
        auto* session = ::bpfw_open("probes");
        const int map = create_map(session);
        const int program = load_program(session, BPF_PROG_TYPE_KPROBE, count_in(map, 0));
        if (program < 0) return actor.say(std::string("load: ") + ::bpfw_error());
        const auto open_probe = [&](const char* function) {
            perf_event_attr attr{};
            attr.type = static_cast<std::uint32_t>(type);
            attr.size = sizeof attr;
            attr.config1 = reinterpret_cast<std::uint64_t>(function);
            attr.sample_period = 1;
            attr.wakeup_events = 1;
            return ::bpfw_perf_event_open(session, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
        };
        const auto refused = outcome(open_probe("do_unlinkat"));
        const int event = open_probe("do_sys_openat2");
        if (event < 0) return actor.say(std::string("event: ") + ::bpfw_error());
        if (link(session, program, event, BPF_PERF_EVENT) < 0) return actor.say(std::string("link: ") + ::bpfw_error());
        ::ioctl(event, PERF_EVENT_IOC_ENABLE, 0);
        const auto counted = [&] {
            const auto before = first_element(map);
            for (int i = 0; i < 5; ++i) ::close(::open("/dev/null", O_RDONLY));
            return first_element(map) >= before + 5;
        };
        actor.say(refused + (counted() ? " counts" : " does not count"));
        (void)actor.listen();
        actor.say(counted() ? "runs on" : "stopped");
    });
    EXPECT_EQ(tracer.hear(), "EPERM targets.functions counts");
    ASSERT_EQ(daemon.sessions().size(), 1U);
    EXPECT_EQ(daemon.tool({"session", "revoke", daemon.sessions().at(0)}).status, 0);
    tracer.tell();
    EXPECT_EQ(tracer.hear(), "stopped");
}

}  // namespace bpfwarden::test
