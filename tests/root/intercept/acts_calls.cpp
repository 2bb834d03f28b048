// SPDX-License-Identifier: Apache-2.0
// Calls that make, load and look.
#include <linux/btf.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "act.hpp"
#include "raw.hpp"

namespace bpfwarden::test {

using namespace raw;

BW_ACT(maps, "maps") {
    const int array = create_map();
    const auto first = word(array);
    const int hash = create_map(BPF_MAP_TYPE_HASH);
    const auto second = word(hash);
    // It is the real one, and its elements are the kernel's business.
    std::uint32_t key = 0;
    std::uint64_t value = 42;
    bpf_attr attr{};
    attr.map_fd = static_cast<__u32>(array);
    attr.key = address(&key);
    attr.value = address(&value);
    const auto put = word(sys_bpf(BPF_MAP_UPDATE_ELEM, attr));
    return first + " " + second + ", " + put + " " + std::to_string(first_element(array));
}

// r0 is never set.
static Code unreadable() { return {insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)}; }

// A failing load with a log of this size and level: errno, log_true_size, the log, and what stands behind it.
BW_ACT(load_log, "load-log") {
    const auto size = static_cast<std::size_t>(std::stoul(args.at(0)));
    // Empty: a log that the kernel does not touch (one that is too short for it, before 6.4) comes back so.
    std::vector<char> log(size + 16, '\0');
    std::fill(log.begin() + static_cast<std::ptrdiff_t>(size), log.end(), '#');
    const auto code = args.at(2) == "bad" ? unreadable() : return_value(0);
    auto attr = load_of(BPF_PROG_TYPE_SOCKET_FILTER, code);
    attr.log_level = static_cast<__u32>(std::stoul(args.at(1)));
    attr.log_size = static_cast<__u32>(size);
    attr.log_buf = size == 0 ? 0 : address(log.data());
    const auto said = word(sys_bpf(BPF_PROG_LOAD, attr));
    // Statistics, and a successful load's log, say how long it took.
    std::string text(log.data(), ::strnlen(log.data(), size));
    if (const auto at = text.find("verification time"); at != std::string::npos)
        text.erase(at, text.find('\n', at) - at);
    const bool whole =
        std::all_of(log.begin() + static_cast<std::ptrdiff_t>(size), log.end(), [](char c) { return c == '#'; });
    const bool timed = args.at(1) == "4" || args.at(2) != "bad";
    return said + " " + (timed ? (attr.log_true_size > 0 ? "some" : "none") : std::to_string(attr.log_true_size)) +
           " " + (whole ? "" : "PAST THE END ") + text;
}

// BTF of one integer; `name` is where its name is among the strings.
static std::vector<char> btf_of(std::uint32_t name) {
    struct {
        btf_header header;
        btf_type type;
        std::uint32_t encoding;
        char strings[8];
    } all{};
    all.header.magic = BTF_MAGIC;
    all.header.version = BTF_VERSION;
    all.header.hdr_len = sizeof all.header;
    all.header.type_len = sizeof all.type + sizeof all.encoding;
    all.header.str_off = all.header.type_len;
    all.header.str_len = 5;
    all.type.name_off = name;
    all.type.info = BTF_KIND_INT << 24;
    all.type.size = 4;
    all.encoding = 32;
    std::memcpy(all.strings, "\0int", 5);
    const auto* bytes = reinterpret_cast<const char*>(&all);
    return {bytes, bytes + sizeof all.header + all.header.type_len + all.header.str_len};
}

BW_ACT(btf, "btf") {
    const auto content = btf_of(args.at(0) == "bad" ? 77 : 1);
    std::array<char, 2048> log{};
    bpf_attr attr{};
    attr.btf = address(content.data());
    attr.btf_size = static_cast<__u32>(content.size());
    attr.btf_log_level = 1;
    attr.btf_log_size = log.size();
    attr.btf_log_buf = address(log.data());
    const int fd = static_cast<int>(sys_bpf(BPF_BTF_LOAD, attr));
    const auto said = word(fd);
    // The real one: the kernel tells of it.
    bpf_btf_info info{};
    std::string told;
    if (fd >= 0) told = word(info_of(fd, info));
    if (fd >= 0) told += info.btf_size == content.size() ? " whole" : " cut";
    return said + " " + told + " " + log.data();
}

