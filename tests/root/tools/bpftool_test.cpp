// SPDX-License-Identifier: Apache-2.0
// bpftool as it is, by nobody: its own maps and programs and nobody else's, and programs at a control group that was
// delegated.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
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

// What a process in this control group is told that connects over loopback, where nobody listens.
int connecting_from(const std::string& cgroup) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        std::ofstream(cgroup + "/cgroup.procs") << ::getpid();
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(9);
        ::inet_pton(AF_INET, "127.0.0.2", &to.sin_addr);
        ::_exit(::connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 ? 0 : errno);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class Bpftool : public ::testing::Test {
  protected:
    void SetUp() override {
        BW_NEEDS_TOOL("bpftool");
        ASSERT_EQ(::mkdir(pins.c_str(), 0755), 0);
        ASSERT_EQ(::mount("bpf", pins.c_str(), "bpf", 0, "mode=0755"), 0);
        ASSERT_EQ(::mkdir((pins + "/own").c_str(), 0755), 0);
        ASSERT_EQ(::chown((pins + "/own").c_str(), nobody, nobody), 0);
    }
    void TearDown() override {
        ::umount2(pins.c_str(), MNT_DETACH);
        ::rmdir(pins.c_str());
    }
    // In one session, as nobody.
    Running run(const std::string& script) const {
        return Running::under_grant("bpftool",
                                    {"/bin/sh", "-c",
                                     fmt::format("PATH=$PATH:/usr/sbin; cd {}; own={}; other={}; pins={}/own; {}",
                                                 daemon.directory(), cgroups.own(), cgroups.other(), pins, script)});
    }
    std::string said(const std::string& script) const {
        auto running = run(script);
        running.wait();
        return running.said();
    }
    std::string as_root(const Words& words) const {
        Running running(0, words);
        running.wait();
        return running.said();
    }

    const std::string bpftool = find_tool("bpftool");
    Cgroups cgroups;
    Daemon daemon{Grants{{"bpftool", example_grant("bpftool")}}};
    const std::string pins = daemon.directory() + "/pins";
    const std::string hold = for_others(daemon, helper("hold_object"));
    const std::string object = for_others(daemon, beside("examples/socket_gate.bpf.o"));
};

TEST_F(Bpftool, MapsOfItsOwnAlone) {
    as_root({bpftool, "map", "create", pins + "/others", "type", "hash", "key", "4", "value", "4", "entries", "4",
             "name", "others"});
    EXPECT_THAT(as_root({bpftool, "map", "show"}), HasSubstr("name others")) << "control: root sees it";
    const auto all = said(
        "bpftool map create $pins/mine type hash key 4 value 4 entries 4 name mine &&"
        "bpftool map update pinned $pins/mine key 1 0 0 0 value 2 0 0 0 &&"
        "bpftool map dump pinned $pins/mine && bpftool map show; echo status $?");
    EXPECT_THAT(all, HasSubstr("key: 01 00 00 00  value: 02 00 00 00"));
    EXPECT_THAT(all, HasSubstr("name mine"));
    EXPECT_THAT(all, HasSubstr("status 0"));
    EXPECT_THAT(all, Not(HasSubstr("others")));
    EXPECT_THAT(all, Not(HasSubstr("refused")));
}

// Of a map with types bpftool shows the names of what is in it; types of others it does not get.
TEST_F(Bpftool, TypesOfItsOwnMapsAlone) {
    const auto watch = for_others(daemon, helper("static_watch_getppid"));
    Running others(0, {watch, "60"});
    ASSERT_TRUE(others.says("counting")) << others.said();
    const auto type_of_calls = fmt::format("{} map show name calls | sed -n 's/.*btf_id //p'", bpftool);
    const Words dump{"/bin/sh", "-c",
                     fmt::format("for id in $({}); do {} btf dump id $id; done", type_of_calls, bpftool)};
    EXPECT_THAT(as_root(dump), HasSubstr("'calls'")) << "control: root sees them";
    auto by_root = Running(0, {"/bin/sh", "-c", type_of_calls});
    by_root.wait();
    const auto id = by_root.said().substr(0, by_root.said().find('\r'));

    daemon.write_grant("getppid-counter", example_grant("getppid-counter"));
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    auto running = Running::under_grant(
        "getppid-counter",
        {"/bin/sh", "-c",
         fmt::format("PATH=$PATH:/usr/sbin; {} 60 & until bpftool map dump name calls; do sleep 0.1; done;"
                     "bpftool btf dump id $({}); bpftool btf dump id {}; echo others $?; kill $!",
                     watch, type_of_calls, id)});
    EXPECT_NE(running.wait(), -1);
    EXPECT_THAT(running.said(), HasSubstr("\"value\": "));
    EXPECT_THAT(running.said(), HasSubstr("'calls'"));
    EXPECT_THAT(running.said(), Not(HasSubstr("others 0")));
    EXPECT_THAT(running.said(), HasSubstr("No such file or directory"));
}

