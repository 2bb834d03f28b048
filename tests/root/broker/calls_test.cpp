// SPDX-License-Identifier: Apache-2.0
// What goes through a session and what does not: each allowed call beside its refused twin.
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>

#include "daemon.hpp"
#include "kernel/capability.hpp"

namespace bpfwarden::test {

static std::string in_session(const std::string& grant, const std::function<std::string(bpfw_session*)>& body) {
    return as_user(test_user(), [&] {
        auto* session = ::bpfw_open(grant.c_str());
        return session == nullptr ? std::string("open: ") + ::bpfw_error() : body(session);
    });
}

TEST(Calls, MapTypes) {
    Daemon daemon({{"maps", allow("map_types = ['array', 'lpm_trie']\ncapabilities = ['bpf']\n")},
                   {"less", allow("map_types = ['array']\ncapabilities = ['bpf']\n")},
                   {"powerless", allow("map_types = ['array', 'lpm_trie']\n")}});
    const auto tries = [](bpfw_session* session) {
        return outcome(create_map(session)) + " " + outcome(create_map(session, BPF_MAP_TYPE_LPM_TRIE));
    };
    EXPECT_EQ(in_session("maps", tries), "ok ok");
    EXPECT_EQ(in_session("less", tries), "ok EPERM allow.map_types");
    // Allowed by the grant's list, but its worker has no CAP_BPF: the kernel's own word.
    EXPECT_EQ(in_session("powerless", tries), "EPERM EPERM");
    // The control: without a session the user gets nothing.
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          bpf_attr attr{};
                          attr.map_type = BPF_MAP_TYPE_ARRAY;
                          attr.key_size = attr.value_size = 4;
                          attr.max_entries = 1;
                          return std::string(::syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr) < 0
                                                 ? ::strerrorname_np(errno)
                                                 : "ok");
                      }),
              "EPERM");
}

TEST(Calls, RefusalsNameTheLine) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"maps", allow("map_types = ['array']\ncapabilities = ['bpf']\n")}});
    EXPECT_EQ(
        in_session("maps",
                   [](bpfw_session* session) {
                       (void)create_map(session, BPF_MAP_TYPE_HASH);
                       return std::string(::bpfw_error_line()).substr(std::string(::bpfw_error_line()).rfind('/') + 1);
                   }),
        "maps.toml:4:1");
    const auto events =
        daemon.audit({"map_create hash", "\"verdict\":\"refused\"", "\"key\":\"allow.map_types\"", "maps.toml:4:1"});
    EXPECT_EQ(events.size(), 1U);
}

TEST(Calls, ProgramTypesHelpersAndSizes) {
    const std::string rest = "map_types = ['array']\ncapabilities = ['bpf']\nkfuncs = []\n";
    Daemon daemon(
        {{"all",
          allow("program_types = ['socket_filter']\nhelpers = ['map_lookup_elem']\nverifier = ['any']\n" + rest)},
         {"no-helper", allow("program_types = ['socket_filter']\nhelpers = []\nverifier = ['any']\n" + rest)},
         {"no-type",
          allow("program_types = ['sk_reuseport']\nhelpers = ['map_lookup_elem']\nverifier = ['any']\n" + rest)},
         {"short", allow("program_types = ['socket_filter']\nhelpers = ['map_lookup_elem']\nverifier = ['any']\n" +
                         rest + "[limits]\ninstructions = 5\n")}});
    const auto tries = [](bpfw_session* session) {
        const int map = create_map(session);
        return outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER)) + " " +
               outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER, count_in(map, 0)));
    };
    EXPECT_EQ(in_session("all", tries), "ok ok");
    EXPECT_EQ(in_session("no-helper", tries), "ok EPERM allow.helpers");
    // Socket filters are implied there: libbpf loads nothing before it could load one.
    const auto other_type = [](bpfw_session* session) {
        return outcome(load_program(session, BPF_PROG_TYPE_SK_REUSEPORT, {}, BPF_SK_REUSEPORT_SELECT));
    };
    EXPECT_EQ(in_session("no-type", other_type), "ok");
    EXPECT_EQ(in_session("all", other_type), "EPERM allow.program_types");
    EXPECT_EQ(in_session("short", tries), "ok E2BIG limits.instructions");
}