// What the kernel says of a program, through its stand-in: with lists, and with none.
BW_ACT(info, "info") {
    const int map = create_map();
    const int program = load(BPF_PROG_TYPE_SOCKET_FILTER, count_in(map));
    if (program < 0) return "load: " + word(program);
    std::array<std::uint32_t, 4> maps{};
    std::array<std::byte, 4096> code{};
    bpf_prog_info info{};
    info.nr_map_ids = maps.size();
    info.map_ids = address(maps.data());
    info.xlated_prog_len = code.size();
    info.xlated_prog_insns = address(code.data());
    const auto said = word(info_of(program, info));
    const bool has_code = std::any_of(code.begin(), code.end(), [](std::byte one) { return one != std::byte{0}; });
    std::string text = said + " " + info.name + " " + std::to_string(info.type) + " maps " +
                       std::to_string(info.nr_map_ids) + (maps[0] == map_info(map).id ? " own" : " other") +
                       (info.map_ids == address(maps.data()) ? "" : " (another address)") +
                       (info.xlated_prog_len > 0 && has_code ? " code" : " no code") + (info.id > 0 ? " id" : "");
    // Room for none: how many there are, and nothing is written.
    bpf_prog_info counted{};
    text += ", " + word(info_of(program, counted));
    text += " " + std::to_string(counted.nr_map_ids);
    // Less than the kernel knows: as much as was asked for.
    bpf_attr attr{};
    std::array<unsigned char, 64> small{};
    small.fill(0xff);
    std::memset(small.data(), 0, 8);
    attr.info.bpf_fd = static_cast<__u32>(program);
    attr.info.info_len = 8;
    attr.info.info = address(small.data());
    text += ", " + word(sys_bpf(BPF_OBJ_GET_INFO_BY_FD, attr));
    text += " " + std::to_string(attr.info.info_len) + " " + (small[8] == 0xff ? "untouched" : "PAST THE END");
    // A list where nothing is.
    bpf_prog_info wild{};
    wild.nr_map_ids = 4;
    wild.map_ids = 8;
    text += ", " + word(info_of(program, wild));
    attr.info.info_len = 70'000;
    text += ", " + word(sys_bpf(BPF_OBJ_GET_INFO_BY_FD, attr));
    attr.info.info_len = 8;
    attr.info.info = 8;
    return text + ", " + word(sys_bpf(BPF_OBJ_GET_INFO_BY_FD, attr));
}

static std::string count_of(const Ids& found) { return std::to_string(found.all.size()) + " " + found.end; }

// Finds what it made by number, and nothing else. Told the ids of somebody else's map and program, asks for them.
BW_ACT(ids, "ids") {
    const int map = create_map();
    const int program = load(BPF_PROG_TYPE_SOCKET_FILTER, count_in(map));
    std::string text = word(map) + " " + word(program);
    const auto maps = ids(BPF_MAP_GET_NEXT_ID), programs = ids(BPF_PROG_GET_NEXT_ID), links = ids(BPF_LINK_GET_NEXT_ID);
    text += ", " + count_of(maps) + ", " + count_of(programs) + ", " + count_of(links);
    const int same_map = by_id(BPF_MAP_GET_FD_BY_ID, map_info(map).id);
    text += ", " + word(same_map) + (map_info(same_map).id == map_info(map).id ? " same" : " other");
    const int same_program = by_id(BPF_PROG_GET_FD_BY_ID, program_info(program).id);
    text += " " + word(same_program) + (program_info(same_program).id == program_info(program).id ? " same" : " other");
    text += ", " + word(by_id(BPF_MAP_GET_FD_BY_ID, static_cast<std::uint32_t>(std::stoul(args.at(0)))));
    text += " " + word(by_id(BPF_PROG_GET_FD_BY_ID, static_cast<std::uint32_t>(std::stoul(args.at(1)))));
    return text;
}

