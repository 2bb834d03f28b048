// SPDX-License-Identifier: Apache-2.0
// Programs that run: where they are attached, and that they do no longer when their command, or its session, says so.
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "supervised.hpp"

namespace bpfwarden::test {

namespace {

using Numbers = std::set<std::uint32_t>;
// All of the machine.
Numbers all(unsigned command) {
    Numbers found;
    bpf_attr attr{};
    while (::syscall(SYS_bpf, command, &attr, sizeof attr) == 0) {
        found.insert(attr.next_id);
        attr.start_id = attr.next_id;
    }
    return found;
}
struct Objects {
    Numbers programs = all(BPF_PROG_GET_NEXT_ID), links = all(BPF_LINK_GET_NEXT_ID);
    // Of those that there are now and were not then: how many of each.
    std::size_t new_programs(const Objects& now) const { return more(programs, now.programs); }
    std::size_t new_links(const Objects& now) const { return more(links, now.links); }

  private:
    static std::size_t more(const Numbers& before, const Numbers& now) {
        return static_cast<std::size_t>(
            std::ranges::count_if(now, [&](std::uint32_t id) { return !before.contains(id); }));
    }
};

int id_of(const std::string& tracepoint) {
    std::ifstream file("/sys/kernel/tracing/events/" + tracepoint + "/id");
    int id = 0;
    file >> id;
    return id;
}

std::string without(std::string grant, const std::string& part) {
    const auto at = grant.find(part);
    EXPECT_NE(at, std::string::npos) << part;
    return grant.erase(at, part.size());
}

}  // namespace

TEST(Attached, ALinkCountsWhileItIsOpen) {
    Daemon daemon({{"tracing", tracing_rights}});
    const Objects before;
    Running command(supervised(daemon, "tracing", {"by-link"}));
    // The program of a tracepoint runs whether the event is enabled or not: the kernel's own way.
    EXPECT_EQ(command.read_line(), "ok ok 10 ok 10 ok 10");
    EXPECT_TRUE(eventually([&] { return before.new_links({}) == 0; })) << "the link is closed";
    EXPECT_EQ(before.new_programs({}), 1U);
    command.write("go\n");
    const auto ended = command.wait();
    EXPECT_EQ(ended.out, "0") << ended.text();
    EXPECT_TRUE(eventually([&] { return before.new_programs({}) == 0; }));
}

TEST(Attached, AnEventThatIsGivenAProgramIsItsLink) {
    Daemon daemon({{"tracing", tracing_rights}});
    const Objects before;
    Running command(supervised(daemon, "tracing", {"by-ioctl"}));
    Running of_root(start_of_root(daemon, {"by-ioctl"}));
    const auto said = command.read_line();
    EXPECT_EQ(said, of_root.read_line());
    EXPECT_EQ(said,
              "before: ok ok, enabled: ok 10, disabled: ok 10, enabled: ok 10, id: ok same, nowhere: EFAULT, again: "
              "EEXIST, close on exec: 1, a copy: 10, without the program: 10");
    // The other one has no link: the program is the event's.
    EXPECT_EQ(before.new_links({}), 1U);
    EXPECT_EQ(before.new_programs({}), 2U);
    (void)of_root.wait();
    command.write("go\n");
    const auto ended = command.wait();
    EXPECT_EQ(ended.out, "0") << ended.text();
    EXPECT_TRUE(eventually([&] { return before.new_links({}) == 0 && before.new_programs({}) == 0; }));
}

TEST(Attached, AnEventThatIsItsLinkIsSwitchedOffAndOn) {
    Daemon daemon({{"clock", "dangerous = ['kernel_read']\n" +
                                 allow("program_types = ['perf_event']\nmap_types = ['array']\nhelpers = "
                                       "['map_lookup_elem']\nverifier = ['any']\ncapabilities = ['bpf', 'perfmon']\n"
                                       "[targets]\nperf_events = ['software/task-clock']\n")}});
    const auto said = act(daemon, "clock", {"clock"});
    EXPECT_EQ(said, "ok nothing, enabled ok counts, disabled ok nothing");
    EXPECT_EQ(said, act_of_root(daemon, {"clock"}));
}

TEST(Attached, MistakesWithEvents) {
    Daemon daemon({{"tracing", tracing_rights}});
    const auto said = act(daemon, "tracing", {"wrong-ioctls"});
    const auto of_root = act_of_root(daemon, {"wrong-ioctls"});
    EXPECT_EQ(said.substr(0, said.find(", query")), of_root.substr(0, of_root.find(", query")));
    // Which programs there are at an event, others' too, is for no client; and a map is no program of the session.
    EXPECT_TRUE(said.ends_with(", query EACCES, a map EPERM")) << said;
    EXPECT_TRUE(of_root.ends_with(", query ok, a map EINVAL")) << of_root;
}

TEST(Attached, OnlyToEventsThatTheGrantNames) {
    Daemon daemon({{"tracing", tracing_rights}});
    const Words words{"events", std::to_string(id_of("syscalls/sys_enter_getppid")),
                      std::to_string(id_of("syscalls/sys_enter_openat"))};
    const auto said = act(daemon, "tracing", words);
    const auto of_user = act_of_user(daemon, words);
    EXPECT_TRUE(said.starts_with("ok EACCES, own clock ") || said.starts_with("ok EPERM, own clock ")) << said;
    EXPECT_EQ(said.substr(said.find(",")), of_user.substr(of_user.find(","))) << "what anybody may";
    EXPECT_TRUE(act_of_root(daemon, words).starts_with("ok ok"));
}

TEST(Attached, RawTracepoints) {
    const auto grant = [](const std::string& tracepoint) {
        return "dangerous = ['kernel_read']\n" +
               allow(
                   "program_types = ['raw_tracepoint']\nmap_types = ['array']\nhelpers = "
                   "['map_lookup_elem']\nverifier = ['any']\ncapabilities = ['bpf', 'perfmon']\n"
                   "[targets]\ntracepoints = ['" +
                   tracepoint + "']\n");
    };
    Daemon daemon({{"switches", grant("sched_switch")}, {"forks", grant("sched_process_fork")}});
    EXPECT_EQ(act(daemon, "switches", {"raw-tracepoint", "sched_switch"}), "ok ok");
    EXPECT_EQ(act(daemon, "forks", {"raw-tracepoint", "sched_switch"}), "ok EPERM");
    EXPECT_EQ(act(daemon, "forks", {"raw-tracepoint", "no_such_event"}), "ok EPERM");
}

TEST(Attached, ProgramsInMapsOfPrograms) {
    const auto with = allow(
        "program_types = ['socket_filter']\nmap_types = ['array', 'prog_array']\nhelpers = ['map_lookup_elem', "
        "'tail_call']\nverifier = ['any']\ncapabilities = ['bpf']\n");
    Daemon daemon({{"with", with}, {"without", without(with, ", 'prog_array'")}});
    const auto said = act(daemon, "with", {"tail-calls"});
    EXPECT_EQ(said, act_of_root(daemon, {"tail-calls"}));
    EXPECT_TRUE(said.starts_with("ok ok ok, 7, ok 42, closed 42, taken out ok 7, ")) << said;
    const auto refused = act(daemon, "without", {"tail-calls"});
    EXPECT_TRUE(refused.starts_with("EPERM ")) << refused;
}

TEST(Attached, ProgramsInMapsForRedirects) {
    const auto with = allow(
        "program_types = ['xdp']\nmap_types = ['devmap', 'devmap_hash', 'cpumap']\nattach_types = ['xdp_devmap', "
        "'xdp_cpumap']\nhelpers = []\nkfuncs = []\nverifier = ['any']\ncapabilities = ['bpf', 'net_admin']\n");
    Daemon daemon({{"with", with}, {"without", without(with, "'devmap', ")}});
    const auto said = act(daemon, "with", {"redirects"});
    EXPECT_EQ(said, act_of_root(daemon, {"redirects"}));
    EXPECT_TRUE(
        said.starts_with("ok ok, ok ok 1 with a program, ok ok 1 with a program, ok ok 192 with a program, "
                         "crossed EINVAL "))
        << said;
    EXPECT_TRUE(act(daemon, "without", {"redirects"}).starts_with("ok ok, no map: EPERM, ok ok 1 with a program"));
}

TEST(Attached, AProgramThatChoosesAmongSockets) {
    Daemon daemon({{"plain", filter_rights}, {"lasting", filter_rights + "[session]\nnot_revocable = true\n"}});
    const auto said = act(daemon, "lasting", {"reuseport"});
    EXPECT_EQ(said, act_of_root(daemon, {"reuseport"}));
    EXPECT_EQ(said, "ok ok, all to the second");
    EXPECT_EQ(act(daemon, "plain", {"reuseport"}), "ok EPERM, shared out");
}

TEST(Attached, AProgramAtASocketOutlivesTheSession) {
    const auto refused = filter_rights;
    Daemon daemon({{"plain", refused}, {"lasting", refused + "[session]\nnot_revocable = true\n"}});
    const auto said = act(daemon, "lasting", {"socket-filter"});
    EXPECT_EQ(said, act_of_root(daemon, {"socket-filter"}));
    EXPECT_TRUE(said.starts_with("ok ok dropped, ")) << said;
    EXPECT_TRUE(act(daemon, "plain", {"socket-filter"}).starts_with("ok EPERM arrives, "));
}

}  // namespace bpfwarden::test
