// SPDX-License-Identifier: Apache-2.0
#include "kernel/cgroup.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "kernel/file.hpp"

namespace bpfwarden::kernel {

TEST(Cgroup, CgroupIsTheUnifiedHierarchys) {
    EXPECT_EQ(cgroup_in("0::/system.slice/a.service\n"), "/system.slice/a.service");
    EXPECT_EQ(cgroup_in("3:cpu:/x\n1:name=systemd:/y\n0::/z\n"), "/z");
    EXPECT_EQ(cgroup_in("1:cpu:/x\n"), "");
    EXPECT_EQ(cgroup_in(""), "");
}

TEST(Cgroup, ContainersAreKnownByTheirCgroup) {
    const std::string id(64, 'a');
    EXPECT_EQ(container_in("/system.slice/docker-" + id + ".scope"), id);
    EXPECT_EQ(container_in("/machine.slice/libpod-" + id + ".scope/container"), id);
    EXPECT_EQ(container_in("/kubepods/pod1/" + id), id);
    EXPECT_EQ(container_in("/system.slice/" + std::string(63, 'a') + ".scope"), "");
    EXPECT_EQ(container_in("/system.slice/" + std::string(65, 'a') + ".scope"), "");
    EXPECT_EQ(container_in("/user.slice"), "");
}

}  // namespace bpfwarden::kernel
