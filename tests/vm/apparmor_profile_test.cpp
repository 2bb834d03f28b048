// SPDX-License-Identifier: Apache-2.0
// packaging/apparmor, where a kernel has AppArmor and no BPF LSM: what a confined root is refused, and what not.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/fd.hpp"
#include "root/guests.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;

const std::string here = "/tmp/apparmor/", pins = "/sys/fs/bpf/victim/", said = here + "said",
                  loader = "/bpfwarden/tests/helpers/foreign_loader", agent = here + "agent";

std::string text_of(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

int shell(const std::string& command) {
    std::ofstream(here + "command") << command << "\n";
    const int status = std::system(("/bin/sh " + here + "command >" + said + " 2>&1").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
// All capabilities, but in the profile.
int confined(const std::string& command) {
    std::ofstream(here + "confined") << command << "\n";
    return shell("exec aa-exec -p bpfwarden-service -- /bin/sh " + here + "confined");
}

// The victim's policy: nobody connects to 127.0.0.77.
bool decides() {
    const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(9);
    to.sin_addr.s_addr = htonl(0x7f00004d);
    EXPECT_NE(::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    return errno == EPERM;
}

struct Attack {
    const char* what;
    std::string command;
    // What tells that it has worked, if not that the policy is gone.
    std::string achieved = {};
    std::string clean_up = {};
};
const std::string disarming = "/proc/sys/kernel/ftrace_enabled", helper = "/proc/sys/kernel/core_pattern";
const Attack attacks[] = {
    {"removes the pin", "rm " + pins + "link"},
    {"unmounts the bpffs", "umount -l /sys/fs/bpf"},
    {"does so in the first mount namespace, from another",
     "unshare --mount nsenter --target 1 --mount umount -l /sys/fs/bpf"},
    {"moves it, and unmounts that",
     "mount --make-private /sys && mkdir -p /run/moved && mount --move /sys/fs/bpf /run/moved && umount /run/moved", "",
     "mount --make-shared /sys"},
    {"detaches the link by its number",
     "bpftool link detach id $(bpftool link list | sed -n '/cgroup/s/:.*//p' | tail -n 1)"},
    {"disables programs of BPF LSM", "echo 0 >" + disarming, "grep -q 0 " + disarming, "echo 1 >" + disarming},
    {"has the kernel start a program", "echo '|/tmp/x' >" + helper, "grep -q /tmp/x " + helper, "echo core >" + helper},
    {"ends a process of somebody else", "kill $(cat " + agent + ")", "! kill -0 $(cat " + agent + ")"},
    {"takes the profile away", "apparmor_parser --remove /bpfwarden/packaging/apparmor/bpfwarden-service",
     "! grep -q ^bpfwarden-service /sys/kernel/security/apparmor/profiles",
     "apparmor_parser --replace --skip-cache /bpfwarden/packaging/apparmor/bpfwarden-service"},
    {"replaces a program that root runs", "cp /usr/bin/busybox /usr/bin/aa-enabled",
     "cmp -s /usr/bin/busybox /usr/bin/aa-enabled", "cp " + here + "aa-enabled /usr/bin/aa-enabled"},
    {"plans a job", "echo '* * * * * root true' >/etc/cron.d/job", "test -e /etc/cron.d/job", "rm -f /etc/cron.d/job"},
};

class AppArmorProfile : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!emulated()) GTEST_SKIP() << "runs in guests of tools/lab";
        if (::access("/usr/sbin/apparmor_parser", X_OK) && ::access("/sbin/apparmor_parser", X_OK))
            GTEST_SKIP() << "this guest has no apparmor: the Debian mirror did not give it";
        for (const char* folder : {"/etc/apparmor.d/abstractions", "/etc/cron.d"}) fs::create_directories(folder);
        fs::create_directories(here);
        fs::copy_file("/bpfwarden/packaging/apparmor/abstractions/bpfwarden", "/etc/apparmor.d/abstractions/bpfwarden",
                      fs::copy_options::overwrite_existing);
        fs::copy_file("/usr/bin/aa-enabled", here + "aa-enabled", fs::copy_options::overwrite_existing);
        ASSERT_EQ(shell("apparmor_parser --replace --skip-cache /bpfwarden/packaging/apparmor/bpfwarden-service"), 0)
            << text_of(said);
        make_victim();
    }
    void TearDown() override {
        if (fs::exists(agent)) shell("kill $(cat " + agent + "); rm -rf " + pins);
    }
    static void make_victim() {
        ASSERT_EQ(shell("kill -0 $(cat " + agent + ") || { sleep 1000 >/dev/null 2>&1 & echo $! >" + agent + "; }"), 0);
        ASSERT_EQ(shell("grep -q ' /sys/fs/bpf ' /proc/self/mounts || mount -t bpf bpf /sys/fs/bpf"), 0)
            << text_of(said);
        if (decides()) return;
        fs::remove_all(pins);
        ASSERT_EQ(shell(loader + " load connect " + pins), 0) << text_of(said);
        ASSERT_TRUE(decides());
    }
    static bool worked(const Attack& attack) {
        return attack.achieved.empty() ? !decides() : shell(attack.achieved) == 0;
    }
};

TEST_F(AppArmorProfile, RefusesAConfinedRootWhatRootCanDo) {
    ASSERT_EQ(confined("test $(id -u) = 0 && echo text >/tmp/apparmor/file && test $(cat /tmp/apparmor/file) = text"),
              0)
        << "an ordinary thing works: " << text_of(said);
    for (const auto& attack : attacks) {
        EXPECT_NE(confined(attack.command), 0) << attack.what << ": " << text_of(said);
        EXPECT_FALSE(worked(attack)) << attack.what << ", confined";
        EXPECT_TRUE(decides()) << attack.what;
        EXPECT_EQ(shell(attack.command), 0) << attack.what << ", the control: " << text_of(said);
        EXPECT_TRUE(worked(attack)) << attack.what << ", the control";
        if (!attack.clean_up.empty()) {
            EXPECT_EQ(shell(attack.clean_up), 0) << text_of(said);
        }
        ASSERT_NO_FATAL_FAILURE(make_victim());
    }
}

TEST_F(AppArmorProfile, NobodyLeavesIt) {
    for (const char* way : {"aa-exec -p unconfined -- true", "echo changeprofile unconfined >/proc/self/attr/current",
                            "echo exec unconfined >/proc/self/attr/exec", "unshare --user --map-root-user --mount true",
                            "nsenter --target 1 --mount true"}) {
        EXPECT_NE(confined(way), 0) << way << ": " << text_of(said);
    }
    EXPECT_EQ(shell("aa-exec -p unconfined -- true"), 0) << "the control: " << text_of(said);
}

// docs/guard.md, Without BPF LSM. AppArmor is not asked when bpf() opens a pin, and bpf() wants no capability for what
// it does with it.
TEST_F(AppArmorProfile, DoesNotHoldWhatIsPinned) {
    EXPECT_EQ(confined("bpftool link detach pinned " + pins + "link"), 0) << text_of(said);
    EXPECT_FALSE(decides());
}

// Nor whoever is not confined.
TEST_F(AppArmorProfile, DoesNotHoldWhoIsNotConfined) {
    // Somebody else, who does what the confined has written.
    EXPECT_EQ(confined("echo 'rm " + pins + "link' >" + here + "job"), 0) << text_of(said);
    EXPECT_TRUE(decides());
    EXPECT_EQ(shell(". " + here + "job"), 0) << text_of(said);
    EXPECT_FALSE(decides());
}

TEST_F(AppArmorProfile, IsNoSeal) {
    EXPECT_EQ(shell("/bpfwarden/bin/bpfwarden guard seal"), 3);
    for (const char* word : {"lockdown,", "lsm=", "apparmor,bpf on the kernel's command line", "update-grub"})
        EXPECT_NE(text_of(said).find(word), std::string::npos) << word << ": " << text_of(said);
}

}  // namespace
}  // namespace bpfwarden::test