TEST_F(Bpftool, NoMapOfATypeThatIsNotAllowed) {
    const auto all = said("bpftool map create $pins/mine type lpm_trie key 8 value 4 entries 4 name mine flags 1");
    EXPECT_THAT(all, HasSubstr("Operation not permitted"));
    EXPECT_THAT(all, HasSubstr("map type lpm_trie is not in map_types"));
    EXPECT_FALSE(fs::exists(pins + "/own/mine"));
}

// A pinned program would outlive its session.
TEST_F(Bpftool, NoProgramIsPinned) {
    const auto all = said("bpftool prog load socket_gate.bpf.o $pins/gate; echo status $?");
    EXPECT_THAT(all, Not(HasSubstr("status 0")));
    EXPECT_FALSE(fs::exists(pins + "/own/gate"));
    EXPECT_EQ(as_root({bpftool, "prog", "load", object, pins + "/gate"}), "");
    EXPECT_TRUE(fs::exists(pins + "/gate")) << "control: root pins it";
}

TEST_F(Bpftool, ProgramsAndLinksOfItsOwnAlone) {
    Running others(0, {hold, object, cgroups.other()});
    ASSERT_TRUE(others.says("held")) << others.said();
    auto running =
        run("./hold_object socket_gate.bpf.o $own & until bpftool link show | grep -q cgroup; do sleep 0.1; done;"
            "echo programs $(bpftool prog show | grep -c gate_connect) links $(bpftool link show | grep -c '^[0-9]*: "
            "cgroup');"
            "kill $!");
    EXPECT_TRUE(running.says("programs 1 links 1")) << running.said();
    Running by_root(0, {"/bin/sh", "-c", fmt::format("echo programs $({} prog show | grep -c gate_connect)", bpftool)});
    EXPECT_TRUE(by_root.says("programs 1")) << "control: there is another: " << by_root.said();
}

TEST_F(Bpftool, AttachesToItsControlGroupAlone) {
    EXPECT_EQ(connecting_from(cgroups.own()), ECONNREFUSED) << "control";
    auto running =
        run("./hold_object socket_gate.bpf.o & until bpftool prog show | grep -q gate_connect; do sleep 0.1; done;"
            "id=$(bpftool prog show | sed -n 's/^\\([0-9]*\\): cgroup_sock_addr.*/\\1/p');"
            "bpftool cgroup attach $other cgroup_inet4_connect id $id; echo other $?;"
            "bpftool cgroup attach $own cgroup_inet4_connect id $id; echo own $?; echo at\" \"work;"
            "until [ -e pins/on ]; do sleep 0.1; done;"
            "bpftool cgroup detach $own cgroup_inet4_connect id $id; echo detached $?; kill $!");
    ASSERT_TRUE(running.says("at work")) << running.said();
    EXPECT_THAT(running.said(), HasSubstr("own 0"));
    EXPECT_THAT(running.said(), Not(HasSubstr("other 0")));
    EXPECT_EQ(connecting_from(cgroups.own()), EPERM);
    EXPECT_EQ(connecting_from(cgroups.other()), ECONNREFUSED);
    ::mkdir((pins + "/on").c_str(), 0755);
    EXPECT_TRUE(running.says("detached 0")) << running.said();
    EXPECT_EQ(connecting_from(cgroups.own()), ECONNREFUSED);
    running.wait();
    EXPECT_THAT(running.said(), HasSubstr("targets.cgroups"));
}

TEST_F(Bpftool, WhatIsLearnedFromItIsJustEnough) {
    BW_SAME_ON_EVERY_KERNEL();
    const auto script = fmt::format(
        "PATH=$PATH:/usr/sbin; cd {}; own={}; map={}/own/mine; set -e; trap 'kill $! 2>/dev/null; rm -f $map' EXIT;"
        "bpftool map create $map type hash key 4 value 4 entries 4 name mine; ./hold_object socket_gate.bpf.o &"
        "for i in 1 2 3 4 5 6 7 8 9 10; do if bpftool prog show | grep -q gate_connect; then break; fi; sleep 0.2; "
        "done;"
        "id=$(bpftool prog show | sed -n 's/^\\([0-9]*\\): cgroup_sock_addr.*/\\1/p');"
        "bpftool cgroup attach $own cgroup_inet4_connect id $id; bpftool cgroup detach $own cgroup_inet4_connect id "
        "$id;"
        "echo all\" \"done",
        daemon.directory(), cgroups.own(), pins);
    expect_just_enough(
        daemon,
        {.name = "learned", .start = of_command({"/bin/sh", "-c", script}), .does_it = [](Running& running, auto) {
             (void)running.wait();
             return running.said().contains("all done");
         }});
}

}  // namespace
}  // namespace bpfwarden::test
