// SPDX-License-Identifier: Apache-2.0
// Attaching, and taking back: where a session's programs may run, and that they stop.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "daemon.hpp"
#include "kernel/mount.hpp"

namespace bpfwarden::test {

namespace {

// Two cgroups, one below the other, that are gone after the test.
class Cgroups {
  public:
    Cgroups() {
        const auto mounts = kernel::mount_table().value();
        for (const auto& mount : mounts)
            if (mount.file_system == "cgroup2" && mount.root == "/") root_ = mount.path;
        name_ = "/bpfwarden-attach-" + std::to_string(::getpid());
        ::mkdir(outer().c_str(), 0755);
        ::mkdir(inner().c_str(), 0755);
    }
    ~Cgroups() {
        eventually([&] { return ::rmdir(inner().c_str()) == 0 || errno == ENOENT; });
        eventually([&] { return ::rmdir(outer().c_str()) == 0 || errno == ENOENT; });
    }
    std::string root() const { return root_; }
    std::string outer() const { return root_ + name_; }
    std::string inner() const { return outer() + "/inner"; }
    std::string outer_name() const { return name_; }
    std::string inner_name() const { return name_ + "/inner"; }

  private:
    std::string root_, name_;
};

int open_directory(const std::string& path) { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }

// Sends one datagram to itself over loopback; whether it was let out.
bool sends(const char* address) {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(9);
    ::inet_pton(AF_INET, address, &to.sin_addr);
    const bool sent = ::sendto(socket, "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) == 1;
    ::close(socket);
    return sent;
}

// cgroup_skb at egress: drops what goes to 127.0.0.2 (in network order at offset 16 of the IP header).
std::vector<bpf_insn> drop_second_address() {
    return {{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1, .off = 0, .imm = 0},
            {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .src_reg = 0, .off = 0, .imm = 16},
            {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 3, .src_reg = 10, .off = 0, .imm = 0},
            {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 3, .src_reg = 0, .off = 0, .imm = -8},
            {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 4, .src_reg = 0, .off = 0, .imm = 4},
            {.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = BPF_FUNC_skb_load_bytes},
            {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 1, .src_reg = 10, .off = -8, .imm = 0},
            {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 1},
            {.code = BPF_JMP | BPF_JNE | BPF_K,
             .dst_reg = 1,
             .src_reg = 0,
             .off = 1,
             .imm = static_cast<int>(htonl(0x7f000002))},
            {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
            {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
}

std::string firewall(const Cgroups& cgroups) {
    return allow(
        "program_types = ['cgroup_skb']\nattach_types = ['cgroup_inet_egress', 'cgroup_inet_ingress']\n"
        "map_types = ['array']\nhelpers = ['skb_load_bytes', 'map_lookup_elem']\nverifier = ['any']\n"
        "capabilities = ['bpf', 'net_admin']\n[targets]\ncgroups = ['" +
        cgroups.inner_name() + "', '" + cgroups.inner_name() + "/**']\n");
}

}  // namespace

TEST(Attach, AFilterOnOnesOwnSubtreeAndNotOneLevelUp) {
    Cgroups cgroups;
    Daemon daemon({{"firewall", firewall(cgroups)}});
    Actor owner(test_user(), [&](Actor& actor) {
        auto* session = ::bpfw_open("firewall");
        const int program =
            load_program(session, BPF_PROG_TYPE_CGROUP_SKB, drop_second_address(), BPF_CGROUP_INET_EGRESS);
        if (program < 0) return actor.say(std::string("load: ") + ::bpfw_error());
        const auto above = outcome(link(session, program, open_directory(cgroups.outer()), BPF_CGROUP_INET_EGRESS));
        const auto root = outcome(link(session, program, open_directory(cgroups.root()), BPF_CGROUP_INET_EGRESS));
        actor.say(outcome(link(session, program, open_directory(cgroups.inner()), BPF_CGROUP_INET_EGRESS)) + ", " +
                  above + ", " + root);
        (void)actor.listen();
    });
    EXPECT_EQ(owner.hear(), "ok, EPERM targets.cgroups, EPERM targets.cgroups");
    const auto inside = [&] {
        return as_user(0, [&] {
            std::ofstream(cgroups.inner() + "/cgroup.procs") << ::getpid();
            return std::string(sends("127.0.0.1") ? "yes " : "no ") + (sends("127.0.0.2") ? "yes" : "no");
        });
    };
    EXPECT_EQ(inside(), "yes no");
    EXPECT_TRUE(sends("127.0.0.2")) << "outside of the cgroup";
    // Revoked: the filter is gone although the owner keeps every fd.
    EXPECT_EQ(daemon.tool({"session", "revoke", daemon.sessions().at(0)}).status, 0);
    EXPECT_EQ(inside(), "yes yes");
}

// Write permission on one file is the right to attach that type there, and nothing more.
TEST(Attach, FilesPerAttachType) {
    Cgroups cgroups;
    Daemon daemon({{"firewall", firewall(cgroups)}});
    const auto file = daemon.run_directory() + "/cgroup" + cgroups.inner_name() + "/cgroup_inet_egress";
    EXPECT_EQ(as_user(test_user(),
                      [&] {
                          auto* session = ::bpfw_open(file.c_str());
                          if (session == nullptr) return std::string(::bpfw_error());
                          const int program = load_program(session, BPF_PROG_TYPE_CGROUP_SKB, drop_second_address(),
                                                           BPF_CGROUP_INET_EGRESS);
                          const int inner = open_directory(cgroups.inner()), outer = open_directory(cgroups.outer());
                          return outcome(link(session, program, inner, BPF_CGROUP_INET_EGRESS)) + ", " +
                                 outcome(link(session, program, inner, BPF_CGROUP_INET_INGRESS)) + ", " +
                                 outcome(link(session, program, outer, BPF_CGROUP_INET_EGRESS));
                      }),
              "ok, EPERM allow.attach_types, EPERM targets.cgroups");
    EXPECT_EQ(
        as_user(other_user(), [&] { return std::string(::bpfw_open(file.c_str()) ? "ok" : ::strerrorname_np(errno)); }),
        "EACCES");
    // Opening the cgroup's own directory is not enough: the user may read it, and attaches nothing by that.
    EXPECT_EQ(as_user(test_user(),
                      [&] {
                          bpf_attr attr{};
                          attr.prog_type = BPF_PROG_TYPE_CGROUP_SKB;
                          auto code = return_value(1);
                          attr.insns = reinterpret_cast<std::uint64_t>(code.data());
                          attr.insn_cnt = 2;
                          attr.license = reinterpret_cast<std::uint64_t>("GPL");
                          const int directory = open_directory(cgroups.inner());
                          const int program = static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr));
                          return std::string(directory >= 0 ? "reads it, " : "") +
                                 (program < 0 ? "loads nothing" : "loads");
                      }),
              "reads it, loads nothing");
}

TEST(Attach, ByProgAttachAndDetach) {
    Cgroups cgroups;
    Daemon daemon({{"firewall", firewall(cgroups)}});
    EXPECT_EQ(as_user(test_user(),
                      [&] {
                          auto* session = ::bpfw_open("firewall");
                          const int program =
                              load_program(session, BPF_PROG_TYPE_CGROUP_SKB, return_value(1), BPF_CGROUP_INET_EGRESS);
                          const auto on = [&](int command, const std::string& path) {
                              bpf_attr attr{};
                              attr.target_fd = static_cast<std::uint32_t>(open_directory(path));
                              attr.attach_bpf_fd = static_cast<std::uint32_t>(program);
                              attr.attach_type = BPF_CGROUP_INET_EGRESS;
                              attr.attach_flags = command == BPF_PROG_ATTACH ? BPF_F_ALLOW_MULTI : 0;
                              return outcome(::bpfw_bpf(session, command, &attr, sizeof attr));
                          };
                          std::string said = on(BPF_PROG_ATTACH, cgroups.inner());
                          said += ", " + on(BPF_PROG_ATTACH, cgroups.outer());
                          said += ", " + on(BPF_PROG_DETACH, cgroups.inner());
                          return said + ", " + on(BPF_PROG_DETACH, cgroups.inner());
                      }),
              "ok, EPERM targets.cgroups, ok, ENOENT");
}

// What BPF_PROG_ATTACH attached ends with the session too, unless the grant says that it stays.
TEST(Attach, EndsWithTheSessionOrStays) {
    Cgroups cgroups;
    const auto text = firewall(cgroups);
    Daemon daemon({{"ends", text}, {"stays", text + "[session]\non_close = 'keep'\n"}});
    const auto attach = [&](const char* grant, int command) {
        return as_user(test_user(), [&] {
            auto* session = ::bpfw_open(grant);
            const int program =
                load_program(session, BPF_PROG_TYPE_CGROUP_SKB, drop_second_address(), BPF_CGROUP_INET_EGRESS);
            const int inner = open_directory(cgroups.inner());
            if (command == BPF_LINK_CREATE) return outcome(link(session, program, inner, BPF_CGROUP_INET_EGRESS));
            bpf_attr attr{};
            attr.target_fd = static_cast<std::uint32_t>(inner);
            attr.attach_bpf_fd = static_cast<std::uint32_t>(program);
            attr.attach_type = BPF_CGROUP_INET_EGRESS;
            return outcome(::bpfw_bpf(session, command, &attr, sizeof attr));
        });
    };
    const auto filtered = [&] {
        return as_user(0, [&] {
            std::ofstream(cgroups.inner() + "/cgroup.procs") << ::getpid();
            return std::string(sends("127.0.0.2") ? "open" : "filtered");
        });
    };
    for (const int command : {BPF_LINK_CREATE, BPF_PROG_ATTACH}) {
        EXPECT_EQ(attach("ends", command), "ok");
        EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); })) << command;
        EXPECT_EQ(filtered(), "open") << command;
        EXPECT_EQ(attach("stays", command), "ok");
        EXPECT_EQ(filtered(), "filtered") << command;
        ASSERT_EQ(daemon.sessions().size(), 1U);
        EXPECT_EQ(daemon.tool({"session", "revoke", daemon.sessions().at(0)}).status, 0);
        EXPECT_EQ(filtered(), "open") << command;
    }
}