static std::vector<bpf_insn> long_program(int length) {
    std::vector<bpf_insn> code(static_cast<std::size_t>(length - 1),
                               {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0});
    code.push_back({.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0});
    return code;
}
static std::vector<bpf_insn> loop() {
    return {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
            {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 1},
            {.code = BPF_JMP | BPF_JLT | BPF_K, .dst_reg = 0, .src_reg = 0, .off = -2, .imm = 10},
            {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
}
static std::vector<bpf_insn> function_call() {
    return {{.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = BPF_PSEUDO_CALL, .off = 0, .imm = 1},
            {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
            {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
            {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
}
// Leaves the frame pointer's address in a map.
static std::vector<bpf_insn> leak(int map) {
    auto code = count_in(map, 0);
    code[7] = {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 10, .off = 0, .imm = 0};
    code[8] = {.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = 0, .src_reg = 1, .off = 0, .imm = 0};
    return code;
}

// The verifier is as lenient as the grant says: by the broker's own reading, and by the capabilities of the worker.
TEST(Calls, LeniencyOfTheVerifierIsGranted) {
    const auto grant = [](const std::string& verifier, const std::string& capabilities) {
        return allow(
            "program_types = ['socket_filter']\nmap_types = ['array']\nhelpers = ['map_lookup_elem']\nverifier = [" +
            verifier + "]\ncapabilities = [" + capabilities + "]\n");
    };
    Daemon daemon({{"full", "dangerous = ['kernel_read']\n" + grant("'any'", "'bpf', 'perfmon'")},
                   {"bpf", grant("'bounded_loops', 'bpf2bpf_calls', 'large_programs'", "'bpf'")},
                   {"none", grant("", "'bpf'")}});
    const auto tries = [](bpfw_session* session) {
        const int map = create_map(session);
        const auto load = [&](std::vector<bpf_insn> code) {
            return outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER, std::move(code)));
        };
        return load(loop()) + ", " + load(function_call()) + ", " + load(long_program(5000)) + ", " + load(leak(map));
    };
    EXPECT_EQ(in_session("full", tries), "ok, ok, ok, ok");
    // The kernel's own refusals: the leak, and a loop that it cannot follow to its end where it must also follow what a
    // mispredicting processor would do.
    EXPECT_EQ(in_session("bpf", tries), "EINVAL, ok, ok, EACCES");
    EXPECT_EQ(in_session("none", tries), "EPERM allow.verifier, EPERM allow.verifier, EPERM allow.verifier, EACCES");
}

// A read above the stack, behind a branch that is never taken.
static std::vector<bpf_insn> dead_branch() {
    return {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
            {.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 1, .imm = 0},
            {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
            {.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = 0, .src_reg = 10, .off = 8, .imm = 0},
            {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
}
// The same where no branch leads.
static std::vector<bpf_insn> unreachable() {
    auto code = dead_branch();
    code.erase(code.begin() + 1);
    return code;
}
// What the kernel says to a process that holds these, without a session.
static std::string direct(const std::vector<std::string>& capabilities, std::vector<bpf_insn> code) {
    return as_user(0, [&]() -> std::string {
        kernel::CapabilityMask mask = 0;
        for (const auto& name : capabilities) mask |= kernel::CapabilityMask{1} << *kernel::capability_number(name);
        if (!kernel::keep_only(mask)) return "keep_only";
        bpf_attr attr{};
        attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
        attr.insns = reinterpret_cast<std::uint64_t>(code.data());
        attr.insn_cnt = static_cast<std::uint32_t>(code.size());
        attr.license = reinterpret_cast<std::uint64_t>("GPL");
        return ::syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr) < 0 ? ::strerrorname_np(errno) : "ok";
    });
}

// What is never executed may be wrong for those whom the verifier spares what a mispredicting processor would do
// (CAP_PERFMON); for the others it depends on the kernel, which from 6.16 on puts a barrier there. A worker is treated
// as any process with its capabilities. Nobody may have instructions that nothing leads to.
TEST(Calls, DeadCodeIsAsTheCapabilitiesOfTheGrantHaveIt) {
    const std::string program = "program_types = ['socket_filter']\nverifier = ['any']\ncapabilities = ";
    Daemon daemon({{"full", "dangerous = ['kernel_read']\n" + allow(program + "['bpf', 'perfmon']\n")},
                   {"bpf", allow(program + "['bpf']\n")}});
    const auto load = [](std::vector<bpf_insn> code) {
        return [code = std::move(code)](bpfw_session* session) {
            return outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER, code));
        };
    };
    EXPECT_EQ(in_session("full", load(dead_branch())), "ok");
    const auto without = in_session("bpf", load(dead_branch()));
    EXPECT_EQ(without, direct({"bpf"}, dead_branch()));
    EXPECT_EQ(direct({"bpf", "perfmon"}, dead_branch()), "ok");
    RecordProperty("dead_branch_with_bpf_alone", without);
    utsname system{};
    ::uname(&system);
    int major = 0, minor = 0;
    ASSERT_EQ(std::sscanf(system.release, "%d.%d", &major, &minor), 2);
    EXPECT_EQ(without, major > 6 || minor >= 16 ? "ok" : "EACCES") << system.release;
    for (const char* grant : {"full", "bpf"}) EXPECT_EQ(in_session(grant, load(unreachable())), "EINVAL") << grant;
    EXPECT_EQ(direct({"bpf", "perfmon", "sys_admin"}, unreachable()), "EINVAL");
}

TEST(Calls, HalfAMillionInstructions) {
    const std::string program = "program_types = ['socket_filter']\ncapabilities = ['bpf']\n";
    Daemon daemon({{"large", allow(program + "verifier = ['large_programs']\n")}, {"small", allow(program)}});
    const auto tries = [](bpfw_session* session) {
        return outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER, long_program(500'000)));
    };
    EXPECT_EQ(in_session("large", tries), "ok");
    EXPECT_EQ(in_session("small", tries), "EPERM allow.verifier");
}

// A map that the session was not given is refused by fd as well as inside a program.
TEST(Calls, ForeignMaps) {
    Daemon daemon(
        {{"filters",
          allow("program_types = ['socket_filter']\nmap_types = ['array', 'array_of_maps']\ncapabilities = ['bpf']\n" +
                everything_but_types)}});
    bpf_attr attr{};
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = 4;
    attr.value_size = 8;
    attr.max_entries = 1;
    const int foreign = static_cast<int>(::syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
    ASSERT_GE(foreign, 0);
    const auto with = [](int map) {
        return [map](bpfw_session* session) {
            bpf_attr outer{};
            const int inner = map >= 0 ? map : create_map(session);
            outer.map_type = BPF_MAP_TYPE_ARRAY_OF_MAPS;
            outer.key_size = outer.value_size = 4;
            outer.max_entries = 1;
            outer.inner_map_fd = static_cast<std::uint32_t>(inner);
            const auto nested = outcome(::bpfw_bpf(session, BPF_MAP_CREATE, &outer, sizeof outer));
            return outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER, count_in(inner, 0))) + " " + nested;
        };
    };
    EXPECT_EQ(in_session("filters", with(-1)), "ok ok");
    EXPECT_EQ(in_session("filters", with(foreign)), "EPERM session EPERM session");
    // The control: the kernel itself asks nobody whose map it is.
    auto code = count_in(foreign, 0);
    bpf_attr load{};
    load.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    load.insns = reinterpret_cast<std::uint64_t>(code.data());
    load.insn_cnt = static_cast<std::uint32_t>(code.size());
    load.license = reinterpret_cast<std::uint64_t>("GPL");
    EXPECT_GE(::syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load), 0);
    ::close(foreign);
}

// Neither what other sessions made, nor what the machine has, is to be seen.
TEST(Calls, ListsAreTheSessionsOwn) {
    Daemon daemon(
        {{"filters", allow("program_types = ['socket_filter']\nmap_types = ['array']\ncapabilities = ['bpf']\n" +
                           everything_but_types)}});
    Actor other(test_user(), [](Actor& actor) {
        auto* session = ::bpfw_open("filters");
        const int program = load_program(session, BPF_PROG_TYPE_SOCKET_FILTER);
        actor.say(std::to_string(program_id(session, program)));
        (void)actor.listen();
    });
    const auto foreign = std::stoul("0" + other.hear());
    ASSERT_NE(foreign, 0U);
    EXPECT_EQ(in_session("filters",
                         [foreign](bpfw_session* session) {
                             const int program = load_program(session, BPF_PROG_TYPE_SOCKET_FILTER);
                             const auto own = program_id(session, program);
                             std::string seen;
                             bpf_attr attr{};
                             while (::bpfw_bpf(session, BPF_PROG_GET_NEXT_ID, &attr, sizeof attr) == 0) {
                                 seen += attr.next_id == own ? "own " : "foreign ";
                                 attr.start_id = attr.next_id;
                             }
                             attr = {};
                             attr.prog_id = own;
                             seen += outcome(::bpfw_bpf(session, BPF_PROG_GET_FD_BY_ID, &attr, sizeof attr)) + " ";
                             attr = {};
                             attr.prog_id = static_cast<std::uint32_t>(foreign);
                             return seen + outcome(::bpfw_bpf(session, BPF_PROG_GET_FD_BY_ID, &attr, sizeof attr));
                         }),
              "own ok ENOENT");
}

TEST(Calls, CommandsThatNobodyGets) {
    Daemon daemon(
        {{"filters", allow("program_types = ['socket_filter']\nmap_types = ['array']\ncapabilities = ['bpf']\n" +
                           everything_but_types)}});
    EXPECT_EQ(in_session("filters",
                         [](bpfw_session* session) {
                             std::string said;
                             for (const auto command :
                                  {BPF_ENABLE_STATS, BPF_TASK_FD_QUERY, BPF_TOKEN_CREATE, BPF_BTF_GET_NEXT_ID}) {
                                 bpf_attr attr{};
                                 said += std::string(::bpfw_bpf(session, command, &attr, sizeof attr) < 0
                                                         ? ::strerrorname_np(errno)
                                                         : "ok") +
                                         " ";
                             }
                             return said;
                         }),
              "EPERM EPERM EPERM EPERM ");
}

TEST(Limits, HoldPerSessionAndPerGrant) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon({{"few", allow("program_types = ['socket_filter']\nmap_types = ['array']\ncapabilities = ['bpf']\n" +
                                 everything_but_types + "[limits]\nprograms = 2\nmaps = 3\nmap_memory = '64KiB'\n")}});
    EXPECT_EQ(in_session("few",
                         [](bpfw_session* session) {
                             std::string said;
                             int last = -1;
                             for (int i = 0; i < 3; ++i)
                                 said += outcome(last = load_program(session, BPF_PROG_TYPE_SOCKET_FILTER)) + " ";
                             return said;
                         }),
              "ok ok EDQUOT limits.programs ");
    // Of two sessions together: the grant has two.
    Actor holder(test_user(), [](Actor& actor) {
        auto* session = ::bpfw_open("few");
        actor.say(outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER)));
        (void)actor.listen();
    });
    ASSERT_EQ(holder.hear(), "ok");
    const auto two = [](bpfw_session* session) {
        const auto first = outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER));
        return first + " " + outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER));
    };
    EXPECT_EQ(in_session("few", two), "ok EDQUOT limits.programs");
    holder.tell();
    EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
    EXPECT_EQ(in_session("few", two), "ok ok") << "what ended counts no more";
}

