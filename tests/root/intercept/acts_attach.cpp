// SPDX-License-Identifier: Apache-2.0
// Programs where they run: perf events, links, elements of maps, sockets.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <fstream>

#include "act.hpp"
#include "attach.hpp"
#include "raw.hpp"

namespace bpfwarden::test {

using namespace raw;

int tracepoint_id(const std::string& name, const std::string& top) {
    std::ifstream file(top + "/events/" + name + "/id");
    int id = -1;
    file >> id;
    return id;
}

int open_tracepoint(int id) {
    perf_event_attr attr{};
    attr.type = PERF_TYPE_TRACEPOINT;
    attr.size = sizeof attr;
    attr.config = static_cast<unsigned>(id);
    attr.sample_period = 1;
    attr.wakeup_events = 1;
    return static_cast<int>(::syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
}

void stay_on_first_processor() {
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    (void)::sched_setaffinity(0, sizeof first, &first);
}

std::uint64_t calls_seen(int map) {
    const auto before = first_element(map);
    for (int i = 0; i < 10; ++i) (void)::syscall(SYS_getppid);
    return first_element(map) - before;
}

Counter::Counter() : map(create_map()), program(load(BPF_PROG_TYPE_TRACEPOINT, count_in(map))) {
    stay_on_first_processor();
    event = open_tracepoint(tracepoint_id("syscalls/sys_enter_getppid"));
}
bool Counter::is_ready() const { return map >= 0 && program >= 0 && event >= 0; }
std::string Counter::words() const {
    return std::string(map >= 0 ? "map" : "no map") + (program >= 0 ? ", program" : ", no program") +
           (event >= 0 ? ", event" : ", no event");
}

static std::string seen(int map) { return std::to_string(calls_seen(map)); }

// A link to a perf event: counts while it is open.
BW_ACT(by_link, "by-link") {
    const Counter counter;
    if (!counter.is_ready()) return counter.words();
    const int made = link(counter.program, counter.event, BPF_PERF_EVENT);
    std::string text = word(made);
    text += " " + word(::ioctl(counter.event, PERF_EVENT_IOC_ENABLE, 0));
    text += " " + seen(counter.map);
    // It is the real event: what the kernel does with it needs nobody.
    text += " " + word(::ioctl(counter.event, PERF_EVENT_IOC_DISABLE, 0));
    text += " " + seen(counter.map);
    text += " " + word(::ioctl(counter.event, PERF_EVENT_IOC_ENABLE, 0));
    text += " " + seen(counter.map);
    ::close(made);
    say_line(text);
    (void)hear_line();
    // Its end is told to another process.
    for (int i = 0; i < 1000 && calls_seen(counter.map) != 0; ++i) ::usleep(10'000);
    return seen(counter.map);
}

// By the ioctl, as libbpf does on old kernels, and everybody before it. In the end: the fd closed.
BW_ACT(by_ioctl, "by-ioctl") {
    const Counter counter;
    if (!counter.is_ready()) return counter.words();
    const int event = counter.event;
    std::uint64_t id = 0;
    std::string text = "before: " + word(::ioctl(event, PERF_EVENT_IOC_ID, &id));
    text += " " + word(::ioctl(event, PERF_EVENT_IOC_SET_BPF, counter.program));
    text += ", enabled: " + word(::ioctl(event, PERF_EVENT_IOC_ENABLE, 0));
    text += " " + seen(counter.map);
    text += ", disabled: " + word(::ioctl(event, PERF_EVENT_IOC_DISABLE, 0));
    text += " " + seen(counter.map);
    text += ", enabled: " + word(::ioctl(event, PERF_EVENT_IOC_ENABLE, 0));
    text += " " + seen(counter.map);
    std::uint64_t same = 0;
    text += ", id: " + word(::ioctl(event, PERF_EVENT_IOC_ID, &same));
    text += id != 0 && id == same ? " same" : " other";
    text += ", nowhere: " + word(::ioctl(event, PERF_EVENT_IOC_ID, 8));
    text += ", again: " + word(::ioctl(event, PERF_EVENT_IOC_SET_BPF, counter.program));
    text += ", close on exec: " + std::to_string(::fcntl(event, F_GETFD));
    // A copy of the number is the same thing.
    const int copy = ::dup(event);
    ::close(event);
    text += ", a copy: " + seen(counter.map);
    ::close(counter.program);
    say_line(text + ", without the program: " + seen(counter.map));
    (void)hear_line();
    ::close(copy);
    for (int i = 0; i < 1000 && calls_seen(counter.map) != 0; ++i) ::usleep(10'000);
    return seen(counter.map);
}

// By the ioctl at a clock, whose overflows are what its program counts: none while it is disabled.
BW_ACT(clock, "clock") {
    const int map = create_map();
    const int program = load(BPF_PROG_TYPE_PERF_EVENT, count_in(map));
    perf_event_attr attr{};
    attr.type = PERF_TYPE_SOFTWARE;
    attr.size = sizeof attr;
    attr.config = PERF_COUNT_SW_TASK_CLOCK;
    attr.sample_period = 100'000;
    attr.disabled = 1;
    const int event = static_cast<int>(::syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
    if (program < 0 || event < 0) return "program " + std::to_string(program) + ", event " + std::to_string(event);
    const auto counts = [&] {
        const auto before = first_element(map);
        for (unsigned i = 0; i < 20'000'000; ++i) asm volatile("");
        return first_element(map) == before ? " nothing" : " counts";
    };
    std::string text = word(::ioctl(event, PERF_EVENT_IOC_SET_BPF, program));
    text += counts();
    text += ", enabled " + word(::ioctl(event, PERF_EVENT_IOC_ENABLE, 0));
    text += counts();
    text += ", disabled " + word(::ioctl(event, PERF_EVENT_IOC_DISABLE, 0));
    text += counts();
    return text;
}

BW_ACT(wrong_ioctls, "wrong-ioctls") {
    const Counter counter;
    if (!counter.is_ready()) return counter.words();
    const int filter = load();
    std::string text = word(::ioctl(counter.event, PERF_EVENT_IOC_SET_BPF, 900));
    text += " " + word(::ioctl(counter.event, PERF_EVENT_IOC_SET_BPF, -1));
    text += " " + word(::ioctl(counter.event, PERF_EVENT_IOC_SET_BPF, filter));
    text += " " + word(::ioctl(900, PERF_EVENT_IOC_SET_BPF, counter.program));
    text += " " + word(::ioctl(1, PERF_EVENT_IOC_SET_BPF, counter.program));
    text += " " + word(::ioctl(1, PERF_EVENT_IOC_ENABLE, 0));
    std::array<std::uint32_t, 18> query{};
    query[0] = 16;
    text += ", query " + word(::ioctl(counter.event, PERF_EVENT_IOC_QUERY_BPF, query.data()));
    return text + ", a map " + word(::ioctl(counter.event, PERF_EVENT_IOC_SET_BPF, counter.map));
}

// An event that the grant does not name, and one that anybody may have.
BW_ACT(events, "events") {
    std::string text =
        word(open_tracepoint(std::stoi(args.at(0)))) + " " + word(open_tracepoint(std::stoi(args.at(1))));
    perf_event_attr attr{};
    attr.type = PERF_TYPE_SOFTWARE;
    attr.size = sizeof attr;
    attr.config = PERF_COUNT_SW_TASK_CLOCK;
    attr.exclude_kernel = 1;
    attr.exclude_hv = 1;
    return text + ", own clock " + word(::syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

BW_ACT(raw_tracepoint, "raw-tracepoint") {
    const int map = create_map();
    const int program = load(BPF_PROG_TYPE_RAW_TRACEPOINT, count_in(map));
    bpf_attr attr{};
    attr.raw_tracepoint.name = address(args.at(0).c_str());
    attr.raw_tracepoint.prog_fd = static_cast<__u32>(program);
    return word(program) + " " + word(sys_bpf(BPF_RAW_TRACEPOINT_OPEN, attr));
}

// r0 = what the program in slot 0 returns, or 7 if there is none.
static Code tail_call(int programs) {
    return {insn(BPF_LD | BPF_IMM | BPF_DW, 2, BPF_PSEUDO_MAP_FD, 0, programs),
            insn(0, 0, 0, 0, 0),
            insn(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 0),
            insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call),
            insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 7),
            insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)};
}
static std::string returned(int program) {
    std::array<std::byte, 64> packet{};
    bpf_attr attr{};
    attr.test.prog_fd = static_cast<__u32>(program);
    attr.test.data_in = address(packet.data());
    attr.test.data_size_in = packet.size();
    if (sys_bpf(BPF_PROG_TEST_RUN, attr) != 0) return ::strerrorname_np(errno);
    return std::to_string(attr.test.retval);
}
static std::string put(int map, std::uint32_t slot, int program, std::uint64_t flags = 0) {
    bpf_attr attr{};
    attr.map_fd = static_cast<__u32>(map);
    attr.key = address(&slot);
    attr.value = address(&program);
    attr.flags = flags;
    return word(sys_bpf(BPF_MAP_UPDATE_ELEM, attr));
}

BW_ACT(tail_calls, "tail-calls") {
    const int programs = create_map(BPF_MAP_TYPE_PROG_ARRAY, 2, 4);
    std::string text = word(programs);
    const int caller = load(BPF_PROG_TYPE_SOCKET_FILTER, tail_call(programs));
    const int callee = load(BPF_PROG_TYPE_SOCKET_FILTER, return_value(42));
    text += " " + word(caller) + " " + word(callee);
    text += ", " + returned(caller);
    text += ", " + put(programs, 0, callee);
    text += " " + returned(caller);
    // What closes the program's fd leaves it in the array, as the kernel has it.
    ::close(callee);
    text += ", closed " + returned(caller);
    std::uint32_t slot = 0;
    bpf_attr attr{};
    attr.map_fd = static_cast<__u32>(programs);
    attr.key = address(&slot);
    text += ", taken out " + word(sys_bpf(BPF_MAP_DELETE_ELEM, attr));
    text += " " + returned(caller);
    text += ", no slot " + put(programs, 2, caller) + ", flags " + put(programs, 0, caller, 77);
    text += ", no fd " + put(programs, 0, 900) + ", a map " + put(programs, 0, programs);
    // Plain maps go on as they were.
    const int plain = create_map();
    std::uint32_t key = 0;
    std::uint64_t value = 5;
    attr = {};
    attr.map_fd = static_cast<__u32>(plain);
    attr.key = address(&key);
    attr.value = address(&value);
    text += ", plain " + word(sys_bpf(BPF_MAP_UPDATE_ELEM, attr));
    text += " " + std::to_string(first_element(plain));
    attr.value = 8;
    return text + " " + word(sys_bpf(BPF_MAP_UPDATE_ELEM, attr));
}

static int load_xdp(std::uint32_t attach) {
    const auto code = return_value(XDP_PASS);
    auto attr = load_of(BPF_PROG_TYPE_XDP, code);
    attr.expected_attach_type = attach;
    return static_cast<int>(sys_bpf(BPF_PROG_LOAD, attr));
}
// What a map for redirects says of its first element, where a program's fd stands behind a number.
static std::string put_behind(std::uint32_t map_type, std::uint32_t number, int program) {
    const int map = create_map(map_type, 1, 8);
    if (map < 0) return "no map: " + word(map);
    std::uint32_t key = 0;
    std::array<std::uint32_t, 2> value{number, static_cast<std::uint32_t>(program)};
    bpf_attr attr{};
    attr.map_fd = static_cast<__u32>(map);
    attr.key = address(&key);
    attr.value = address(value.data());
    auto text = word(sys_bpf(BPF_MAP_UPDATE_ELEM, attr));
    value = {};
    text += " " + word(sys_bpf(BPF_MAP_LOOKUP_ELEM, attr));
    // By number, which is another one each time.
    return text + " " + std::to_string(value[0]) + (value[1] != 0 ? " with a program" : " without");
}

BW_ACT(redirects, "redirects") {
    const int lo = static_cast<int>(::if_nametoindex("lo"));
    const int device = load_xdp(BPF_XDP_DEVMAP), cpu = load_xdp(BPF_XDP_CPUMAP);
    std::string text = word(device) + " " + word(cpu);
    for (const auto type : {BPF_MAP_TYPE_DEVMAP, BPF_MAP_TYPE_DEVMAP_HASH})
        text += ", " + put_behind(type, static_cast<std::uint32_t>(lo), device);
    text += ", " + put_behind(BPF_MAP_TYPE_CPUMAP, 192, cpu);
    text += ", crossed " + put_behind(BPF_MAP_TYPE_DEVMAP, static_cast<std::uint32_t>(lo), cpu);
    // No program at all.
    return text + ", " + put_behind(BPF_MAP_TYPE_DEVMAP, static_cast<std::uint32_t>(lo), 0);
}

// A program that says which of two sockets of one port gets a datagram: the second.
BW_ACT(reuseport, "reuseport") {
    std::array<int, 2> sockets{};
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    for (int& one : sockets) {
        one = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        const int yes = 1;
        (void)::setsockopt(one, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
        (void)::bind(one, reinterpret_cast<sockaddr*>(&at), sizeof at);
        (void)::getsockname(one, reinterpret_cast<sockaddr*>(&at), &size);
    }
    const int program = load(BPF_PROG_TYPE_SOCKET_FILTER, return_value(1));
    std::string text = word(program);
    text += " " + word(::setsockopt(sockets[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program, sizeof program));
    std::array<int, 2> got{};
    for (int i = 0; i < 8; ++i) {
        const int from = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        (void)::sendto(from, "x", 1, 0, reinterpret_cast<sockaddr*>(&at), sizeof at);
        ::close(from);
    }
    char byte = 0;
    for (std::size_t i = 0; i < sockets.size(); ++i)
        while (::recv(sockets[i], &byte, 1, MSG_DONTWAIT) == 1) ++got[i];
    return text + (got[1] == 8 ? ", all to the second" : ", shared out");
}

// A filter that drops all, at a socket: whether the datagram arrives.
BW_ACT(socket_filter, "socket-filter") {
    std::array<int, 2> pair{};
    (void)::socketpair(AF_UNIX, SOCK_DGRAM, 0, pair.data());
    const int program = load(BPF_PROG_TYPE_SOCKET_FILTER, return_value(0));
    std::string text = word(program);
    text += " " + word(::setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof program));
    (void)!::send(pair[0], "x", 1, MSG_DONTWAIT);
    char byte = 0;
    text += ::recv(pair[1], &byte, 1, MSG_DONTWAIT) == 1 ? " arrives" : " dropped";
    // Its value too short, nowhere, no program at all, no socket.
    text += ", " + word(::setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_BPF, &program, 2));
    text += " " + word(::syscall(SYS_setsockopt, pair[1], SOL_SOCKET, SO_ATTACH_BPF, 8, 4));
    const int none = 900;
    text += " " + word(::setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_BPF, &none, sizeof none));
    text += " " + word(::setsockopt(1, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof program));
    return text;
}

}  // namespace bpfwarden::test