// A stand-in is nothing to the kernel, so it cannot be attached past the broker; a real program can (the control).
TEST(StandIn, CannotBeAttachedPastTheBroker) {
    Cgroups cgroups;
    const auto text = firewall(cgroups);
    Daemon daemon({{"standing", text},
                   {"linked", text + "[session]\nhand_out = 'link'\n"},
                   {"real", text + "[session]\nhand_out = 'program'\nnot_revocable = true\n"}});
    const auto attack = [&](const char* grant) {
        return as_user(test_user(), [&] {
            auto* session = ::bpfw_open(grant);
            const int program =
                load_program(session, BPF_PROG_TYPE_CGROUP_SKB, return_value(1), BPF_CGROUP_INET_EGRESS);
            // A socket of its own takes any socket filter; any other attachment would do.
            bpf_attr attr{};
            attr.link_create.prog_fd = static_cast<std::uint32_t>(program);
            attr.link_create.target_fd = static_cast<std::uint32_t>(open_directory(cgroups.outer()));
            attr.link_create.attach_type = BPF_CGROUP_INET_EGRESS;
            const long result = ::syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof attr);
            return std::string(program < 0 ? ::bpfw_error() : result < 0 ? ::strerrorname_np(errno) : "attached");
        });
    };
    EXPECT_EQ(attack("standing"), "EINVAL");
    EXPECT_EQ(attack("linked"), "EINVAL");
    // cgroup_skb is the one kind for which the kernel asks the attaching process for CAP_NET_ADMIN; the fd was right.
    EXPECT_EQ(attack("real"), "EPERM");
}

