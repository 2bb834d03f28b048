// SPDX-License-Identifier: Apache-2.0
// Container runtimes as Debian has them, in an unprivileged container of nobody's: crun is written in C, runc in Go.
// They set device rules for what they start there, programs of the type cgroup_device, which the kernel takes from no
// user namespace; and what they start has its calls answered over their own listeners.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>

#include "root/tools/cgroups.hpp"
#include "root/tools/just_enough.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using Grants = std::map<std::string, std::string>;

const std::string grant = "container-devices";

// crun does nothing more for device rules when it is not given this.
bool may_lock_memory_without_end() {
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    return ::setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0;
}

class Runtimes : public ::testing::TestWithParam<std::string> {
  protected:
    void SetUp() override {
        BW_NEEDS_TOOL(GetParam());
        for (const auto* folder : {"/bin", "/proc", "/dev"}) fs::create_directories(bundle + "/rootfs" + folder);
        fs::copy_file("/bin/busybox", bundle + "/rootfs/bin/busybox");
        // FUSE's. Of no runtime's own list of devices that all may open.
        ASSERT_EQ(::mknod((bundle + "/device").c_str(), S_IFCHR | 0666, ::makedev(10, 229)), 0);
        ::chmod((bundle + "/device").c_str(), 0666);
        std::ofstream(bundle + "/rootfs/device");
        for (const auto& entry : fs::recursive_directory_iterator(bundle))
            if (entry.path().filename() != "device") (void)!::chown(entry.path().c_str(), nobody, nobody);
        (void)!::chown(bundle.c_str(), nobody, nobody);
    }

    // Such a command in a container of the control group that was delegated; `first` before the runtime.
    Running start(uid_t who, const Words& first, const std::string& script, const std::string& more_of_linux) {
        std::ofstream(bundle + "/config.json") << fmt::format(
            R"({{"ociVersion": "1.0.0", "root": {{"path": "rootfs"}},
"process": {{"user": {{"uid": 0, "gid": 0}}, "cwd": "/", "env": ["PATH=/bin"], "noNewPrivileges": true,
  "args": ["/bin/busybox", "sh", "-c", "{}"]}},
"mounts": [{{"destination": "/proc", "type": "proc", "source": "proc"}},
  {{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755", "size=64k"]}},
  {{"destination": "/device", "type": "bind", "source": "{}/device", "options": ["bind"]}}],
"linux": {{"cgroupsPath": "{}", "namespaces": [{{"type": "pid"}}, {{"type": "mount"}}, {{"type": "ipc"}}], {}}}}})",
            script, bundle, Cgroups::own_name() + "/inner", more_of_linux);
        // Both know only cgroup2 at this place. Whoever delegates a control group starts what is delegated to in it.
        std::string command = fmt::format(
            "mount --make-rprivate / && {{ umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; }} &&"
            "echo $$ >/sys/fs/cgroup{} && cd {} && export XDG_RUNTIME_DIR={} &&"
            "exec setpriv --reuid={} --regid={} --clear-groups --",
            Cgroups::own_name() + "/cgroup.procs", bundle, bundle, who, who);
        for (const auto& word : first) command += " '" + word + "'";
        command += fmt::format(" unshare -Urm {} {} --root {}/state run in-a-test", find_tool(GetParam()),
                               GetParam() == "crun" ? "--cgroup-manager cgroupfs" : "", bundle);
        return Running(0, {find_tool("unshare"), "-m", "/bin/sh", "-c", command});
    }
    // What it says, started by nobody.
    std::string in_a_container(const Words& first, const std::string& script, const std::string& more_of_linux) {
        auto running = start(nobody, first, script, more_of_linux);
        running.wait();
        return running.said();
    }
    static Words under(const std::string& name) { return {beside("bin/bpfwarden"), "run", "--grant", name, "--"}; }

    Cgroups cgroups;
    Daemon daemon{Grants{{grant, example_grant(grant)}}};
    const std::string bundle = daemon.directory() + "/bundle";
};

