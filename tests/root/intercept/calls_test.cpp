// SPDX-License-Identifier: Apache-2.0
// What any program may do under a session, and what it may not: each beside what the kernel says to root.
#include "supervised.hpp"

namespace bpfwarden::test {

TEST(Intercepted, MapsAreTheKernelsOwn) {
    Daemon daemon({{"arrays", allow("map_types = ['array']\ncapabilities = ['bpf']\n")},
                   {"both", allow("map_types = ['array', 'hash']\ncapabilities = ['bpf']\n")},
                   {"powerless", allow("map_types = ['array', 'hash']\n")}});
    EXPECT_EQ(act(daemon, "arrays", {"maps"}), "ok EPERM, ok 42");
    EXPECT_EQ(act(daemon, "both", {"maps"}), "ok ok, ok 42");
    // Hashes are for anybody (the kernel's own word), but where the kernel holds them back from those without CAP_BPF.
    EXPECT_EQ(act(daemon, "powerless", {"maps"}), act_of_user(daemon, {"maps"}));
    EXPECT_EQ(act_of_root(daemon, {"maps"}), "ok ok, ok 42");
}

TEST(Intercepted, TheVerifiersLogComesBack) {
    Daemon daemon({{"filters", filter_rights}});
    for (const char* what : {"bad", "good"}) {
        for (const char* level : {"1", "2", "4"}) {
            for (const char* size : {"4096", "20", "1", "0"}) {
                const Words words{"load-log", size, level, what};
                EXPECT_EQ(act(daemon, "filters", words), act_of_root(daemon, words))
                    << what << ", level " << level << ", " << size << " bytes";
            }
        }
    }
    EXPECT_TRUE(act(daemon, "filters", {"load-log", "4096", "1", "bad"}).contains("R0 !read_ok"));
}

TEST(Intercepted, Types) {
    Daemon daemon({{"filters", filter_rights}, {"maps", allow("map_types = ['array']\ncapabilities = ['bpf']\n")}});
    for (const char* what : {"good", "bad"})
        EXPECT_EQ(act(daemon, "filters", {"btf", what}), act_of_root(daemon, {"btf", what})) << what;
    EXPECT_TRUE(act(daemon, "filters", {"btf", "good"}).starts_with("ok ok whole"));
}

TEST(Intercepted, InformationOfAStandIn) {
    Daemon daemon({{"filters", filter_rights}});
    const auto said = act(daemon, "filters", {"info"});
    EXPECT_EQ(said, act_of_root(daemon, {"info"}));
    EXPECT_EQ(said, "ok test 1 maps 1 own code id, ok 1, ok 8 untouched, EFAULT, E2BIG, EFAULT");
}

TEST(Intercepted, ListsOnesOwnObjectsAlone) {
    Daemon daemon({{"filters", filter_rights}});
    const OfOthers others;
    const Words words{"ids", std::to_string(others.map()), std::to_string(others.program())};
    EXPECT_EQ(act(daemon, "filters", words), "ok ok, 1 ENOENT, 1 ENOENT, 0 ENOENT, ok same ok same, ENOENT ENOENT");
    // The control: who may, finds them.
    EXPECT_TRUE(act_of_root(daemon, words).ends_with(", ok ok"));
}

TEST(Intercepted, WrongLengthsAndPlaces) {
    Daemon daemon({{"filters", filter_rights}});
    const auto said = act(daemon, "filters", {"lengths"});
    EXPECT_EQ(said, act_of_root(daemon, {"lengths"}));
    EXPECT_TRUE(said.starts_with("zero tail ok, other tail E2BIG, before it ok, a page ok, more E2BIG")) << said;
}

TEST(Intercepted, MistakesAreToldAsTheKernelDoes) {
    Daemon daemon({{"filters", allow("program_types = ['socket_filter']\nmap_types = ['array']\nhelpers = "
                                     "['any']\nverifier = ['any']\ncapabilities = ['bpf']\n")}});
    EXPECT_EQ(act(daemon, "filters", {"errors"}), act_of_root(daemon, {"errors"}));
}

// The grant is asked first: a type of map that there is not is none that it has.
TEST(Intercepted, WhatIsRefusedIsNotPutToTheKernel) {
    Daemon daemon({{"filters", filter_rights}});
    EXPECT_EQ(act(daemon, "filters", {"before-the-kernel"}), "EPERM EPERM");
    EXPECT_EQ(act_of_root(daemon, {"before-the-kernel"}), "EINVAL EINVAL");
}

TEST(Intercepted, NoRoomForOneMoreFileDescriptor) {
    Daemon daemon({{"filters", filter_rights}});
    const auto said = act(daemon, "filters", {"no-room"});
    // A map that nobody holds is forgotten when there is a need, or at the end.
    EXPECT_TRUE(said.starts_with("EMFILE EMFILE, ok, 1 ENOENT, ")) << said;
}

// As by a kernel that does not have them, on those that do as well: callers then do without.
TEST(Intercepted, CommonAttributesAreNotKnown) {
    Daemon daemon({{"filters", filter_rights}});
    EXPECT_EQ(act(daemon, "filters", {"common-attributes"}), "EINVAL");
}

TEST(Intercepted, OtherCommandsAreTheKernelsBusiness) {
    Daemon daemon({{"filters", filter_rights}});
    EXPECT_EQ(act(daemon, "filters", {"others"}), act_of_user(daemon, {"others"}));
}

}  // namespace bpfwarden::test
