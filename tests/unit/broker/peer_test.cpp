// SPDX-License-Identifier: Apache-2.0
#include "broker/peer.hpp"

#include <gtest/gtest.h>

namespace bpfwarden::broker {

TEST(Peer, CgroupIsTheUnifiedHierarchys) {
    EXPECT_EQ(cgroup_in("0::/system.slice/a.service\n"), "/system.slice/a.service");
    EXPECT_EQ(cgroup_in("3:cpu:/x\n1:name=systemd:/y\n0::/z\n"), "/z");
    EXPECT_EQ(cgroup_in("1:cpu:/x\n"), "");
    EXPECT_EQ(cgroup_in(""), "");
}

TEST(Peer, ContainersAreKnownByTheirCgroup) {
    const std::string id(64, 'a');
    EXPECT_EQ(container_in("/system.slice/docker-" + id + ".scope"), id);
    EXPECT_EQ(container_in("/machine.slice/libpod-" + id + ".scope/container"), id);
    EXPECT_EQ(container_in("/kubepods/pod1/" + id), id);
    EXPECT_EQ(container_in("/system.slice/" + std::string(63, 'a') + ".scope"), "");
    EXPECT_EQ(container_in("/system.slice/" + std::string(65, 'a') + ".scope"), "");
    EXPECT_EQ(container_in("/user.slice"), "");
}

}  // namespace bpfwarden::broker
