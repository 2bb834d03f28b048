// SPDX-License-Identifier: Apache-2.0
// What a seal and its end are, and what one is refused for: then everything is as before.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "enforce/kernel_links.hpp"
#include "vm/guard_guest.hpp"
#include "vm/guard_programs.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;
using enforce::sealed_bpffs, enforce::unsealed_policy;

std::size_t attached_to_root() {
    const UniqueFd root(::open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    std::size_t number = 0;
    for (const auto type : {BPF_CGROUP_SYSCTL, BPF_LSM_CGROUP}) {
        LIBBPF_OPTS(bpf_prog_query_opts, query);
        EXPECT_EQ(::bpf_prog_query_opts(root.get(), type, &query), 0);
        number += query.prog_cnt;
    }
    return number;
}

class GuardSeal : public GuardGuest {
  protected:
    struct State {
        InKernel ids = in_kernel();
        std::set<std::string> pins = names_in(unsealed_policy);
        std::size_t attached = attached_to_root();
    };
    static void expect_as(const State& before) {
        EXPECT_TRUE(eventually([&] { return in_kernel().is_no_more_than(before.ids); })) << in_kernel();
        EXPECT_EQ(names_in(unsealed_policy), before.pins);
        EXPECT_EQ(attached_to_root(), before.attached);
        EXPECT_FALSE(is_mounted(sealed_bpffs));
        EXPECT_FALSE(is_mounted(enforce::sealed_tmpfs));
        EXPECT_FALSE(sealed());
        expect_in_force();
    }
    static void expect_refused(const std::string& why, int status = 1, const Words& options = {},
                               const std::function<bool()>& prepare = {}) {
        const State before;
        Words words{"guard", "seal"};
        words.insert(words.end(), options.begin(), options.end());
        const auto ran = run(words, prepare);
        EXPECT_EQ(ran.status, status) << ran;
        EXPECT_TRUE(ran.err.contains(why)) << "wanted " << why << "\n" << ran;
        expect_three_parts(ran);
        expect_as(before);
        EXPECT_TRUE(eventually([&] { return new_names(in_kernel(), before.ids).empty(); })) << "the same programs";
    }
};

TEST_F(GuardSeal, WithAPolicyInForce) {
    const State before;
    EXPECT_EQ(run({"guard", "status"}).out, "nothing is sealed\n");
    EXPECT_EQ(run({"guard", "status"}).status, 5);
    EXPECT_FALSE(status()["armed"]);
    const auto refused = run({"guard", "unseal"});
    EXPECT_EQ(refused.status, 5) << refused;

    const auto done = run({"guard", "seal", "--updater", "cap:mac_admin", "--json"});
    ASSERT_EQ(done.status, 0) << done;
    const auto counts = nlohmann::json::parse(done.out);
    EXPECT_EQ(counts["schema"], "bpfwarden.guard-seal/1");
    expect_in_force();
    const auto now = status();
    EXPECT_EQ(now["updater"], "cap:mac_admin");
    EXPECT_EQ(now["core"].size(), 8U);
    unsigned closed = 0;
    for (const auto& way : now["ways"]) {
        closed += way["closed"] ? 1U : 0U;
        EXPECT_EQ(way["closed"].get<bool>(), way["why_not"].get<std::string>().empty()) << way;
    }
    EXPECT_EQ(closed, 8U) << now["ways"];
    EXPECT_EQ(now["attempts"], 0) << "the updater's own acts are none";
    EXPECT_TRUE(now["tried"].empty()) << "it may do all of it";
    EXPECT_EQ(now["sealed"].size(), static_cast<std::size_t>(counts["programs"]) +
                                        static_cast<std::size_t>(counts["maps"]) +
                                        static_cast<std::size_t>(counts["links"]));
    // Everything of the policy, which other programs like those before decide by where the kernel can hold them.
    const auto things = sealed_things();
    std::set<std::string> not_sealed;
    EXPECT_TRUE(eventually([&] {
        not_sealed = new_names(in_kernel());
        for (const auto& thing : things) not_sealed.erase(thing);
        return not_sealed.empty();
    })) << ::testing::PrintToString(not_sealed);
    // Somebody else is told that what was tried was refused.
    const auto others = run({"guard", "status"}, without_mac_admin);
    EXPECT_EQ(others.status, 0);
    for (const char* line : {"updater     cap:mac_admin\n", "core        8 programs",
                             "an fd for map:", "renaming a pin of the guard: refused\n"})
        EXPECT_TRUE(others.out.contains(line)) << line << "\n" << others;
    EXPECT_FALSE(others.out.contains("NOT")) << others;
    EXPECT_EQ(status()["attempts"], 6) << "5 acts, and the question whether there is something to try";

    const auto again = run({"guard", "seal"});
    EXPECT_EQ(again.status, 1);
    EXPECT_TRUE(again.err.contains("sealed already")) << again;
    EXPECT_EQ(sealed_things(), things);
    EXPECT_EQ(status()["updater"], "cap:mac_admin");

    // Under a seal a policy is not removed, by its updater neither.
    const auto removed = run({"policy", "remove"});
    EXPECT_EQ(removed.status, 4) << removed;
    expect_three_parts(removed);
    expect_in_force();

    unseal();
    expect_as(before);
    EXPECT_EQ(run({"policy", "status"}).status, 0);
}

TEST_F(GuardSeal, WithoutAPolicyAndOneThatIsAppliedUnderIt) {
    BW_IN_ONE_GUEST("lts");
    const auto removed = run({"policy", "remove"});
    ASSERT_EQ(removed.status, 0) << "what was unsealed is root's again\n" << removed;
    ASSERT_FALSE(decides("one"));
    const State before;
    seal();
    const auto only_itself = sealed_things();
    EXPECT_EQ(status()["core"].size(), 8U);
    unseal();
    EXPECT_TRUE(eventually([&] { return new_names(in_kernel(), before.ids).empty(); })) << in_kernel();
    EXPECT_EQ(attached_to_root(), 0U);

    seal();
    EXPECT_EQ(run({"policy", "status"}).status, 5);
    const auto refused = run({"policy", "apply", old_policy}, without_mac_admin);
    EXPECT_EQ(refused.status, 4) << refused;
    expect_three_parts(refused);
    const auto own = in_kernel();
    old_in_force();
    new_maker();
    expect_in_force();
    EXPECT_EQ(run({"policy", "status"}).status, 0);
    EXPECT_TRUE(names_in(unsealed_policy).empty());
    // What it was made of is sealed with it.
    const auto things = sealed_things();
    for (const auto& name : new_names(in_kernel(), own)) EXPECT_TRUE(things.contains(name)) << name;
    unseal();
    expect_in_force();
    EXPECT_EQ(run({"policy", "status"}).status, 0);
}

// Whoever has one could change the policy after the seal.
TEST_F(GuardSeal, NotWhileSomebodyHasAMapOfThePolicy) {
    BW_IN_ONE_GUEST("edge");
    const auto images = std::string(unsealed_policy) + "/images", elsewhere = std::string("/sys/fs/bpf/elsewhere");
    {
        const UniqueFd map(::bpf_obj_get(images.c_str()));
        ASSERT_TRUE(map);
        expect_refused(fmt::format("processes {} have it open", ::getpid()));
        ASSERT_EQ(::bpf_obj_pin(map.get(), elsewhere.c_str()), 0);
    }
    expect_refused("a pin elsewhere");
    ASSERT_EQ(::unlink(elsewhere.c_str()), 0);

    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* address = nullptr;
    {
        const UniqueFd map(::bpf_obj_get((std::string(unsealed_policy) + "/control").c_str()));
        address = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0);
        ASSERT_NE(address, MAP_FAILED);
    }
    expect_refused("somebody else holds map:");
    ::munmap(address, page);

    int sockets[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    {
        const UniqueFd map(::bpf_obj_get(images.c_str()));
        char byte = 0, control[CMSG_SPACE(sizeof(int))] = {};
        iovec data{&byte, 1};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        auto* head = CMSG_FIRSTHDR(&message);
        *head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        const int fd = map.get();
        std::copy_n(reinterpret_cast<const unsigned char*>(&fd), sizeof fd, CMSG_DATA(head));
        ASSERT_EQ(::sendmsg(sockets[0], &message, 0), 1);
    }
    expect_refused("an fd on its way");
    ::close(sockets[0]);
    ::close(sockets[1]);

    // The same programs given up all that: nothing but that was in the way.
    seal();
    expect_in_force();
}

TEST_F(GuardSeal, NotBesideProgramsThatCouldOverruleIt) {
    const UniqueFd root(::open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    {
        const auto program = permit_program(BPF_PROG_TYPE_LSM, BPF_LSM_CGROUP, "socket_create");
        ASSERT_EQ(::bpf_prog_attach(program.get(), root.get(), BPF_LSM_CGROUP, BPF_F_ALLOW_MULTI), 0);
        expect_refused("programs of others at the root of cgroup2");
        ASSERT_EQ(::bpf_prog_detach2(program.get(), root.get(), BPF_LSM_CGROUP), 0);
    }
    {
        const auto program = permit_program(BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL);
        const UniqueFd link(::bpf_link_create(program.get(), root.get(), BPF_CGROUP_SYSCTL, nullptr));
        ASSERT_TRUE(link);
        expect_refused("programs of others at the root of cgroup2");
    }
    {
        const auto program = permit_program(BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, "security_syslog");
        const UniqueFd link(::bpf_raw_tracepoint_open(nullptr, program.get()));
        ASSERT_TRUE(link);
        expect_refused("could overrule the guard");
    }
    if (enforce::kernel_can_hold()) {
        // It could close what the kernel's threads hold.
        const auto program = permit_program(BPF_PROG_TYPE_SYSCALL, BPF_CGROUP_INET_INGRESS);
        expect_refused("could overrule the guard");
    }
    {  // Of another type, and further down: neither could.
        const auto program = permit_program(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS);
        const UniqueFd link(::bpf_link_create(program.get(), root.get(), BPF_CGROUP_INET_EGRESS, nullptr));
        ASSERT_TRUE(link);
        fs::create_directory("/sys/fs/cgroup/below");
        const UniqueFd below(::open("/sys/fs/cgroup/below", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        const auto sysctl = permit_program(BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL);
        const UniqueFd second(::bpf_link_create(sysctl.get(), below.get(), BPF_CGROUP_SYSCTL, nullptr));
        ASSERT_TRUE(second);
        seal();
        unseal();
    }
    fs::remove("/sys/fs/cgroup/below");
}

// What is mounted there would end with the namespace, and the policy with it.
TEST_F(GuardSeal, OnlyFromTheFirstNamespacesAndByRoot) {
    BW_IN_ONE_GUEST("floor");
    expect_refused("first cgroup namespace", 1, {}, [] { return ::unshare(CLONE_NEWCGROUP) == 0; });
    expect_refused("first mnt namespace", 1, {}, [] { return ::unshare(CLONE_NEWNS) == 0; });
    expect_refused("first user namespace", 1, {}, in_user_namespace);
    const auto nobody = [] { return ::setgid(65534) == 0 && ::setuid(65534) == 0; };
    expect_refused("only root", 4, {}, nobody);
    for (const Words& words : {Words{"guard", "status"}, {"guard", "unseal"}, {"guard", "protect", "--id", "prog:1"}}) {
        const auto ran = run(words, nobody);
        EXPECT_EQ(ran.status, 4) << ran;
        expect_three_parts(ran);
    }
}

TEST_F(GuardSeal, NotWithWhatIsNotThere) {
    BW_IN_ONE_GUEST("lts");
    expect_refused("/sys/fs/bpf/missing", 5, {"--pin", "/sys/fs/bpf/missing"});
    expect_refused("is not on a bpffs", 6, {"--mount", "/run"});
    expect_refused("prog:99999", 5, {"--id", "prog:99999"});
    expect_refused("no policy in force has a domain", 5, {"--updater", "domain:somebody"});
    for (const char* who : {"domain:", "cap:sys_admin", "", "nobody"}) {
        const auto ran = run({"guard", "seal", "--updater", who});
        EXPECT_EQ(ran.status, 2) << who << ran;
        EXPECT_FALSE(sealed());
    }
}

}  // namespace
}  // namespace bpfwarden::test
