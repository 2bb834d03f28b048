// SPDX-License-Identifier: Apache-2.0
// bpfwarden-seal.service, as it is installed, at the start of a machine: systemd becomes the guest's first process, and
// what is not trusted tries to take the policy away as soon as it may run. It stays the first process afterwards.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include <fmt/format.h>

#include "trust/digest.hpp"
#include "vm/guard_guest.hpp"
#include "vm/one_processor.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;

const std::string units = "/usr/local/lib/systemd/system/", here = "/run/systemd-guest/", gate = here + "gate",
                  admin = here + "admin";
const std::string seal_unit = "bpfwarden-seal.service", guard_unit = "bpfwarden-guard.service",
                  seal_conf = "/etc/bpfwarden/seal.conf", disarming = "/proc/sys/kernel/ftrace_enabled";

// `admin` is the updater's domain, which is entered from `gate` only. Who executes `busybox` makes no directory.
std::string policy() {
    const UniqueFd file(::open(admin.c_str(), O_RDONLY | O_CLOEXEC));
    return R"(format = 1
name = "machine"
mode = "enforce"
[[domain]]
name = "gate"
enter = [ { exe = "/run/systemd-guest/gate" } ]
[[domain]]
name = "admin"
enter = [ { from = ["gate"], ima = "sha256:)" +
           trust::sha256_of_file(file).value_or("") + R"(" } ]
[[domain]]
name = "made"
enter = [ { exe = "/run/systemd-guest/busybox" } ]
[[rule]]
domains = ["made"]
deny = ["mkdir"]
paths = ["/run/systemd-guest/never/*"]
)";
}

std::string unit_file(const std::string& name) {
    auto text = text_of("/bpfwarden/packaging/systemd/" + name + ".in");
    for (std::size_t at; (at = text.find("@BPFWARDEN_SBINDIR@")) != text.npos;) text.replace(at, 19, "/bpfwarden/bin");
    return text;
}

Ran systemctl(Words words) {
    words.insert(words.begin(), "--no-pager");
    return run(words, {}, "/usr/bin/systemctl");
}
std::string property(const std::string& name, const std::string& unit) {
    auto value = systemctl({"show", "--value", "-p", name, unit}).out;
    while (value.ends_with('\n')) value.pop_back();
    return value;
}
bool decides() {
    const auto directory = here + "never/made";
    const auto made = run({"mkdir", directory}, {}, here + "busybox");
    ::rmdir(directory.c_str());
    return made.status != 0;
}
bool sealed() { return run({"guard", "status"}).status == 0; }
Ran as_admin(Words words) {
    words.insert(words.begin(), {admin, tool});
    return run(words, {}, gate);
}

// What is not trusted: an ordinary service of full root.
void add_attack(const std::string& name, const std::string& command, const std::string& after = {}) {
    write_file(units + name + ".service", "[Unit]\nAfter=basic.target " + after +
                                              "\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c '" +
                                              command + "'\n[Install]\nWantedBy=multi-user.target\n");
}
const Words attacks{"attack-umount", "attack-sysctl"};

// The kernel verifies a policy and the guard meanwhile, and each look is a program that an emulated guest starts.
bool comes_to(const std::string& state, const std::string& unit) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(120);
    while (property("ActiveState", unit) != state) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return true;
}
// Everything that a start of the machine starts.
void starts() {
    (void)systemctl({"start", "multi-user.target"});
    EXPECT_TRUE(comes_to("active", "multi-user.target"));
}
void stops() {
    (void)systemctl({"isolate", "nothing.target"});
    EXPECT_TRUE(comes_to("inactive", "multi-user.target"));
    (void)systemctl({"reset-failed"});
}
std::string started_at(const std::string& unit) { return property("ExecMainStartTimestampMonotonic", unit); }

class GuardSystemd : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!emulated()) GTEST_SKIP() << "runs in guests of tools/lab";
        BW_IN_ONE_GUEST("lts");
    }
    static void make_units() {
        for (const auto& folder : {units, here + "never", std::string("/etc/bpfwarden/policies.d"),
                                   std::string("/var/log/bpfwarden"), std::string("/etc/systemd/system")})
            fs::create_directories(folder);
        fs::copy_file("/usr/bin/busybox", here + "busybox", fs::copy_options::skip_existing);
        for (const auto& copy : {gate, admin}) fs::copy_file("/usr/bin/env", copy, fs::copy_options::skip_existing);
        write_file("/etc/bpfwarden/policies.d/machine.toml", policy());
        write_file(seal_conf, "SEAL=--updater domain:admin\n");
        write_file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        write_file("/etc/group", text_of("/etc/group") + "bpfwarden:x:990:\n");
        // Nothing of a system but what the units name, in systemd's own order.
        const std::pair<const char*, const char*> targets[] = {
            {"nothing", "AllowIsolate=yes"},
            {"shutdown", ""},
            {"emergency", "AllowIsolate=yes"},
            {"local-fs", ""},
            {"sysinit", "Wants=local-fs.target\nAfter=local-fs.target emergency.target"},
            {"basic", "Requires=sysinit.target\nAfter=sysinit.target"},
            {"multi-user", "Requires=basic.target\nAfter=basic.target\nAllowIsolate=yes"}};
        for (const auto& [target, more] : targets)
            write_file(units + target + ".target", fmt::format("[Unit]\nDefaultDependencies=no\n{}\n", more));
        for (const auto& unit : {seal_unit, guard_unit}) write_file(units + unit, unit_file(unit));
        // Back at once: links that end while it is 0 now and then leave a kernel that attaches nothing any more.
        add_attack("attack-sysctl", "echo 0 >" + disarming + " && echo 1 >" + disarming);
        add_attack("attack-umount",
                   "if test -d /run/bpfwarden/sealed/bpf; then umount -l /run/bpfwarden/sealed/bpf; "
                   "else umount -l /sys/fs/bpf; fi",
                   "attack-sysctl.service");
        // As an administrator would do it, of a system that does not run yet.
        for (const auto& unit : {guard_unit, seal_unit, attacks[0] + ".service", attacks[1] + ".service"}) {
            const auto enabled = systemctl({"--root=/", "enable", unit});
            ASSERT_EQ(enabled.status, 0) << enabled;
        }
    }
    static void become_the_machines_first_process() {
        write_file("/run/lab/first",
                   "#!/bin/sh\nexec /usr/lib/systemd/systemd --unit=multi-user.target --log-target=kmsg "
                   "--show-status=no --default-standard-output=null\n");
        ASSERT_EQ(::chmod("/run/lab/first", 0755), 0);
        ASSERT_EQ(::kill(1, SIGUSR1), 0);
        EXPECT_TRUE(comes_to("active", "multi-user.target"));
    }
};