TEST(Limits, ClosedMapsAreGivenBack) {
    Daemon daemon(
        {{"few", allow("map_types = ['array']\ncapabilities = ['bpf']\n[limits]\nmaps = 3\nmap_memory = '64KiB'\n")}});
    EXPECT_EQ(in_session("few",
                         [](bpfw_session* session) {
                             std::string said;
                             for (int i = 0; i < 10; ++i) {
                                 const int map = create_map(session);
                                 said += outcome(map);
                                 ::close(map);
                                 // The kernel frees maps after a grace period.
                                 ::usleep(50'000);
                             }
                             for (int i = 0; i < 4; ++i) said += " " + outcome(create_map(session));
                             return said;
                         }),
              "okokokokokokokokokok ok ok ok EDQUOT limits.maps");
    // The maps of the process that has just ended count until the kernel has freed them.
    std::string said;
    EXPECT_TRUE(eventually([&] {
        said = in_session(
            "few", [](bpfw_session* session) { return outcome(create_map(session, BPF_MAP_TYPE_ARRAY, 100'000)); });
        return said != "EDQUOT limits.maps";
    }));
    EXPECT_EQ(said, "EDQUOT limits.map_memory");
}

// Maps that outlive their session go on counting for the grant for as long as somebody holds them.
TEST(Limits, MapsThatOutliveTheirSession) {
    Daemon daemon({{"few", allow("map_types = ['array']\ncapabilities = ['bpf']\n[limits]\nmaps = 3\n")}});
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* session = ::bpfw_open("few");
                          for (int i = 0; i < 3; ++i)
                              if (create_map(session) < 0) return std::string(::bpfw_error());
                          ::bpfw_close(session);
                          ::usleep(300'000);
                          session = ::bpfw_open("few");
                          return outcome(create_map(session));
                      }),
              "EDQUOT limits.maps");
    EXPECT_TRUE(eventually(
        [&] { return in_session("few", [](bpfw_session* session) { return outcome(create_map(session)); }) == "ok"; }));
}

TEST(Limits, LoadsPerMinute) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon(
        {{"slow",
          allow("program_types = ['socket_filter']\ncapabilities = ['bpf']\n[limits]\nloads_per_minute = 3\n")}});
    EXPECT_EQ(in_session("slow",
                         [](bpfw_session* session) {
                             std::string said;
                             for (int i = 0; i < 4; ++i)
                                 said += outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER)) + " ";
                             return said;
                         }),
              "ok ok ok EDQUOT limits.loads_per_minute ");
}

// Ten sessions at once, and never more than the grant has.
TEST(Limits, HoldUnderConcurrency) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon(
        {{"few", allow("program_types = ['socket_filter']\ncapabilities = ['bpf']\n[limits]\nprograms = 20\n")}});
    std::vector<std::unique_ptr<Actor>> actors;
    for (int i = 0; i < 10; ++i)
        actors.push_back(std::make_unique<Actor>(test_user(), [](Actor& actor) {
            auto* session = ::bpfw_open("few");
            int got = 0;
            for (int n = 0; n < 5; ++n) got += load_program(session, BPF_PROG_TYPE_SOCKET_FILTER) >= 0;
            actor.say(std::to_string(got));
            (void)actor.listen();
        }));
    int all = 0;
    for (const auto& actor : actors) all += std::stoi("0" + actor->hear());
    EXPECT_EQ(all, 20);
}

}  // namespace bpfwarden::test
