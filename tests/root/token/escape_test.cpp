// SPDX-License-Identifier: Apache-2.0
// What somebody inside a grant may try in order to get past it. Each attempt has a control that shows it working where
// the protection is not.
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <filesystem>

#include "attempts.hpp"
#include "kernel/file.hpp"
#include "kernel/mount.hpp"
#include "kernel/namespace.hpp"
#include "sandbox.hpp"

namespace bpfwarden::test {
namespace {

constexpr std::uint64_t cmd_map_create = bit(0);
constexpr std::uint32_t array = 2, lpm_trie = 11;
constexpr kernel::Delegation arrays_only{cmd_map_create, bit(array), 0, 0};

int set_option(int context, const char* key, const char* value) {
    return errno_of(::fsconfig(context, FSCONFIG_SET_STRING, key, value, 0));
}

// Runs in a mount namespace of its own what changes mounts.
Result<std::vector<int>> isolated(const std::function<std::vector<int>()>& body) {
    auto [here, there] = BW_TRY(kernel::Channel::pair());
    auto child = BW_TRY(kernel::Child::fork([&]() -> int {
        here.close();
        if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 1;
        std::string text;
        for (const int value : body()) text += std::to_string(value) + " ";
        (void)there.send(text);
        return 0;
    }));
    there.close();
    const auto message = BW_TRY(here.receive());
    BW_TRY(child.wait());
    return numbers(message.text);
}

TEST(Escape, ReconfigureTheBpffs) {
    BW_NEED_TOKENS();
    const auto attack = [] {
        std::vector<int> results;
        const int picked = static_cast<int>(::fspick(AT_FDCWD, "/sys/fs/bpf", FSPICK_CLOEXEC));
        results.push_back(picked < 0 ? -errno : set_option(picked, "delegate_maps", "any"));
        results.push_back(errno_of(::mount(nullptr, "/sys/fs/bpf", nullptr, MS_REMOUNT, "delegate_maps=any")));
        // Whatever those calls said: is anything more to be had?
        results.push_back(try_map("lpm_trie", lpm_trie, own_token(), -1));
        results.push_back(try_map("array", array, own_token(), -1));
        return results;
    };
    for (const auto capabilities : {cap_bpf, cap_bpf | cap_sys_admin}) {
        const auto results = inside(request(arrays_only, capabilities), attack);
        ASSERT_TRUE(results) << results.error().text("inside");
        EXPECT_EQ((*results)[0], -EPERM);
        EXPECT_NE((*results)[1], 0);
        EXPECT_EQ((*results)[2], -EPERM);
        EXPECT_EQ((*results)[3], 0) << "control: what is delegated works";
    }
    // Control: the option itself is fine, it is the lack of privilege outside that stops it.
    const int context = ::fsopen("bpf", FSOPEN_CLOEXEC);
    EXPECT_EQ(set_option(context, "delegate_maps", "any"), 0);
    ::close(context);
}

TEST(Escape, ASecondBpffs) {
    BW_NEED_TOKENS();
    const auto results = inside(request(arrays_only, cap_bpf | cap_sys_admin), [] {
        std::vector<int> all;
        const int context = ::fsopen("bpf", FSOPEN_CLOEXEC);
        all.push_back(errno_of(context));
        all.push_back(set_option(context, "delegate_maps", "any"));
        all.push_back(set_option(context, "delegate_maps", "0x800"));
        all.push_back(errno_of(::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0)));
        // And one inside a further user namespace, where all capabilities are to be had for the asking.
        all.push_back(errno_of(::unshare(CLONE_NEWUSER | CLONE_NEWNS)));
        const int nested = ::fsopen("bpf", FSOPEN_CLOEXEC);
        all.push_back(set_option(nested, "delegate_maps", "any"));
        all.push_back(own_token());
        return all;
    });
    ASSERT_TRUE(results) << results.error().text("inside");
    EXPECT_EQ((*results)[0], 0);
    EXPECT_EQ((*results)[1], -EPERM);
    EXPECT_EQ((*results)[2], -EPERM);
    EXPECT_EQ((*results)[3], -EPERM);
    EXPECT_EQ((*results)[4], 0);
    EXPECT_EQ((*results)[5], -EPERM);
    EXPECT_EQ((*results)[6], -EPERM) << "the outer bpffs belongs to the outer namespace";
}

// A token is not a bearer credential: its holder must have the capability in the token's user namespace at each use.
TEST(Escape, TheTokenSomewhereElse) {
    BW_NEED_TOKENS();
    auto pair = kernel::Channel::pair();
    ASSERT_TRUE(pair);
    auto& [here, there] = *pair;
    const kernel::Delegation lpm{cmd_map_create, bit(lpm_trie), 0, 0};
    const auto use = [](int token) { return try_map("lpm_trie", lpm_trie, token, -1); };
    const auto made = inside(request(lpm), [&] {
        const int token = own_token();
        (void)there.send("token", FdRef(token));
        return std::vector{use(token)};
    });
    ASSERT_TRUE(made);
    EXPECT_EQ(made->front(), 0) << "control: in its own namespace it works";
    auto message = here.receive();
    ASSERT_TRUE(message && message->fd);
    const int token = message->fd.get();

    const auto sibling =
        inside(request({cmd_map_create, bit(array), 0, 0}, bit(41) - 1), [&] { return std::vector{use(token)}; });
    ASSERT_TRUE(sibling) << sibling.error().text("sibling");
    EXPECT_EQ(sibling->front(), -EPERM) << "a sibling namespace, with every capability there";

    const auto init = isolated([&] {
        (void)::setgroups(0, nullptr);
        if (::setresgid(4711, 4711, 4711) != 0 || ::setresuid(4711, 4711, 4711) != 0) return std::vector{-1};
        return std::vector{use(token)};
    });
    ASSERT_TRUE(init);
    EXPECT_EQ(init->front(), -EPERM) << "the initial namespace, as the same user";
}

TEST(Escape, AfterCapabilitiesWereDropped) {
    BW_NEED_TOKENS();
    const kernel::Delegation lpm{cmd_map_create, bit(lpm_trie), 0, 0};
    const auto results = inside(request(lpm), [] {
        const int token = own_token();
        std::vector<int> all{try_map("lpm_trie", lpm_trie, token, -1)};
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        __user_cap_data_struct none[2] = {};
        all.push_back(errno_of(::syscall(SYS_capset, &header, none)));
        all.push_back(try_map("lpm_trie", lpm_trie, token, -1));
        all.push_back(own_token());
        return all;
    });
    ASSERT_TRUE(results);
    EXPECT_EQ(*results, (std::vector{0, 0, -EPERM, -EPERM}));
}

// A process in a user namespace of 65536 ids, as a container runtime makes them, which is given a bpffs from outside.
Result<std::vector<int>> in_container(const kernel::Delegation& delegation,
                                      const std::function<std::vector<int>()>& body) {
    auto [here, there] = BW_TRY(kernel::Channel::pair());
    auto child = BW_TRY(kernel::Child::fork([&]() -> int {
        here.close();
        if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return 1;
        (void)there.send("unshared");
        if (!there.receive() || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0) return 1;
        std::string text;
        for (const int value : body()) text += std::to_string(value) + " ";
        (void)there.send(text);
        return 0;
    }));
    there.close();
    BW_TRY(here.receive());
    const std::string proc = "/proc/" + std::to_string(child.pid());
    for (const char* map : {"/uid_map", "/gid_map"})
        BW_TRY(kernel::write_file_at(FdRef(AT_FDCWD), (proc + map).c_str(), "0 100000 65536"));
    BW_TRY(token::mount_delegating_bpffs(
        child.fd(), child.pid(), {.delegation = delegation, .uid = 100000, .gid = 100000, .path = "/sys/fs/bpf"}));
    BW_TRY(here.send("go"));
    const auto message = BW_TRY(here.receive());
    BW_TRY(child.wait());
    return numbers(message.text);
}

// A change of user inside the namespace takes the capabilities with it, and so the use of a token already made.
TEST(Escape, AfterSetuid) {
    BW_NEED_TOKENS();
    const auto results = in_container({cmd_map_create, bit(lpm_trie), 0, 0}, [] {
        const int token = own_token();
        std::vector<int> all{try_map("lpm_trie", lpm_trie, token, -1)};
        all.push_back(errno_of(::setresuid(1000, 1000, 1000)));
        all.push_back(try_map("lpm_trie", lpm_trie, token, -1));
        all.push_back(own_token());
        return all;
    });
    ASSERT_TRUE(results) << results.error().text("container");
    EXPECT_EQ(*results, (std::vector{0, 0, -EPERM, -EACCES}));
}

// Other processes of the same user are not in the namespace, and cannot get in.
TEST(Escape, JoiningFromOutsideAsTheSameUser) {
    BW_NEED_TOKENS();
    // Tells what uid 4711, outside, can open of a process of uid 4711: {its user namespace, its root directory}.
    const auto from_outside = [](pid_t target) {
        return isolated([target] {
            if (::setresgid(4711, 4711, 4711) != 0 || ::setresuid(4711, 4711, 4711) != 0) return std::vector{1, 1};
            const std::string proc = "/proc/" + std::to_string(target);
            return std::vector{errno_of(::open((proc + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC)),
                               errno_of(::open((proc + "/root/").c_str(), O_PATH | O_CLOEXEC))};
        });
    };
    const auto watch = [&](bool in_grant) -> Result<std::vector<int>> {
        auto [here, there] = BW_TRY(kernel::Channel::pair());
        auto child = BW_TRY(kernel::Child::fork([&]() -> int {
            here.close();
            if (in_grant) {
                if (!token::enter(request(arrays_only))) return 1;
            } else if (::setresgid(4711, 4711, 4711) != 0 || ::setresuid(4711, 4711, 4711) != 0) {
                return 1;
            }
            (void)::prctl(PR_SET_DUMPABLE, 1);
            (void)there.send("ready");
            (void)there.receive();
            return 0;
        }));
        there.close();
        BW_TRY(here.receive());
        const auto result = from_outside(child.pid());
        BW_TRY(here.send("done"));
        BW_TRY(child.wait());
        return result;
    };
    const auto plain = watch(false), granted = watch(true);
    ASSERT_TRUE(plain && granted);
    EXPECT_EQ(*plain, (std::vector{0, 0})) << "control: an ordinary process of the same user";
    EXPECT_EQ(*granted, (std::vector{-EACCES, -EACCES}));
}

// The mount target. What is planted there is either refused or covered; never used.
TEST(Escape, PlantedAtTheMountTarget) {
    BW_NEED_TOKENS();
    const std::string folder = std::filesystem::temp_directory_path() / "bpfwarden-planted";
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder + "/real");
    std::filesystem::create_directory_symlink(folder + "/real", folder + "/link");
    std::filesystem::create_directories(folder + "/dir/below");
    std::filesystem::create_directory_symlink(folder + "/dir", folder + "/dirlink");
    const UniqueFd file(::open((folder + "/file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    const auto attempt = [&](const std::string& path) {
        auto wanted = request(arrays_only);
        wanted.token_path = path;
        return inside(wanted, [path] { return std::vector{own_token(path.c_str()) >= 0 ? 0 : -1}; });
    };
    EXPECT_TRUE(attempt(folder + "/real")) << "control: a plain directory";
    EXPECT_TRUE(attempt(folder + "/dir/below"));
    for (const char* bad : {"/link", "/dirlink/below"}) {
        const auto refused = attempt(folder + bad);
        ASSERT_FALSE(refused) << bad;
        EXPECT_EQ(refused.error().number(), ELOOP);
        EXPECT_NE(refused.error().why().find("symbolic link"), std::string::npos) << refused.error().text("x");
    }
    const auto on_file = attempt(folder + "/file");
    ASSERT_FALSE(on_file);
    EXPECT_EQ(on_file.error().number(), ENOTDIR);
    const auto missing = attempt(folder + "/none");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().number(), ENOENT);
    std::filesystem::remove_all(folder);
}

TEST(Escape, APlantedBpffsWithWiderMasks) {
    BW_NEED_TOKENS();
    const auto results = isolated([] {
        // Root's own instance, delegating everything, where the command will look.
        if (::mount("planted", "/sys/fs/bpf", "bpf", 0, "delegate_cmds=any,delegate_maps=any,mode=0777") != 0)
            return std::vector{-errno};
        std::vector<int> all;
        const auto inner = inside(request(arrays_only, cap_bpf | cap_sys_admin), [] {
            std::vector<int> got{try_map("array", array, own_token(), -1),
                                 try_map("lpm_trie", lpm_trie, own_token(), -1)};
            // Even if it is uncovered (here the namespace's CAP_SYS_ADMIN was granted), it is of another user
            // namespace.
            got.push_back(errno_of(::umount2("/sys/fs/bpf", MNT_DETACH)));
            got.push_back(own_token() < 0 ? 0 : 1);
            return got;
        });
        return inner ? *inner : std::vector{-1};
    });
    ASSERT_TRUE(results);
    ASSERT_EQ(results->size(), 4U);
    EXPECT_EQ((*results)[0], 0);
    EXPECT_EQ((*results)[1], -EPERM);
    EXPECT_EQ((*results)[3], 0) << "no token from the planted instance";
}

}  // namespace
}  // namespace bpfwarden::test
