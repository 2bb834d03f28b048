// SPDX-License-Identifier: Apache-2.0
// The network: a namespace of the command's own by default, the caller's only when the grant says so.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sched.h>

#include <sstream>

#include "stage.hpp"

namespace bpfwarden::test {
namespace {

// All of this file happens in a network namespace of the test's own, which plays the host.
class Net : public ::testing::Test {
  protected:
    static void SetUpTestSuite() {
        if (!kernel_has_tokens()) return;
        host_ = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
        ASSERT_TRUE(run({"ip", "link", "set", "lo", "up"}).exited(0));
        ASSERT_TRUE(run({"ip", "link", "add", "outer0", "type", "veth", "peer", "name", "outer1"}).exited(0));
    }
    static void TearDownTestSuite() {
        if (host_ >= 0) {
            EXPECT_EQ(::setns(host_, CLONE_NEWNET), 0);
        }
    }
    void SetUp() override { BW_NEED_TOKENS(); }

    static std::string acknowledged() {
        static const std::string path =
            write_grant({.top = "subject = [ { uid = TEST_USER } ]\ndangerous = [\"host_network\"]\n"});
        return path;
    }
    static int host_;
};
int Net::host_ = -1;

// Name → "up" or "down".
std::map<std::string, std::string> interfaces(const std::string& text) {
    std::map<std::string, std::string> all;
    std::istringstream lines(text);
    for (std::string index, name, state; lines >> index >> name >> state;) all[name] = state;
    return all;
}

unsigned xdp_on(int ifindex) {
    LIBBPF_OPTS(bpf_xdp_query_opts, opts);
    EXPECT_EQ(::bpf_xdp_query(ifindex, 0, &opts), 0);
    return opts.prog_id;
}

TEST_F(Net, PrivateMeansALoopbackAndNothingElse) {
    for (const auto& grant : {plain_grant(), contained_grant()}) {
        auto inside = interfaces(run(under(grant, {Stage::witness, "interfaces"})).out);
        EXPECT_EQ(inside["lo"], "up");
        inside.erase("lo");
        // A kernel with tunnel modules puts their fallback devices into every new namespace; they are down.
        for (const auto& [name, state] : inside) EXPECT_EQ(state, "down") << name;
        EXPECT_FALSE(inside.contains("outer0"));
    }
    auto inherited = interfaces(run(under(acknowledged(), {Stage::witness, "interfaces"}, {"--net", "inherit"})).out);
    EXPECT_TRUE(inherited.contains("outer0")) << "control: with the caller's network";
}

TEST_F(Net, TheLoopbackWorks) {
    EXPECT_EQ(run(under(plain_grant(), {Stage::witness, "loopback"})).out, "ok\n");
    EXPECT_EQ(run(Start{.argv = {Stage::witness, "loopback"}, .in_child = [] { ::unshare(CLONE_NEWNET); }}).out,
              "ENETUNREACH\n")
        << "control: in a new namespace whose loopback nobody brought up";
}

// Both namespaces have an interface number 1.
TEST_F(Net, XdpOnItsLoopbackIsNotOnTheCallers) {
    Running inside({.argv = under(plain_grant(), {Stage::witness, "attach-xdp", "1"})});
    ASSERT_EQ(inside.read_line(), "attached");
    EXPECT_EQ(xdp_on(1), 0U) << "the caller's own lo is as it was";
    EXPECT_TRUE(inside.wait().exited(0));

    Running inherited({.argv = under(acknowledged(), {Stage::witness, "attach-xdp", "1"}, {"--net", "inherit"})});
    ASSERT_EQ(inherited.read_line(), "attached");
    EXPECT_NE(xdp_on(1), 0U) << "control: it would be seen";
    inherited.wait();
    EXPECT_EQ(xdp_on(1), 0U) << "gone with the command";
}

TEST_F(Net, TheCallersNamespaceCannotBeEntered) {
    const std::string admin =
        write_grant({.top = "subject = [ { uid = TEST_USER } ]\ndangerous = [\"namespace_admin\", \"kernel_read\"]\n",
                     .allow = "map_types = [\"array\"]\ncapabilities = [\"bpf\", \"net_admin\", \"sys_admin\"]\n"});
    const auto enter_by_fd = [](const Words& argv) {
        return run(Start{.argv = argv,
                         .in_child = [] { ::dup2(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), 7); }})
            .out;
    };
    const Words command{Stage::witness, "setns-fd", "7"};
    EXPECT_EQ(enter_by_fd(command), "ok\n") << "control: as root";
    for (const auto& grant : {plain_grant(), admin})
        EXPECT_EQ(enter_by_fd(under(grant, command, {"--keep-fd", "7"})), "EPERM\n");
    EXPECT_EQ(enter_by_fd(under(admin, command)), "EBADF\n") << "and it is not even there unless kept";
}

}  // namespace
}  // namespace bpfwarden::test