TEST_F(GuardSystemd, SealsBeforeAnythingThatIsNotTrusted) {
    const OneProcessor one_processor;
    ASSERT_NO_FATAL_FAILURE(make_units());
    ASSERT_FALSE(decides() || sealed()) << "somebody has left a policy";
    ASSERT_NO_FATAL_FAILURE(become_the_machines_first_process());
    EXPECT_EQ(text_of("/proc/1/comm"), "systemd\n");

    EXPECT_EQ(property("ActiveState", seal_unit), "active") << systemctl({"status", seal_unit});
    EXPECT_TRUE(sealed()) << run({"guard", "status"});
    for (const auto& attack : attacks) {
        EXPECT_EQ(property("Result", attack), "exit-code") << attack << " was refused";
        EXPECT_LT(std::stoull(started_at(seal_unit)), std::stoull(started_at(attack)));
        EXPECT_LE(std::stoull(property("ExecMainExitTimestampMonotonic", seal_unit)), std::stoull(started_at(attack)));
    }
    EXPECT_TRUE(decides());
    EXPECT_EQ(text_of(disarming), "1\n");

    // Who may stop services ends no seal; nor does a restart seal twice.
    EXPECT_EQ(systemctl({"stop", seal_unit}).status, 0);
    EXPECT_EQ(property("ActiveState", seal_unit), "inactive");
    EXPECT_TRUE(sealed() && decides());
    EXPECT_EQ(systemctl({"start", seal_unit}).status, 0) << systemctl({"status", seal_unit});
    EXPECT_EQ(systemctl({"restart", guard_unit}).status, 0) << systemctl({"status", guard_unit});
    EXPECT_TRUE(comes_to("active", seal_unit));
    EXPECT_TRUE(sealed() && decides());

    // The control: without that unit the same attacks work.
    const auto unsealed = as_admin({"guard", "unseal"});
    ASSERT_EQ(unsealed.status, 0) << unsealed;
    stops();
    EXPECT_EQ(run({"policy", "remove"}).status, 0);
    EXPECT_EQ(systemctl({"disable", seal_unit}).status, 0);
    starts();
    EXPECT_EQ(property("ActiveState", guard_unit), "active");
    EXPECT_EQ(property("ActiveState", seal_unit), "inactive");
    for (const auto& attack : attacks) EXPECT_EQ(property("Result", attack), "success") << attack;
    EXPECT_TRUE(eventually([] { return !decides(); })) << "and the policy is gone";

    // What there is to seal with is wrong: that is told, and everything else starts, unless a drop-in says otherwise.
    stops();
    if (!is_mounted("/sys/fs/bpf")) {
        EXPECT_EQ(run({"-t", "bpf", "bpf", "/sys/fs/bpf"}, {}, "/usr/bin/mount").status, 0);
    }
    write_file(seal_conf, "SEAL=--updater domain:nobody\n");
    for (const auto& attack : attacks) EXPECT_EQ(systemctl({"disable", attack}).status, 0);
    EXPECT_EQ(systemctl({"enable", seal_unit}).status, 0);
    starts();
    EXPECT_EQ(property("ActiveState", seal_unit), "failed");
    EXPECT_EQ(property("ExecMainStatus", seal_unit), "5");
    EXPECT_NE(property("ActiveState", "emergency.target"), "active");
    EXPECT_TRUE(decides());
    EXPECT_FALSE(sealed());
    stops();
    fs::create_directories("/etc/systemd/system/" + seal_unit + ".d");
    write_file("/etc/systemd/system/" + seal_unit + ".d/emergency.conf",
               "[Unit]\nOnFailure=emergency.target\nOnFailureJobMode=replace-irreversibly\n");
    EXPECT_EQ(systemctl({"daemon-reload"}).status, 0);
    (void)systemctl({"start", "--no-block", "multi-user.target"});
    EXPECT_TRUE(comes_to("active", "emergency.target"));
    EXPECT_EQ(property("ActiveState", seal_unit), "failed");

    (void)systemctl({"stop", "emergency.target"});
    stops();
    EXPECT_EQ(run({"policy", "remove"}).status, 0);
}

}  // namespace
}  // namespace bpfwarden::test