TEST(StandIn, RealProgramsAreAttachedAnywhere) {
    const auto text = allow("program_types = ['socket_filter']\nmap_types = ['array']\ncapabilities = ['bpf']\n" +
                            everything_but_types);
    Daemon daemon({{"standing", text}, {"real", text + "[session]\nhand_out = 'program'\nnot_revocable = true\n"}});
    const auto attack = [](const char* grant) {
        return as_user(test_user(), [&] {
            auto* session = ::bpfw_open(grant);
            const int program = load_program(session, BPF_PROG_TYPE_SOCKET_FILTER);
            const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
            return std::string(::setsockopt(socket, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof program) == 0
                                   ? "attached"
                                   : ::strerrorname_np(errno));
        });
    };
    EXPECT_EQ(attack("standing"), "EINVAL");
    EXPECT_EQ(attack("real"), "attached");
}

static const std::string tracing = "dangerous = ['kernel_read']\n" +
                                   allow(
                                       "program_types = ['tracepoint', 'raw_tracepoint']\nmap_types = "
                                       "['array']\nhelpers = ['map_lookup_elem', 'map_update_elem']\n"
                                       "verifier = ['any']\ncapabilities = ['bpf', 'perfmon']\n[targets]\ntracepoints "
                                       "= ['syscalls/sys_enter_getppid', 'sys_enter']\n");

