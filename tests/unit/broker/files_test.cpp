// SPDX-License-Identifier: Apache-2.0
// The sockets that a grant has, and who may write to them.
#include <gmock/gmock.h>

#include "../grant/grants.hpp"
#include "broker/grant_sockets.hpp"
#include "grant/check.hpp"

namespace bpfwarden::broker {

using grant::resolved;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

static std::vector<std::string> files(const std::string& lines) {
    std::vector<std::string> all;
    for (const auto& one : attach_files(resolved("format = 1\n" + lines)))
        all.push_back(one.cgroup + " " + one.attach_type);
    return all;
}

TEST(AttachFiles, OneForEachTypeOfEachSubtree) {
    const std::string programs =
        "[allow]\nprogram_types = ['cgroup_skb']\nattach_types = ['cgroup_inet_egress', 'cgroup_inet_ingress']\n";
    EXPECT_THAT(files(programs + "[targets]\ncgroups = ['/a/b', '/a/b/**']\n"),
                ElementsAre("/a/b cgroup_inet_egress", "/a/b cgroup_inet_ingress"));
    EXPECT_THAT(files(programs), IsEmpty()) << "no subtree is named";
    EXPECT_THAT(files(programs + "[targets]\ncgroups = ['/a/*', '/**', '/../etc', '/']\n"), IsEmpty())
        << "no one subtree";
    EXPECT_THAT(files("[allow]\nprogram_types = ['xdp']\nattach_types = ['xdp']\n[targets]\ncgroups = ['/a']\n"),
                IsEmpty());
}

TEST(AttachFiles, StandForNothingElse) {
    const auto grant = resolved(
        "format = 1\n[allow]\nprogram_types = ['cgroup_skb', 'cgroup_sock_addr']\n"
        "attach_types = ['cgroup_inet_egress', 'cgroup_inet4_connect']\nmap_types = ['array']\ncapabilities = ['bpf']\n"
        "[targets]\ncgroups = ['/a', '/a/**', '/b']\n");
    const auto narrowed = read_derived(text_of({"/a", "cgroup_inet_egress"}, grant));
    ASSERT_TRUE(narrowed) << narrowed.error().text("narrowed");
    const auto allowed = [&](const grant::Operation& operation) {
        return grant::check(narrowed->grant, operation).allowed;
    };
    const auto attach = [](const char* type, const char* program, const char* cgroup) {
        return grant::Attach{.type = type, .program = program, .targets = {{grant::Target::cgroups, cgroup}}};
    };
    EXPECT_TRUE(allowed(attach("cgroup_inet_egress", "cgroup_skb", "/a")));
    EXPECT_TRUE(allowed(attach("cgroup_inet_egress", "cgroup_skb", "/a/below")));
    EXPECT_FALSE(allowed(attach("cgroup_inet_egress", "cgroup_skb", "/b")));
    EXPECT_FALSE(allowed(attach("cgroup_inet4_connect", "cgroup_sock_addr", "/a")));
    EXPECT_TRUE(allowed(grant::MapCreate{"array"}));
}

TEST(AccessList, FollowsTheSubject) {
    const auto list = [](const std::string& subject) { return access_list(resolved("format = 1\n" + subject)); };
    EXPECT_EQ(list(""), "") << "root only";
    EXPECT_EQ(list("subject = [ { uid = 1000 } ]\n"), "u::rw,g::-,m::rw,o::-,u:1000:rw");
    EXPECT_EQ(list("subject = [ { user = 'daemon' }, { gid = 7 } ]\n"), "u::rw,g::-,m::rw,o::-,u:daemon:rw,g:7:rw");
    // A user and more: the user may knock, and the rest is asked then.
    EXPECT_EQ(list("subject = [ { uid = 5, exe = '/bin/a' } ]\n"), "u::rw,g::-,m::rw,o::-,u:5:rw");
    EXPECT_EQ(list("subject = [ { cgroup = '/a' } ]\n"), "u::rw,g::rw,o::rw");
}

}  // namespace bpfwarden::broker
