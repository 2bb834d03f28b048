// SPDX-License-Identifier: Apache-2.0
// Attaching asks for no capability, only for an fd of the target. Here the attacker holds a token with cgroup,
// sk_lookup and XDP programs, and tries to reach a cgroup or a network namespace that is not its own. Every attempt
// runs twice: under `run`'s containment, and without it, where it must succeed (experiment: the token alone does not
// stop it).
//
// The victim is a cgroup made for the test, never the machine's root cgroup; the victim network namespace likewise.
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <filesystem>
#include <fstream>

#include <bpf/libbpf.h>

#include "attempts.hpp"
#include "base/text.hpp"
#include "kernel/file.hpp"
#include "kernel/mount.hpp"
#include "kernel/namespace.hpp"
#include "sandbox.hpp"

namespace bpfwarden::test {
namespace {

constexpr std::uint32_t cgroup_sock_addr = 18, connect4 = 10, xdp_type = 6, xdp_attach = 37, sk_lookup_type = 30,
                        sk_lookup = 36;
constexpr kernel::CapabilityMask usual = cap_bpf | cap_net_admin;

token::LaunchRequest attacker(bool contained, kernel::CapabilityMask capabilities = usual) {
    auto made = request(everything, capabilities);
    made.containment = {.cgroups = contained, .network_namespaces = contained};
    return made;
}

// Where the version 2 hierarchy is mounted here, empty if nowhere.
std::string cgroup_mount() {
    const auto table = kernel::mount_table();
    if (!table) return "";
    for (const auto& mount : *table)
        if (mount.file_system == "cgroup2" && mount.root == "/") return mount.path;
    return "";
}

// The directory of the test's own cgroup: victims are made below it.
std::string own_cgroup() {
    const auto text = kernel::read_file("/proc/self/cgroup");
    std::string path = cgroup_mount();
    for (const auto line : split(text ? *text : "", '\n'))
        if (line.starts_with("0::") && line != "0::/") path += line.substr(3);
    return path;
}

// A process in a cgroup of its own, which says whether connect() to the loopback address works for it.
class Victim {
  public:
    static Result<Victim> make() {
        const std::string path = own_cgroup() + "/bpfwarden-victim-" + std::to_string(::getpid());
        if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno("making " + path);
        auto [here, there] = BW_TRY(kernel::Channel::pair());
        auto child = BW_TRY(kernel::Child::fork([&]() -> int {
            here.close();
            while (there.receive()) {
                const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
                sockaddr_in to{};
                to.sin_family = AF_INET;
                to.sin_port = htons(9);
                to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                (void)there.send(
                    std::to_string(errno_of(::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to))));
            }
            return 0;
        }));
        there.close();
        BW_TRY(kernel::write_file_at(FdRef(AT_FDCWD), (path + "/cgroup.procs").c_str(), std::to_string(child.pid())));
        return Victim(path, std::move(child), std::move(here));
    }
    Victim(Victim&& other) noexcept
        : path_(std::exchange(other.path_, {})), child_(std::move(other.child_)), channel_(std::move(other.channel_)) {}
    ~Victim() {
        if (path_.empty()) return;
        channel_.close();
        (void)child_.wait();
        for (int i = 0; i < 100 && ::rmdir(path_.c_str()) != 0 && errno == EBUSY; ++i) ::usleep(2000);
    }
    int connects() {
        if (!channel_.send("connect")) return -1;
        const auto answer = channel_.receive();
        return answer ? std::stoi(answer->text) : -1;
    }
    const std::string& path() const { return path_; }