class DeviceRules : public Runtimes {
  protected:
    void SetUp() override {
        BW_IN_ONE_GUEST("lts");
        Runtimes::SetUp();
        if (GetParam() == "crun" && !may_lock_memory_without_end())
            GTEST_SKIP() << "crun wants an unlimited RLIMIT_MEMLOCK before it sets device rules, and root may not "
                            "give it here (no CAP_SYS_RESOURCE)";
    }
    Running start_with_rules(uid_t who, const Words& first) {
        return start(who, first,
                     ": < /dev/zero && echo zero: open;"
                     "(: < /device) 2>&1 | grep -q 'not permitted' && echo device: refused || echo device: open",
                     R"("resources": {"devices": [{"allow": false, "access": "rwm"},
  {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rw"}]})");
    }
    std::string with_rules(const Words& first) {
        auto running = start_with_rules(nobody, first);
        running.wait();
        return running.said();
    }
    void narrow(const std::string& text) {
        daemon.write_grant(grant, text);
        ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    }
};

TEST_P(DeviceRules, HoldUnderTheGrant) {
    EXPECT_THAT(with_rules({}), HasSubstr("device: open")) << "control: without a grant there are no rules";
    const auto said = with_rules(under(grant));
    EXPECT_THAT(said, HasSubstr("zero: open"));
    EXPECT_THAT(said, HasSubstr("device: refused"));
    EXPECT_FALSE(daemon.audit({R"("operation":"attach cgroup_device)", R"("verdict":"allowed")"}).empty());
}

TEST_P(DeviceRules, NoneWithOneEntryLess) {
    narrow(without(example_grant(grant), "cgroup_device"));
    const auto said = with_rules(under(grant));
    EXPECT_THAT(said, HasSubstr("device: open"));
    EXPECT_THAT(said, HasSubstr("bpfwarden run: refused"));
}

// Rules for what belongs to others would be a way to take their devices away.
TEST_P(DeviceRules, NoneOnAControlGroupOutsideOfTheGrant) {
    auto text = example_grant(grant);
    text.replace(text.find("user-65534.slice/**"), 19, "user-65534.slice/elsewhere");
    narrow(text);
    const auto said = with_rules(under(grant));
    EXPECT_THAT(said, HasSubstr("device: open"));
    EXPECT_THAT(said, HasSubstr("targets.cgroups"));
}

TEST_P(DeviceRules, WhatIsLearnedIsJustEnough) {
    if (GetParam() == "runc") BW_SAME_ON_EVERY_KERNEL();  // crun's rules are set in guests alone
    expect_just_enough(daemon, {.name = "learned",
                                .start = [&](uid_t who, const Words& first) { return start_with_rules(who, first); },
                                .does_it =
                                    [](Running& running, auto) {
                                        (void)running.wait();
                                        return running.said().contains("device: refused");
                                    }});
}

// The runtime's own seccomp profile has bpf(2) answered by whoever listens; the container is under no `run`.
class Listeners : public Runtimes {
  protected:
    void SetUp() override {
        BW_IN_ONE_GUEST("floor");
        Runtimes::SetUp();
        for (const auto& file : {helper("hold_object"), beside("examples/socket_gate.bpf.o")})
            fs::copy_file(file, bundle + "/rootfs/" + fs::path(file).filename().string());
    }
    std::string that_loads() {
        return in_a_container({}, "/hold_object /socket_gate.bpf.o & /bin/busybox sleep 1; kill $!",
                              fmt::format(R"("seccomp": {{"defaultAction": "SCMP_ACT_ALLOW",
  "architectures": ["SCMP_ARCH_X86_64"], "listenerPath": "{}",
  "syscalls": [{{"names": ["bpf"], "action": "SCMP_ACT_NOTIFY"}}]}})",
                                          listener));
    }
    std::string under_supervision(const std::string& text) {
        daemon.write_grant("bpftool", text);
        EXPECT_EQ(daemon.tool({"grant", "reload"}).status, 0);
        Running supervise(nobody,
                          {beside("bin/bpfwarden"), "session", "supervise", "--grant", "bpftool", "--once", listener});
        EXPECT_TRUE(eventually([&] { return fs::is_socket(listener); })) << supervise.said();
        auto said = that_loads();
        supervise.wait();
        return said + supervise.said();
    }
    const std::string listener = bundle + "/listener";
};

TEST_P(Listeners, AContainerHasTheGrantOfTheSupervisor) {
    const auto said = under_supervision(example_grant("bpftool"));
    EXPECT_THAT(said, HasSubstr("held"));
    EXPECT_FALSE(daemon.audit({R"("operation":"prog_load cgroup_sock_addr)", R"("verdict":"allowed")"}).empty());
}

TEST_P(Listeners, AndNothingElse) {
    EXPECT_THAT(under_supervision(without(example_grant("bpftool"), "cgroup_inet4_connect")), Not(HasSubstr("held")));
    EXPECT_FALSE(daemon.audit({R"("operation":"prog_load cgroup_sock_addr)", R"("verdict":"refused")"}).empty());
}

TEST_P(Listeners, WithNobodyThereTheRuntimeStartsNothing) { EXPECT_THAT(that_loads(), Not(HasSubstr("held"))); }

const auto runtimes = ::testing::Values("runc", "crun");
std::string name_of(const ::testing::TestParamInfo<std::string>& name) { return name.param; }
INSTANTIATE_TEST_SUITE_P(, DeviceRules, runtimes, name_of);
INSTANTIATE_TEST_SUITE_P(, Listeners, runtimes, name_of);

}  // namespace
}  // namespace bpfwarden::test
