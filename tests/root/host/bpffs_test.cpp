// SPDX-License-Identifier: Apache-2.0
// bpffs mounts as the report sees them, each open one beside a closed one. Everything is mounted in a mount namespace
// of the test's own child.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "kernel/host.hpp"
#include "kernel/host_facts.hpp"
#include "kernel/process.hpp"

namespace bpfwarden::kernel {
namespace {

// A directory with one mount point per name, in a mount namespace that ends with the process.
class Mounts {
  public:
    Mounts() {
        EXPECT_EQ(::unshare(CLONE_NEWNS), 0);
        EXPECT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
        EXPECT_NE(::mkdtemp(base_), nullptr);
        EXPECT_EQ(::mount("none", base_, "tmpfs", 0, "mode=0755"), 0);
    }
    ~Mounts() {
        ::umount2(base_, MNT_DETACH);
        ::rmdir(base_);
    }
    std::string at(const char* name) const { return std::string(base_) + "/" + name; }
    std::string bpffs(const char* name, const char* options) const {
        const std::string path = at(name);
        ::mkdir(path.c_str(), 0755);
        EXPECT_EQ(::mount("none", path.c_str(), "bpf", 0, options), 0) << options;
        return path;
    }

  private:
    char base_[32] = "/tmp/host-bpffs-XXXXXX";
};

HostFact fact(const std::string& id) {
    const std::string ids[] = {id};
    const auto facts = check_host(ids);
    EXPECT_EQ(facts.size(), 1U);
    return facts.front();
}

BpffsMount mount_at(const std::string& path) {
    const auto mounts = bpffs_mounts(mount_table().value());
    const auto at = std::ranges::find(mounts, path, &BpffsMount::path);
    return at == mounts.end() ? BpffsMount{} : *at;
}

// Runs the body in a child, so that its mount namespace goes with it; gtest failures there are its exit status.
void in_child(const std::function<void()>& body) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, and this is uid " << ::geteuid();
    auto child = Child::fork([&] {
        body();
        std::fflush(stdout);
        return testing::Test::HasFailure() ? 1 : 0;
    });
    ASSERT_TRUE(child);
    EXPECT_EQ(child->wait().value_or(-1), 0) << "see the failures of the child above";
}

TEST(WorldWritableBpffs, IsReportedAndItsClosedTwinIsNot) {
    in_child([] {
        const Mounts mounts;
        const auto closed = mounts.bpffs("closed", "mode=0700");
        const auto before = fact("world_writable_bpffs");
        EXPECT_EQ(mount_at(closed).mode & 0777U, 0700U);  // the kernel adds the sticky bit
        const auto open = mounts.bpffs("open", "");       // the kernel's default is 01777
        const auto after = fact("world_writable_bpffs");
        EXPECT_EQ(mount_at(open).mode, 01777U);
        EXPECT_EQ(after.state, Presence::present);
        EXPECT_TRUE(after.concern);
        const auto accused = after.detail.substr(0, after.detail.find("not so: "));
        EXPECT_NE(accused.find(open), std::string::npos) << after.detail;
        EXPECT_EQ(accused.find(closed), std::string::npos) << after.detail;
        EXPECT_NE(after.detail.find(closed), std::string::npos) << "also those in order are shown: " << after.detail;
        EXPECT_EQ(before.detail.find(open), std::string::npos);
    });
}

// The control for the sentence in the report: in the open one anybody can make entries, in the closed one nobody can.
TEST(WorldWritableBpffs, IsWhereAnybodyCanMakeEntries) {
    in_child([] {
        const Mounts mounts;
        const auto open = mounts.bpffs("open", "") + "/made";
        const auto closed = mounts.bpffs("closed", "mode=0700") + "/made";
        const auto child = Child::fork([&] {
            if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0) return 9;
            return (::mkdir(open.c_str(), 0700) == 0 ? 1 : 0) + (::mkdir(closed.c_str(), 0700) == 0 ? 2 : 0);
        });
        ASSERT_TRUE(child);
        EXPECT_EQ(const_cast<Child&>(*child).wait().value_or(-1), 1);
    });
}

// By trying, so that the way there counts too: an open bpffs below a closed directory is out of reach.
TEST(PinnableBpffs, IsOneThatAPlainUserReachesAndMayWriteTo) {
    in_child([] {
        const Mounts mounts;
        mounts.bpffs("closed", "mode=0700");
        const auto before = fact("pinnable_bpffs");
        const auto open = mounts.bpffs("open", "");
        const auto reachable = fact("pinnable_bpffs");
        const auto parent = open.substr(0, open.rfind('/'));
        ASSERT_EQ(::chmod(parent.c_str(), 0700), 0);
        const auto hidden = fact("pinnable_bpffs");
        EXPECT_EQ(before.detail.find("/closed"), std::string::npos) << before.detail;
        EXPECT_EQ(reachable.state, Presence::present);
        EXPECT_TRUE(reachable.concern);
        EXPECT_NE(reachable.detail.find(open), std::string::npos) << reachable.detail;
        EXPECT_EQ(hidden.detail.find(open), std::string::npos) << hidden.detail;
    });
}

TEST(WorldWritableBpffs, UnderAnotherMountIsSaidToBeHidden) {
    in_child([] {
        const Mounts mounts;
        const auto path = mounts.bpffs("covered", "");
        ASSERT_EQ(::mount("none", path.c_str(), "tmpfs", 0, "mode=0777"), 0);
        EXPECT_EQ(mount_at(path).mode, 0U);
        EXPECT_FALSE(mount_at(path).hidden.empty());
    });
}

TEST(WorldWritableBpffs, NamesArePrintedHarmlessly) {
    in_child([] {
        const Mounts mounts;
        mounts.bpffs("a \x1b[31m\n", "");
        const auto seen = fact("world_writable_bpffs").detail;
        EXPECT_EQ(seen.find('\x1b'), std::string::npos);
        EXPECT_EQ(seen.find('\n'), std::string::npos);
        EXPECT_NE(seen.find("a \\x1b[31m\\x0a"), std::string::npos) << seen;
    });
}

// Kernels without tokens take the option and forget it, so the mount shows none.
TEST(DelegatingBpffs, IsReportedWhereTheKernelDelegates) {
    in_child([] {
        const Mounts mounts;
        const auto plain = mounts.bpffs("plain", "mode=0700");
        const auto delegating = mounts.bpffs("delegating", "mode=0700,delegate_cmds=0x1,delegate_maps=0x4");
        const auto seen = fact("delegating_bpffs");
        EXPECT_TRUE(mount_at(plain).delegated.empty());
        EXPECT_EQ(seen.detail.find(plain), std::string::npos);
        const bool known = probe_token().present();
        EXPECT_EQ(seen.detail.find(delegating) != std::string::npos, known) << seen.detail;
        if (known) {
            EXPECT_EQ(seen.state, Presence::present);
            EXPECT_EQ(mount_at(delegating).delegated, "delegate_cmds=map_create,delegate_maps=array");
        }
    });
}

}  // namespace
}  // namespace bpfwarden::kernel
