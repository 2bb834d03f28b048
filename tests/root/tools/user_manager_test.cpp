// SPDX-License-Identifier: Apache-2.0
// systemd's manager of a user's services, as it is: IPAddressDeny= of a service, which systemd makes of programs at the
// service's control group, works under a grant, and is passed over without one.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "root/tools/cgroups.hpp"
#include "root/tools/just_enough.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Grants = std::map<std::string, std::string>;

const std::string grant = "user-manager", manager = "/usr/lib/systemd/systemd";

// Of a server that takes every connection.
class Server {
  public:
    Server() {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
        EXPECT_EQ(::listen(socket_, 8), 0);
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&at), &size);
        port_ = ::ntohs(at.sin_port);
    }
    ~Server() { ::close(socket_); }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    int port() const { return port_; }

  private:
    int socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port_ = 0;
};

class UserManager : public ::testing::Test {
  protected:
    void SetUp() override {
        BW_IN_ONE_GUEST("edge");
        if (::access(manager.c_str(), X_OK) != 0) GTEST_SKIP() << "not installed on this machine: systemd (make deps)";
        fs::create_directories(home + "/.config/systemd/user");
        fs::create_directory(home + "/run");
        for (const auto& [name, setting] : {std::pair{"free", ""}, {"cut", "IPAddressDeny=127.0.0.0/8"}})
            std::ofstream(home + "/.config/systemd/user/" + name + ".service") << fmt::format(
                "[Unit]\nDefaultDependencies=no\n[Service]\nSlice=-.slice\nType=oneshot\n{}\nExecStart=/bin/sh -c "
                "'timeout 2 bash -c \"exec 3<>/dev/tcp/127.0.0.1/{}\" && echo connected >%h/tried || echo cut off "
                ">%h/tried; "
                "mv %h/tried %h/said; kill -KILL $MANAGERPID'\n",
                setting, server.port());
        for (const auto& entry : fs::recursive_directory_iterator(home))
            (void)!::chown(entry.path().c_str(), nobody, nobody);
        (void)!::chown(home.c_str(), nobody, nobody);
    }

    // A manager in the control group that was delegated, and its service; `first` before it.
    Running start(uid_t who, const Words& first, const std::string& service) {
        // The manager wants systemd to have booted the machine, and knows control groups of version 2 at this place
        // only.
        std::string script = fmt::format(
            "mount --make-rprivate / && {{ umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; }} &&"
            "mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system &&"
            "echo $$ >/sys/fs/cgroup{}/cgroup.procs && export HOME={} XDG_RUNTIME_DIR={}/run && cd / &&"
            "exec setpriv --reuid={} --regid={} --clear-groups --",
            Cgroups::own_name(), home, home, who, who);
        for (const auto& word : first) script += " '" + word + "'";
        script += fmt::format(" {} --user --unit={}.service", manager, service);
        fs::remove(home + "/said");
        return Running(0, {find_tool("unshare"), "-m", "/bin/sh", "-c", script});
    }
    // What the service wrote, which ends its manager: by itself that needs units which a guest lacks.
    std::string outcome(Running& running) const {
        std::string outcome;
        const auto end = std::chrono::steady_clock::now() + patience();
        while (outcome.empty() && std::chrono::steady_clock::now() < end) {
            (void)running.says("$^", {}, std::chrono::milliseconds(100));  // it must not wait for who reads
            std::getline(std::ifstream(home + "/said"), outcome);
        }
        (void)running.wait();
        return outcome;
    }
    struct Tried {
        std::string service, manager;  // what they said
    };
    Tried under_grant(const std::string& service, const std::string& text) {
        daemon.write_grant(grant, text);
        EXPECT_EQ(daemon.tool({"grant", "reload"}).status, 0);
        auto running = start(nobody, {beside("bin/bpfwarden"), "run", "--map-root", "--grant", grant, "--"}, service);
        auto said = outcome(running);
        return {said, running.said()};
    }

    Cgroups cgroups;
    Server server;
    Daemon daemon{Grants{{grant, example_grant(grant)}}};
    const std::string home = daemon.directory() + "/home";
};

TEST_F(UserManager, CutsAServiceOffUnderTheGrant) {
    auto without_grant = start(nobody, {}, "cut");
    EXPECT_EQ(outcome(without_grant), "connected") << "control: without a grant the setting does nothing";
    EXPECT_EQ(under_grant("free", example_grant(grant)).service, "connected");
    EXPECT_EQ(under_grant("cut", example_grant(grant)).service, "cut off");
    EXPECT_FALSE(daemon.audit({R"("operation":"attach cgroup_inet_egress)", R"("verdict":"allowed")"}).empty());
}

TEST_F(UserManager, DoesNotWithOneEntryLess) {
    for (const auto* entry : {"cgroup_skb", "lpm_trie", "skb_load_bytes"}) {
        const auto tried = under_grant("cut", without(example_grant(grant), entry));
        EXPECT_EQ(tried.service, "connected") << entry;
        EXPECT_THAT(tried.manager, HasSubstr("bpfwarden run: refused")) << entry;
    }
}

TEST_F(UserManager, WhatIsLearnedIsJustEnough) {
    BW_SAME_ON_EVERY_KERNEL();
    expect_just_enough(daemon, {.name = "learned",
                                .start = [&](uid_t who, const Words& first) { return start(who, first, "cut"); },
                                .map_root = true,
                                .does_it = [&](Running& running, auto) { return outcome(running) == "cut off"; }});
}

}  // namespace
}  // namespace bpfwarden::test