  private:
    Victim(std::string path, kernel::Child child, kernel::Channel channel)
        : path_(std::move(path)), child_(std::move(child)), channel_(std::move(channel)) {}
    std::string path_;
    kernel::Child child_;
    kernel::Channel channel_;
};

// The attack needs a program, from the token, and a directory fd: then everybody in that cgroup is denied connect().
int load_deny() {
    const bpf_insn deny[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    LIBBPF_OPTS(bpf_prog_load_opts, opts);
    opts.expected_attach_type = static_cast<bpf_attach_type>(connect4);
    opts.token_fd = static_cast<std::uint32_t>(own_token());
    opts.prog_flags = token_flag;
    return ::bpf_prog_load(static_cast<bpf_prog_type>(cgroup_sock_addr), "deny", "GPL", deny, 2, &opts);
}

// Leaves the link with the caller.
int attach(int program, int directory) {
    if (program < 0) return -10000;
    if (directory < 0) return directory;
    return errno_of(::bpf_link_create(program, directory, static_cast<bpf_attach_type>(connect4), nullptr));
}

int open_directory(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

// Runs `way_in` inside, attacks whatever directory it finds, and asks the victim meanwhile.
struct Outcome {
    int attached = -9999;
    int victim = -9999;
};
Outcome attack(const token::LaunchRequest& request, const std::function<int()>& way_in) {
    auto victim = Victim::make();
    if (!victim) return {};
    auto pair = kernel::Channel::pair();
    auto& [here, there] = *pair;
    Outcome outcome;
    auto child = kernel::Child::fork([&]() -> int {
        here.close();
        if (const auto entered = token::enter(request); !entered) {
            (void)there.send_error(entered.error());
            return 1;
        }
        const int program = load_deny();  // first: the way in may lead out of the token's namespace
        (void)there.send(std::to_string(attach(program, way_in())));
        (void)there.receive();  // the link lives until the victim was asked
        return 0;
    });
    there.close();
    const auto answer = here.receive();
    EXPECT_TRUE(answer) << (answer ? "" : answer.error().text("inside"));
    if (answer) outcome.attached = std::stoi(answer->text);
    outcome.victim = victim->connects();
    here.close();
    (void)child->wait();
    EXPECT_EQ(victim->connects(), 0) << "the victim connects again once the attacker is gone";
    return outcome;
}

#define BW_NEED_CGROUP2() \
    BW_NEED_TOKENS();     \
    if (cgroup_mount().empty()) GTEST_SKIP() << "no cgroup2 hierarchy is mounted here"

// As seen from the attacker, a child of the test.
std::string victim_name() { return "/bpfwarden-victim-" + std::to_string(::getppid()); }

// Both runs of one attempt.
void expect_contained(const std::function<int()>& way_in, kernel::CapabilityMask capabilities = usual) {
    const auto control = attack(attacker(false, capabilities), way_in);
    EXPECT_EQ(control.attached, 0) << "control: without containment the attack works";
    EXPECT_EQ(control.victim, -EPERM) << "control: and the victim feels it";
    const auto contained = attack(attacker(true, capabilities), way_in);
    EXPECT_NE(contained.attached, 0);
    EXPECT_EQ(contained.victim, 0);
}

TEST(Containment, CgroupByPath) {
    BW_NEED_CGROUP2();
    expect_contained([parent = own_cgroup()] { return open_directory(parent + victim_name()); });
}

TEST(Containment, CgroupByWorkingDirectory) {
    BW_NEED_CGROUP2();
    const std::string before = std::filesystem::current_path();
    ASSERT_EQ(::chdir(own_cgroup().c_str()), 0);
    expect_contained([] { return open_directory("." + victim_name()); });
    ASSERT_EQ(::chdir(before.c_str()), 0);
}

TEST(Containment, CgroupThroughAnotherProcess) {
    BW_NEED_CGROUP2();
    // /proc/PID/root of a process in the old mount namespace. Control: root there can, so the path is right.
    const auto way_in = [parent = own_cgroup()] {
        return open_directory("/proc/" + std::to_string(::getppid()) + "/root" + parent + victim_name());
    };
    const auto contained = attack(attacker(true), way_in);
    EXPECT_EQ(contained.attached, -EACCES);
    EXPECT_EQ(contained.victim, 0);
    const UniqueFd control(::open(("/proc/self/root" + cgroup_mount()).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    EXPECT_TRUE(control);
}

TEST(Containment, CgroupUncovered) {
    BW_NEED_CGROUP2();
    // Even CAP_SYS_ADMIN in the namespace must not take the cover off: it came from a more privileged mount namespace.
    const auto way_in = [parent = own_cgroup()] {
        for (int i = 0; i < 4; ++i) ::umount2(cgroup_mount().c_str(), MNT_DETACH);
        return open_directory(parent + victim_name());
    };
    const auto contained = attack(attacker(true, usual | cap_sys_admin), way_in);
    EXPECT_NE(contained.attached, 0);
    EXPECT_EQ(contained.victim, 0);
}

TEST(Containment, CgroupMountedAnew) {
    BW_NEED_CGROUP2();
    const auto mount_anew = [] {
        if (::mount("none", "/tmp", "cgroup2", 0, nullptr) != 0) return -errno;
        return open_directory("/tmp" + victim_name());
    };
    // A further user namespace, where everybody has every capability. A new hierarchy shows the caller's cgroup as its
    // root: without a cgroup of its own that is everybody's.
    expect_contained([=] {
        if (::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP) != 0) return -errno;
        return mount_anew();
    });
    // The same with the namespace's own CAP_SYS_ADMIN.
    const auto contained = attack(attacker(true, usual | cap_sys_admin), mount_anew);
    EXPECT_NE(contained.attached, 0);
    EXPECT_EQ(contained.victim, 0);
}

TEST(Containment, OwnCgroupIsThere) {
    BW_NEED_CGROUP2();
    // What the grant is for: its own cgroup, where it is the only member.
    const std::string mount = cgroup_mount();
    const auto results = inside(attacker(true), [&] {
        const int own = open_directory(mount);
        std::vector<int> all{own < 0 ? own : 0, attach(load_deny(), own)};
        std::ifstream members(mount + "/cgroup.procs");
        int pid = 0, count = 0;
        while (members >> pid) ++count;
        all.push_back(count);
        return all;
    });
    ASSERT_TRUE(results) << results.error().text("inside");
    EXPECT_EQ(*results, (std::vector{0, 0, 1}));
}

TEST(Containment, OwnCgroupGoesAway) {
    BW_NEED_CGROUP2();
    const auto count = [] {
        int found = 0;
        for (const auto& entry : std::filesystem::directory_iterator(own_cgroup()))
            found += entry.path().filename().string().starts_with("bpfwarden-run-");
        return found;
    };
    // Those of an earlier test may be going just now, so fewer than before is as good.
    const int before = count();
    ASSERT_TRUE(inside(attacker(true), [] { return std::vector{0}; }));
    for (int i = 0; i < 1000 && count() > before; ++i) ::usleep(5000);
    EXPECT_LE(count(), before);
}

TEST(Containment, InheritedDescriptors) {
    BW_NEED_TOKENS();
    const UniqueFd directory(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd space(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    const UniqueFd harmless(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    for (const auto& [fd, refused] : {std::pair{directory.get(), true}, {space.get(), true}, {harmless.get(), false}}) {
        auto wanted = attacker(true);
        wanted.containment.cgroups = false;  // the check is the same, without a cgroup for each
        wanted.keep_fds = {fd};
        EXPECT_EQ(inside(wanted, [] { return std::vector{0}; }).has_value(), !refused) << fd;
        wanted.containment = {};
        EXPECT_TRUE(inside(wanted, [] { return std::vector{0}; })) << "control: nothing to contain";
    }
}

// ---- network namespaces ------------------------------------------------------------------------------------------

int attach_to_network(std::uint32_t program_type, std::uint32_t attach_type, int target, int result) {
    const bpf_insn code[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = result},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    LIBBPF_OPTS(bpf_prog_load_opts, opts);
    opts.expected_attach_type = static_cast<bpf_attach_type>(attach_type);
    opts.token_fd = static_cast<std::uint32_t>(own_token());
    opts.prog_flags = token_flag;
    const int program = ::bpf_prog_load(static_cast<bpf_prog_type>(program_type), "net", "GPL", code, 2, &opts);
    if (program < 0) return -10000 - errno;
    return errno_of(::bpf_link_create(program, target, static_cast<bpf_attach_type>(attach_type), nullptr));
}

// In a child, in a network and a mount namespace of the test's own: "the host", whose interface and whose named network
// namespace are attacked.
Result<std::vector<int>> on_a_host(const std::function<std::vector<int>()>& body) {
    auto [here, there] = BW_TRY(kernel::Channel::pair());
    auto child = BW_TRY(kernel::Child::fork([&]() -> int {
        here.close();
        if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) return 1;
        if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 1;
        if (::mount("tmpfs", "/mnt", "tmpfs", 0, nullptr) != 0) return 1;
        const UniqueFd file(::open("/mnt/netns", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
        if (::mount("/proc/self/ns/net", "/mnt/netns", nullptr, MS_BIND, nullptr) != 0) return 1;
        std::string text;
        for (const int value : body()) text += std::to_string(value) + " ";
        (void)there.send(text);
        return 0;
    }));
    there.close();
    const auto message = BW_TRY(here.receive());
    BW_TRY(child.wait());
    return numbers(message.text);
}

TEST(Containment, XdpOnTheHostsInterface) {
    BW_NEED_TOKENS();
    // lo has index 1 in every network namespace: with a private one the attacker gets its own.
    const auto attempt = [](bool private_network) {
        return on_a_host([&] {
            auto wanted = request(everything, usual);
            wanted.private_network = private_network;
            auto pair = kernel::Channel::pair();
            auto& [here, there] = *pair;
            auto child = kernel::Child::fork([&]() -> int {
                here.close();
                if (!token::enter(wanted)) return 1;
                (void)there.send(std::to_string(attach_to_network(xdp_type, xdp_attach, 1, 2)));
                (void)there.receive();
                return 0;
            });
            there.close();
            const auto answer = here.receive();
            std::uint32_t id = 0;
            const int queried = ::bpf_xdp_query_id(1, 0, &id);
            here.close();
            (void)child->wait();
            return std::vector{answer ? std::stoi(answer->text) : -9999, queried, id != 0 ? 1 : 0};
        });
    };
    const auto inherited = attempt(false), contained = attempt(true);
    ASSERT_TRUE(inherited && contained);
    EXPECT_EQ(*inherited, (std::vector{0, 0, 1})) << "control: with the host's network the program is on the host's lo";
    EXPECT_EQ(*contained, (std::vector{0, 0, 0})) << "attached to the namespace's own lo, and not to the host's";
}

TEST(Containment, NamedNetworkNamespace) {
    BW_NEED_TOKENS();
    const auto attempt = [](bool contained) {
        return on_a_host([&] {
            auto wanted = request(everything, usual);
            wanted.private_network = true;
            wanted.containment.network_namespaces = contained;
            const auto result = inside(wanted, [] {
                const int space = ::open("/mnt/netns", O_RDONLY | O_CLOEXEC);
                return std::vector{space < 0 ? -errno : attach_to_network(sk_lookup_type, sk_lookup, space, 1)};
            });
            return result ? *result : std::vector{-9999};
        });
    };
    const auto control = attempt(false), contained = attempt(true);
    ASSERT_TRUE(control && contained);
    EXPECT_EQ(control->front(), 0) << "control: a network namespace's name is all it takes";
    EXPECT_LT(contained->front(), 0);
    EXPECT_GT(contained->front(), -9999);
}

}  // namespace
}  // namespace bpfwarden::test