static int open_tracepoint(bpfw_session* session, const char* name) {
    const int id = ::bpfw_tracepoint_id(session, name);
    if (id < 0) return -1;
    perf_event_attr attr{};
    attr.type = PERF_TYPE_TRACEPOINT;
    attr.size = sizeof attr;
    attr.config = static_cast<unsigned>(id);
    attr.sample_period = 1;
    attr.wakeup_events = 1;
    return ::bpfw_perf_event_open(session, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
}

// The main thing: a program that runs on every call stops at the moment of the revocation, with all fds still open.
TEST(Revoke, AtracepointProgramStopsAtOnce) {
    Daemon daemon({{"tracing", tracing}});
    Actor tracer(test_user(), [](Actor& actor) {
        auto* session = ::bpfw_open("tracing");
        const int map = create_map(session);
        const int program = load_program(session, BPF_PROG_TYPE_TRACEPOINT, count_in(map, 0));
        if (program < 0) return actor.say(std::string("load: ") + ::bpfw_error());
        cpu_set_t first;
        CPU_ZERO(&first);
        CPU_SET(0, &first);
        ::sched_setaffinity(0, sizeof first, &first);
        const int event = open_tracepoint(session, "syscalls/sys_enter_getppid");
        if (event < 0) return actor.say(std::string("event: ") + ::bpfw_error());
        if (link(session, program, event, BPF_PERF_EVENT) < 0) return actor.say(std::string("link: ") + ::bpfw_error());
        ::ioctl(event, PERF_EVENT_IOC_ENABLE, 0);
        const auto count = [&] {
            for (int i = 0; i < 10; ++i) ::syscall(SYS_getppid);
            return std::to_string(first_element(map));
        };
        actor.say(count());
        (void)actor.listen();
        const auto before = std::to_string(first_element(map));
        const auto after = count();
        actor.say(before == after ? "stopped" : "runs on: " + before + " " + after);
        // And nothing of what it still holds makes it run again.
        bpf_attr attr{};
        attr.link_create.prog_fd = static_cast<std::uint32_t>(program);
        attr.link_create.target_fd = static_cast<std::uint32_t>(event);
        attr.link_create.attach_type = BPF_PERF_EVENT;
        actor.say(::syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof attr) < 0 ? ::strerrorname_np(errno)
                                                                              : "attached again");
        (void)actor.listen();
    });
    const auto first = tracer.hear();
    ASSERT_GE(std::atoi(first.c_str()), 10) << first;
    EXPECT_EQ(daemon.tool({"session", "revoke", daemon.sessions().at(0)}).status, 0);
    tracer.tell();
    EXPECT_EQ(tracer.hear(), "stopped");
    EXPECT_EQ(tracer.hear(), "EINVAL");
    tracer.tell();
}

