// SPDX-License-Identifier: Apache-2.0
// Programs that nobody here wrote, and a libbpf skeleton: they work under a grant as they are, and not without it.
#include <grp.h>
#include <sys/stat.h>

#include <cstdlib>
#include <sstream>

#include "stage.hpp"

namespace bpfwarden::test {
namespace {

class Programs : public ::testing::Test {
  protected:
    void SetUp() override {
        BW_NEED_TOKENS();
        if (::access((std::string(Stage::examples) + "/packet_counter.bpf.o").c_str(), R_OK) != 0)
            GTEST_SKIP() << "the examples are not built";
        ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
        if (!run({"sh", "-c", "command -v bpftool && command -v ip"}).exited(0))
            GTEST_SKIP() << "bpftool or ip is not installed";
    }
};

// The steps of a shell script: what each printed, and its status. A step is a line `step NAME COMMAND…`.
struct Step {
    int status = -1;
    std::string output;
};
std::map<std::string, Step> steps(const std::string& script, const Words& wrapper) {
    const std::string head =
        "step() { name=$1; shift; printf '@@begin %s\\n' \"$name\"; \"$@\" 2>&1; printf '\\n@@end %s %s\\n' \"$name\" "
        "$?; }\n"
        "cd /run/stage/examples\n";
    Words argv = wrapper;
    argv.insert(argv.end(), {"sh", "-c", head + script});
    const auto ended = run(argv);
    EXPECT_TRUE(ended.exited(0)) << ended.text();
    std::map<std::string, Step> all;
    std::istringstream lines(ended.out);
    std::string current;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        std::string word, name;
        fields >> word >> name;
        if (word == "@@begin") {
            current = name;
        } else if (word == "@@end") {
            fields >> all[name].status;
            current.clear();
        } else if (!current.empty()) {
            all[current].output += line + "\n";
        }
    }
    return all;
}

Words with_grant(const std::string& grant, const Words& options = {}) { return under(grant, {}, options); }

// As the same user, in a network namespace where it has no power, and without a token.
const Words without_grant{"unshare",        "--net",           "--", "setpriv", "--reuid=65534", "--regid=65534",
                          "--clear-groups", "--inh-caps=-all", "--"};

// Two interfaces wired together.
const std::string wire =
    "ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up addrgenmode none &&\n"
    "ip -6 address add fe80::2/64 dev v1 nodad\n";

std::uint64_t number_before(const std::string& text, const std::string& word) {
    const auto at = text.find(" " + word);
    if (at == std::string::npos) return 0;
    auto begin = at;
    while (begin > 0 && std::isdigit(static_cast<unsigned char>(text[begin - 1]))) --begin;
    return std::strtoull(text.c_str() + begin, nullptr, 10);
}

TEST_F(Programs, BpftoolLoadsPinsAttachesAndReads) {
    const std::string script =
        wire +
        "step load bpftool prog load packet_counter.bpf.o /sys/fs/bpf/counter pinmaps /sys/fs/bpf/maps\n"
        "step attach bpftool net attach xdp pinned /sys/fs/bpf/counter dev v0\n"
        "step send ./send_packets v1 200\n"
        "step show-program bpftool prog show pinned /sys/fs/bpf/counter\n"
        "step show-map bpftool map show pinned /sys/fs/bpf/maps/packet_counts\n"
        "step update bpftool map update pinned /sys/fs/bpf/maps/packet_counts key 0 0 0 0"
        " value 7 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n"
        "step detach bpftool net detach xdp dev v0\n"
        "step update-again bpftool map update pinned /sys/fs/bpf/maps/packet_counts key 0 0 0 0"
        " value 7 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n"
        "step lookup bpftool map lookup pinned /sys/fs/bpf/maps/packet_counts key 0 0 0 0\n"
        "step read ./read_counter /sys/fs/bpf/maps/packet_counts\n"
        "step links bpftool link show\n"
        "step programs bpftool prog show\n";
    auto granted = steps(script, with_grant(plain_grant()));
    for (const char* name :
         {"load", "attach", "send", "show-program", "show-map", "update", "detach", "update-again", "lookup", "read"})
        EXPECT_EQ(granted[name].status, 0) << name << ": " << granted[name].output;
    EXPECT_NE(granted["show-program"].output.find("xdp"), std::string::npos) << granted["show-program"].output;
    // Without its name: libbpf 1.5 asks without the token whether the kernel takes names, and is refused.
    EXPECT_NE(granted["show-program"].output.find("map_ids"), std::string::npos);
    EXPECT_NE(granted["show-map"].output.find("array"), std::string::npos);
    EXPECT_NE(granted["read"].output.find("7 packets, 9 bytes"), std::string::npos) << granted["read"].output;
    // Walking all objects of the kernel by number is CAP_SYS_ADMIN's, and a token is not asked (docs).
    for (const char* name : {"links", "programs"}) {
        EXPECT_NE(granted[name].status, 0) << granted[name].output;
        EXPECT_NE(granted[name].output.find("Operation not permitted"), std::string::npos) << granted[name].output;
    }

    auto bare = steps("step load bpftool prog load packet_counter.bpf.o /sys/fs/bpf/counter\n", without_grant);
    EXPECT_NE(bare["load"].status, 0) << "control: without the grant";
}

// bpftool prints a map by its BTF, and asks the kernel for that by number: CAP_SYS_ADMIN's, like any walk by number.
TEST_F(Programs, BpftoolCannotDumpAMapWithBtf) {
    Running inside(
        {.argv = under(plain_grant(), {"sh", "-c",
                                       "cd /run/stage/examples\n"
                                       "bpftool prog load packet_counter.bpf.o /sys/fs/bpf/counter pinmaps "
                                       "/sys/fs/bpf/maps >/dev/null 2>&1\n"
                                       "bpftool map dump pinned /sys/fs/bpf/maps/packet_counts >/tmp/dump 2>&1\n"
                                       "echo $? $(cat /tmp/dump); read line"})});
    const auto said = inside.read_line();
    EXPECT_TRUE(said.starts_with("255 ")) << said;
    EXPECT_NE(said.find("failed to get btf"), std::string::npos) << said;
    const auto outside = run({"bpftool", "map", "dump", "pinned",
                              "/proc/" + std::to_string(inside.pid()) + "/root/sys/fs/bpf/maps/packet_counts"});
    EXPECT_TRUE(outside.exited(0)) << "control: root can, " << outside.text();
    EXPECT_NE(outside.out.find("packets"), std::string::npos) << outside.out;
    inside.wait();
    ::unlink("/tmp/dump");
}

TEST_F(Programs, ASkeletonAttachesAndCounts) {
    // The program prints the count after each line that it reads.
    const std::string script =
        wire +
        "mkfifo /tmp/orders-$$\n./watch_packets v0 </tmp/orders-$$ & exec 9>/tmp/orders-$$\n"
        "sleep 0.3; ./send_packets v1 300; echo >&9; exec 9>&-; wait $!; echo status $?; rm /tmp/orders-$$\n";
    const auto ended = run(under(plain_grant(), {"sh", "-c", "mkdir -p /tmp; cd /run/stage/examples\n" + script}));
    EXPECT_NE(ended.out.find("attached to v0"), std::string::npos) << ended.text();
    EXPECT_GE(number_before(ended.out, "packets\n"), 300U) << ended.text();
    EXPECT_NE(ended.out.find("status 0"), std::string::npos) << ended.text();

    const auto bare = run([] {
        Words argv = without_grant;
        argv.insert(argv.end(), {"/run/stage/examples/watch_packets", "lo"});
        return argv;
    }());
    EXPECT_TRUE(bare.exited(1)) << bare.text();
    EXPECT_NE(bare.err.find("watch_packets: loading: "), std::string::npos) << bare.err;
}

// The program's own map type decides: what the grant lacks is refused, and its twin is not.
TEST_F(Programs, ObjectsAreLoadedAsFarAsTheGrantGoes) {
    const std::string filter =
        write_grant({.allow = "program_types = [\"xdp\"]\nmap_types = [\"array\", \"lpm_trie\"]\n"
                              "capabilities = [\"bpf\", \"net_admin\"]\n"});
    const auto load = [](const std::string& grant, const char* object) {
        return run(under(grant, {"/run/stage/examples/load_object", std::string("/run/stage/examples/") + object}));
    };
    EXPECT_TRUE(load(plain_grant(), "packet_counter.bpf.o").exited(0));
    EXPECT_TRUE(load(plain_grant(), "packet_filter.bpf.o").exited(1));
    EXPECT_TRUE(load(filter, "packet_filter.bpf.o").exited(0));
    EXPECT_TRUE(load(plain_grant(), "socket_gate.bpf.o").exited(1));
    EXPECT_TRUE(load(contained_grant(), "socket_gate.bpf.o").exited(0));
}

TEST_F(Programs, WithATokenPathTheRealBpffsStays) {
    ASSERT_EQ(::system("mkdir -p /run/stage/elsewhere"), 0);
    const Words elsewhere{"--token-path", "/run/stage/elsewhere"};
    auto with = steps(
        "step load ./load_object packet_counter.bpf.o\n"
        "step default env -u LIBBPF_BPF_TOKEN_PATH ./load_object packet_counter.bpf.o\n"
        "step bpftool bpftool prog load packet_counter.bpf.o /run/stage/elsewhere/counter\n"
        "step device stat -c %d /sys/fs/bpf\n",
        with_grant(plain_grant(), elsewhere));
    EXPECT_EQ(with["load"].status, 0) << with["load"].output;
    EXPECT_EQ(with["bpftool"].status, 0) << with["bpftool"].output;
    EXPECT_EQ(with["default"].status, 1) << "nothing to be had at the default path: " << with["default"].output;
    struct stat outside{};
    ASSERT_EQ(::stat("/sys/fs/bpf", &outside), 0);
    EXPECT_EQ(std::strtoull(with["device"].output.c_str(), nullptr, 10), outside.st_dev)
        << "what is there is the host's";

    auto covered = steps("step device stat -c %d /sys/fs/bpf\n", with_grant(plain_grant()));
    EXPECT_NE(std::strtoull(covered["device"].output.c_str(), nullptr, 10), outside.st_dev) << "control";
}

}  // namespace
}  // namespace bpfwarden::test
