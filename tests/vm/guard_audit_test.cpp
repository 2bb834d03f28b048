// SPDX-License-Identifier: Apache-2.0
// What was tried against a seal is in the audit log, or counted.
#include <bpf/bpf.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>

#include <fmt/format.h>

#include "vm/guard_daemon.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class GuardAudit : public GuardGuest {
  protected:
    void SetUp() override {
        GuardGuest::SetUp();
        fs::remove_all(place + "log");
    }
    static std::uint64_t attempts() { return status()["attempts"]; }
    // One attempt.
    static int unlink_a_pin() {
        return as_other([] { return status_of(::unlink(pin.c_str())); });
    }
    static inline const std::string pin = std::string(enforce::sealed_guard) + "/guard";
};

TEST_F(GuardAudit, EachAttemptIsOneEvent) {
    const Daemon guard;
    EXPECT_EQ(logged("policy_in_force").size(), 1U);
    seal();
    EXPECT_EQ(status()["guardian_pid"], guard.pid());
    const auto maps = sealed_things();
    const auto map = *std::ranges::find_if(maps, [](const auto& name) { return name.starts_with("map:"); });
    const auto id = static_cast<__u32>(std::stoul(map.substr(4)));
    const auto other = as_other([&] {
        if (::unlink(pin.c_str()) == 0 || ::bpf_map_get_fd_by_id(id) >= 0 ||
            ::umount2(enforce::sealed_bpffs, MNT_DETACH) == 0 || ::kill(guard.pid(), SIGKILL) == 0)
            return 1;
        return 0;
    });
    EXPECT_EQ(other, 0);
    ASSERT_TRUE(eventually([] { return logged("tamper").size() == 4; })) << text_of(audit_log) << guard.said();
    const auto events = logged("tamper");
    const auto exe = fs::read_symlink("/proc/self/exe").string();
    for (std::size_t i = 0; i < events.size(); ++i) {
        const auto& event = events[i];
        EXPECT_EQ(event["verdict"], "denied");
        EXPECT_EQ(event["number"], i + 1);
        EXPECT_EQ(event["actor"]["exe"], exe) << event;
        EXPECT_EQ(event["actor"]["pid"], events[0]["actor"]["pid"]);
        EXPECT_EQ(event["actor"]["uid"], 0);
    }
    EXPECT_NE(events[0]["actor"]["pid"], ::getpid()) << "the child";
    EXPECT_EQ(events[0]["operation"], "unlink");
    EXPECT_EQ(events[0]["target"]["path"], pin);
    EXPECT_EQ(events[1]["operation"], "bpf");
    EXPECT_EQ(events[1]["target"]["object"], map);
    EXPECT_EQ(events[2]["operation"], "umount");
    EXPECT_EQ(events[2]["target"]["path"], enforce::sealed_bpffs);
    EXPECT_EQ(events[3]["operation"], "signal");
    EXPECT_EQ(events[3]["signal"], "SIGKILL");
    EXPECT_EQ(events[3]["peer"]["pid"], guard.pid());
    EXPECT_EQ(attempts(), 4U);
    EXPECT_TRUE(guard.runs());

    // The commands show them.
    const auto found = run({"audit", "query", "--event", "tamper", "--operation", "unlink", "--file", audit_log});
    EXPECT_EQ(found.status, 0) << found;
    EXPECT_TRUE(found.out.contains(pin)) << found;
    EXPECT_EQ(std::ranges::count(found.out, '\n'), 1) << found;
    const auto tail = run({"audit", "tail", "--file", audit_log});
    EXPECT_TRUE(tail.out.contains("umount")) << tail;

    // The policy's events are read on, and that it is elsewhere now is no news of it.
    EXPECT_TRUE(decides("one"));
    EXPECT_TRUE(eventually([] { return !logged("policy").empty(); })) << text_of(audit_log);
    EXPECT_EQ(logged("policy_removed").size(), 0U);
    EXPECT_EQ(logged("policy_in_force").size(), 1U);
    unseal();
    const auto before = logged("policy").size();
    EXPECT_TRUE(decides("one"));
    EXPECT_TRUE(eventually([&] { return logged("policy").size() > before; })) << "without the seal, too";
    EXPECT_EQ(logged("policy_removed").size(), 0U);
}

TEST_F(GuardAudit, WhatIsTriedWhileNobodyReadsIsReadLater) {
    BW_IN_ONE_GUEST("lts");
    Daemon first;
    seal();
    EXPECT_EQ(unlink_a_pin(), EPERM);
    ASSERT_TRUE(eventually([] { return logged("tamper").size() == 1; }));
    EXPECT_EQ(first.end(SIGKILL), 128 + SIGKILL) << "by the updater";
    // More than the ring has room for.
    constexpr unsigned flood = 8000;
    EXPECT_EQ(as_other([] {
                  for (unsigned i = 0; i < flood; ++i)
                      if (::unlink(pin.c_str()) == 0) return 1;
                  return 0;
              }),
              0);
    const auto now = status();
    EXPECT_EQ(now["attempts"], flood + 1);
    EXPECT_GT(now["lost"], 0);
    EXPECT_LT(now["lost"], flood);
    {
        // It is the updater, or it would not be given the ring: see guard_until_reboot_test.cpp.
        const Daemon second;
        const auto told = [] {
            std::uint64_t events = logged("tamper").size(), lost = 0;
            for (const auto& gap : logged("gap"))
                if (gap["where"] == "tampers") lost += static_cast<std::uint64_t>(gap["lost"]);
            return events + lost;
        };
        ASSERT_TRUE(eventually([&] {
            return logged("tamper").size() == flood + 1 - static_cast<std::uint64_t>(now["lost"]);
        })) << logged("tamper").size();
        // The gap is known from the next one that is told.
        EXPECT_EQ(unlink_a_pin(), EPERM);
        EXPECT_TRUE(eventually([&] { return told() == flood + 2; })) << told();
        EXPECT_EQ(attempts(), flood + 2);
    }
}

}  // namespace
}  // namespace bpfwarden::test