TEST(Events, OnlyTheNamedOnes) {
    Daemon daemon({{"tracing", tracing}});
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("tracing");
                          perf_event_attr attr{};
                          attr.type = PERF_TYPE_SOFTWARE;
                          attr.size = sizeof attr;
                          attr.config = PERF_COUNT_SW_CPU_CLOCK;
                          attr.sample_period = 1000;
                          const auto own = outcome(open_tracepoint(session, "syscalls/sys_enter_getppid"));
                          const auto foreign = outcome(open_tracepoint(session, "syscalls/sys_enter_openat"));
                          const auto escape = outcome(open_tracepoint(session, "../../../../etc"));
                          const auto clock = outcome(::bpfw_perf_event_open(session, &attr, -1, 0, -1, 0));
                          return own + ", " + foreign + ", " + escape + ", " + clock;
                      }),
              "ok, EPERM targets.tracepoints, EINVAL, EPERM allow.program_types");
}

// Inherited perf events would run on in children: refused, unless the grant says that it may.
TEST(Events, InheritedOnesAreNotRevocable) {
    const auto grant = [](const char* session) {
        return "dangerous = ['kernel_read']\n" +
               allow(std::string(
                         "program_types = ['perf_event']\nmap_types = ['array']\nhelpers = "
                         "['map_lookup_elem']\nverifier = ['any']\n"
                         "capabilities = ['bpf', 'perfmon']\n[targets]\nperf_events = ['software/task-clock']\n") +
                     session);
    };
    Daemon daemon({{"plain", grant("")}, {"lasting", grant("[session]\nnot_revocable = true\n")}});
    const auto inherit = [](const char* name) {
        return as_user(test_user(), [&] {
            perf_event_attr attr{};
            attr.type = PERF_TYPE_SOFTWARE;
            attr.size = sizeof attr;
            attr.config = PERF_COUNT_SW_TASK_CLOCK;
            attr.sample_period = 1'000'000;
            attr.inherit = 1;
            return outcome(::bpfw_perf_event_open(::bpfw_open(name), &attr, 0, -1, -1, 0));
        });
    };
    EXPECT_EQ(inherit("plain"), "EPERM session.not_revocable");
    EXPECT_EQ(inherit("lasting"), "ok");
}

// XDP on an interface of the opener's own network namespace: by name as that namespace has it.
TEST(Attach, InterfacesAreTheOpenersOwn) {
    Daemon daemon(
        {{"xdp",
          allow("program_types = ['xdp']\ncapabilities = ['bpf', 'net_admin']\n[targets]\ninterfaces = ['lo']\n")},
         {"none",
          allow("program_types = ['xdp']\ncapabilities = ['bpf', 'net_admin']\n[targets]\ninterfaces = ['eth*']\n")}});
    const auto attach = [](const char* grant) {
        return as_user(0, [&]() -> std::string {
            if (::unshare(CLONE_NEWNET) != 0 || ::setresuid(test_user(), test_user(), test_user()) != 0)
                return "unshare";
            auto* session = ::bpfw_open(grant);
            if (session == nullptr) return ::bpfw_error();
            const int program = load_program(session, BPF_PROG_TYPE_XDP, return_value(2), BPF_XDP);
            return outcome(link(session, program, static_cast<int>(::if_nametoindex("lo")), BPF_XDP));
        });
    };
    EXPECT_EQ(attach("xdp"), "ok");
    EXPECT_EQ(attach("none"), "EPERM targets.interfaces");
}

}  // namespace bpfwarden::test