// Its own attributes, in sizes that they do not have and at places where they are not.
BW_ACT(lengths, "lengths") {
    struct {
        bpf_attr attr;
        unsigned char behind[8192];
    } all{};
    auto& attr = all.attr;
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = 4;
    attr.value_size = 8;
    attr.max_entries = 1;
    const auto create = [&](std::size_t size) { return word(sys_bpf(BPF_MAP_CREATE, attr, size)); };
    std::string text = "zero tail " + create(sizeof attr + 64);
    all.behind[40] = 1;
    text += ", other tail " + create(sizeof attr + 64) + ", before it " + create(sizeof attr + 40);
    all.behind[40] = 0;
    text += ", a page " + create(4096) + ", more " + create(4097);
    text += ", too few " + create(12) + ", enough " + create(20);
    // What the command does not have.
    reinterpret_cast<unsigned char*>(&attr)[140] = 1;
    text += ", rubbish " + create(sizeof attr);
    attr = {};
    for (const auto at : {std::uint64_t{0}, std::uint64_t{8}, ~std::uint64_t{0} - 64, std::uint64_t{1} << 62})
        text += ", " + word(::syscall(SYS_bpf, BPF_MAP_CREATE, at, 64));
    auto* const pages =
        static_cast<std::byte*>(::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ::munmap(pages + 4096, 4096);
    text += ", over the end " + word(::syscall(SYS_bpf, BPF_MAP_CREATE, pages + 4096 - 32, 64));
    return text;
}

// Mistakes that the kernel tells by errno, one after the other.
BW_ACT(errors, "errors") {
    std::string text;
    const auto add = [&](const char* what, long result) { text += std::string(what) + " " + word(result) + "\n"; };
    const int map = create_map(), program = load();
    bpf_attr attr{};
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    add("a map of nothing", sys_bpf(BPF_MAP_CREATE, attr));
    attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1, .map_flags = 1U << 31};
    add("unknown flags of a map", sys_bpf(BPF_MAP_CREATE, attr));
    attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 1U << 31, .max_entries = 1U << 30};
    add("a map of all memory", sys_bpf(BPF_MAP_CREATE, attr));
    auto code = return_value(0);
    auto loaded = load_of(BPF_PROG_TYPE_SOCKET_FILTER, code);
    loaded.insns = 8;
    add("instructions nowhere", sys_bpf(BPF_PROG_LOAD, loaded));
    loaded = load_of(BPF_PROG_TYPE_SOCKET_FILTER, code);
    loaded.license = 8;
    add("a licence nowhere", sys_bpf(BPF_PROG_LOAD, loaded));
    loaded = load_of(BPF_PROG_TYPE_SOCKET_FILTER, code);
    loaded.insn_cnt = 0;
    add("no instructions", sys_bpf(BPF_PROG_LOAD, loaded));
    loaded.insn_cnt = 2;
    loaded.insns = 0;
    add("instructions at no address", sys_bpf(BPF_PROG_LOAD, loaded));
    add("a map that is not open", load(BPF_PROG_TYPE_SOCKET_FILTER, count_in(900)));
    add("a negative map", load(BPF_PROG_TYPE_SOCKET_FILTER, count_in(-1)));
    loaded = load_of(BPF_PROG_TYPE_SOCKET_FILTER, code);
    loaded.log_level = 1;
    loaded.log_size = 4096;
    loaded.log_buf = 8;
    add("a log nowhere", sys_bpf(BPF_PROG_LOAD, loaded));
    loaded.log_buf = 0;
    add("a log without a place", sys_bpf(BPF_PROG_LOAD, loaded));
    bpf_prog_info info{};
    add("information of no fd", info_of(900, info));
    add("information of a negative fd", info_of(-1, info));
    add("information of standard output", info_of(1, info));
    std::array<int, 2> pair{};
    (void)::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair.data());
    add("information of a socket", info_of(pair[0], info));
    add("no such program", by_id(BPF_PROG_GET_FD_BY_ID, ~0U));
    add("no such map", by_id(BPF_MAP_GET_FD_BY_ID, ~0U));
    add("a link of nothing", link(900, map, BPF_CGROUP_INET_INGRESS));
    attr = {};
    attr.test.prog_fd = 900;
    add("a run of nothing", sys_bpf(BPF_PROG_TEST_RUN, attr));
    attr.test.prog_fd = static_cast<__u32>(program);
    std::array<std::byte, 64> packet{};
    attr.test.data_in = address(packet.data());
    attr.test.data_size_in = 4;
    add("a run on a short packet", sys_bpf(BPF_PROG_TEST_RUN, attr));
    attr.test.data_size_in = packet.size();
    add("a run", sys_bpf(BPF_PROG_TEST_RUN, attr));
    attr.test.data_in = 8;
    add("a run on a packet nowhere", sys_bpf(BPF_PROG_TEST_RUN, attr));
    perf_event_attr event{};
    add("an event of no size", ::syscall(SYS_perf_event_open, 8, 0, -1, -1, 0));
    event.size = 8;
    add("an event of a few bytes", ::syscall(SYS_perf_event_open, &event, 0, -1, -1, 0));
    event.size = 5000;
    add("an event of many bytes", ::syscall(SYS_perf_event_open, &event, 0, -1, -1, 0));
    return text;
}

// Where what the grant says comes before what the kernel would: no attributes at all, a map that is none.
BW_ACT(before_the_kernel, "before-the-kernel") {
    bpf_attr attr{};
    return word(sys_bpf(BPF_MAP_CREATE, attr, 0)) + " " + word(load(BPF_PROG_TYPE_SOCKET_FILTER, count_in(0)));
}

// No room for one more fd: nothing is left of what was made.
BW_ACT(no_room, "no-room") {
    const int first = create_map();
    const rlimit none{static_cast<rlim_t>(first) + 1, static_cast<rlim_t>(first) + 1};
    (void)::setrlimit(RLIMIT_NOFILE, &none);
    std::string text = word(create_map());
    text += " " + word(load());
    ::close(first);
    text += ", " + word(load());
    return text + ", " + count_of(ids(BPF_PROG_GET_NEXT_ID)) + ", " + count_of(ids(BPF_MAP_GET_NEXT_ID));
}

// With two more arguments (7.0).
BW_ACT(common_attributes, "common-attributes") {
    bpf_attr attr{};
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = 4;
    attr.value_size = 8;
    attr.max_entries = 1;
    return word(::syscall(SYS_bpf, 1U << 16 | BPF_MAP_CREATE, &attr, sizeof attr, nullptr, 0));
}

// Commands that no session does, and one that needs none.
BW_ACT(others, "others") {
    bpf_attr attr{};
    std::string text;
    for (const unsigned command :
         {unsigned{BPF_BTF_GET_NEXT_ID}, unsigned{BPF_TASK_FD_QUERY}, unsigned{BPF_ENABLE_STATS}, 36U, 63U, 64U, 1000U,
          1U << 16 | BPF_MAP_LOOKUP_ELEM, 1U << 17})
        text += (text.empty() ? "" : " ") + word(sys_bpf(command, attr));
    return text;
}

}  // namespace bpfwarden::test
