// SPDX-License-Identifier: Apache-2.0
// Who the command is, what it may, and that it gains nothing by the usual ways of gaining.
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "stage.hpp"

namespace bpfwarden::test {
namespace {

using Report = std::map<std::string, std::string>;

std::string mask(std::initializer_list<unsigned> capabilities) {
    std::uint64_t bits = 0;
    for (const unsigned number : capabilities) bits |= 1ULL << number;
    return fmt::format("{:016x}", bits);
}
constexpr unsigned net_admin = 12, sys_admin = 21, perfmon = 38, bpf = 39;

Report report_under(const std::string& grant, const Words& options = {}) {
    const auto ended = run(under(grant, {Stage::witness, "report"}, options));
    EXPECT_TRUE(ended.exited(0)) << ended.text();
    return read_report(ended.out);
}

void expect_ids(Report& report, uid_t uid, gid_t gid, const std::set<gid_t>& groups) {
    EXPECT_EQ(report["Uid"], fmt::format("{0}\t{0}\t{0}\t{0}", uid));
    EXPECT_EQ(report["Gid"], fmt::format("{0}\t{0}\t{0}\t{0}", gid));
    EXPECT_EQ(report["Groups"], fmt::format("{} ", fmt::join(groups, " ")));
}

TEST(Identity, AUserWhoIsOnlyANumber) {
    BW_NEED_TOKENS();
    auto report = report_under(plain_grant());
    expect_ids(report, test_user(), test_user(), {test_user()});
    auto with_group = report_under(plain_grant(), {"--user", fmt::format("{}:{}", test_user(), 4712)});
    expect_ids(with_group, test_user(), 4712, {4712});
}

TEST(Identity, ANamedUser) {
    BW_NEED_TOKENS();
    const passwd* nobody = ::getpwnam("nobody");
    ASSERT_NE(nobody, nullptr);
    auto report = report_under(write_grant({.top = "subject = [ { user = \"nobody\" } ]\n"}));
    expect_ids(report, nobody->pw_uid, nobody->pw_gid, {nobody->pw_gid});
}

TEST(Identity, SupplementaryGroups) {
    BW_NEED_TOKENS();
    // In this mount namespace only: a user in three groups.
    const auto add_to = [](const char* file, const std::string& lines) {
        const std::string copy = std::string(Stage::folder) + "/" + std::filesystem::path(file).filename().string();
        std::ofstream(copy) << std::ifstream(file).rdbuf() << lines;
        return ::mount(copy.c_str(), file, nullptr, MS_BIND, nullptr);
    };
    ASSERT_EQ(add_to("/etc/passwd", "bwplayer:x:64001:64001::/:/bin/sh\n"), 0);
    ASSERT_EQ(add_to("/etc/group", "bwplayer:x:64001:\nbwone:x:64010:bwplayer\nbwtwo:x:64011:bwplayer\n"), 0);
    auto report = report_under(write_grant({.top = "subject = [ { user = \"bwplayer\" } ]\n"}));
    expect_ids(report, 64001, 64001, {64001, 64010, 64011});
    auto by_group = report_under(write_grant({.top = "subject = [ { group = \"bwtwo\" } ]\n"}), {"--user", "bwplayer"});
    expect_ids(by_group, 64001, 64001, {64001, 64010, 64011});
    ::umount2("/etc/passwd", MNT_DETACH);
    ::umount2("/etc/group", MNT_DETACH);
}

TEST(Identity, CapabilitiesAreExactlyTheGrants) {
    BW_NEED_TOKENS();
    const auto check = [](const std::string& grant, const std::string& expected) {
        auto report = report_under(grant);
        for (const char* set : {"CapPrm", "CapEff", "CapAmb", "CapBnd"}) EXPECT_EQ(report[set], expected) << set;
    };
    check(plain_grant(), mask({bpf, net_admin}));
    check(contained_grant(), mask({bpf, net_admin}));
    check(write_grant({.allow = "map_types = [\"array\"]\n"}), mask({}));
    check(write_grant({.top = "subject = [ { uid = TEST_USER } ]\ndangerous = [\"kernel_read\", \"namespace_admin\"]\n",
                       .allow = "map_types = [\"array\"]\ncapabilities = [\"bpf\", \"perfmon\", \"sys_admin\"]\n"}),
          mask({bpf, perfmon, sys_admin}));
    // Root in there is nothing special.
    const std::string for_root = write_grant({.top = ""});
    check(for_root, mask({bpf, net_admin}));
    EXPECT_EQ(report_under(for_root)["Uid"], "0\t0\t0\t0");
}

TEST(Identity, NamespacesOfItsOwn) {
    BW_NEED_TOKENS();
    // All at the same time: a number is free again when its namespace is gone.
    Running here({.argv = {Stage::witness, "wait"}}), plain({.argv = under(plain_grant(), {Stage::witness, "wait"})}),
        other({.argv = under(plain_grant(), {Stage::witness, "wait"})}),
        contained({.argv = under(contained_grant(), {Stage::witness, "wait"})});
    for (auto* running : {&here, &plain, &other, &contained}) ASSERT_NE(running->read_line(), "");
    const auto id = [](const Running& running, const std::string& name) {
        return std::filesystem::read_symlink(fmt::format("/proc/{}/ns/{}", running.pid(), name)).string();
    };
    for (const char* name : {"user", "mnt", "net"}) {
        const std::set<std::string> all{id(here, name), id(plain, name), id(other, name), id(contained, name)};
        EXPECT_EQ(all.size(), 4U) << name;
    }
    for (const char* name : {"pid", "ipc", "uts"}) EXPECT_EQ(id(contained, name), id(here, name));
    EXPECT_EQ(id(plain, "cgroup"), id(here, "cgroup"));
    EXPECT_NE(id(contained, "cgroup"), id(here, "cgroup"));
    for (auto* running : {&here, &plain, &other, &contained}) ::kill(running->pid(), SIGKILL);
}

// What a capability of the host would open. `sys_admin` inside changes none of it.
TEST(Identity, NothingOutside) {
    BW_NEED_TOKENS();
    std::ofstream("/run/stage/secret") << "x";
    ASSERT_EQ(::chmod("/run/stage/secret", 0600), 0);
    const std::string admin =
        write_grant({.top = "subject = [ { uid = TEST_USER } ]\ndangerous = [\"namespace_admin\", \"kernel_read\"]\n",
                     .allow = "map_types = [\"array\"]\ncapabilities = [\"bpf\", \"sys_admin\"]\n"});
    struct Attempt {
        Words command;
        const char* refusal;
    };
    const std::string mine = fmt::format("/proc/{}/ns/", ::getpid());
    const Attempt attempts[] = {
        {{"open", "/run/stage/secret"}, "EACCES"},
        {{"write", "/proc/sys/kernel/core_pattern"}, "EACCES"},
        {{"setns", mine + "net"}, "E"},
        {{"setns", mine + "mnt"}, "E"},
        {{"unmount", "/run/stage/witness"}, "E"},  // EPERM, or EINVAL: it is locked
    };
    for (const auto& attempt : attempts) {
        Words command{Stage::witness};
        command.insert(command.end(), attempt.command.begin(), attempt.command.end());
        SCOPED_TRACE(fmt::format("{}", fmt::join(command, " ")));
        for (const auto& grant : {plain_grant(), admin}) {
            const auto ended = run(under(grant, command));
            EXPECT_TRUE(ended.out.starts_with(attempt.refusal)) << ended.text();
        }
        if (attempt.command[0] != "unmount") {
            EXPECT_EQ(run(command).out, "ok\n") << "control: as root";
        }
    }
    EXPECT_EQ(run(under(plain_grant(), {Stage::witness, "setuid"})).out, "EINVAL\n") << "root has no number in there";
    EXPECT_EQ(run(under(plain_grant(), {Stage::witness, "mount", "/run/stage/examples"})).out, "EPERM\n");
    EXPECT_EQ(run(under(plain_grant(), {Stage::witness, "unmount", "/sys/fs/bpf"})).out, "EPERM\n");
}

// ---- programs that give more than their caller has -----------------------------------------------------------------

std::string copy_of_witness(const std::string& name, mode_t mode) {
    const std::string path = std::string(Stage::folder) + "/" + name;
    std::filesystem::copy_file(Stage::witness, path, std::filesystem::copy_options::overwrite_existing);
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
}

Start as_test_user(const Words& argv) {
    return {.argv = argv, .in_child = [] {
                (void)!::setgroups(0, nullptr);
                (void)!::setresgid(test_user(), test_user(), test_user());
                (void)!::setresuid(test_user(), test_user(), test_user());
            }};
}

std::string field(const std::string& text, const std::string& name) {
    const auto at = text.find(name + ":\t");
    if (at == std::string::npos) return "";
    const auto begin = at + name.size() + 2;
    return text.substr(begin, text.find('\n', begin) - begin);
}

TEST(Identity, ASetUidProgramGainsNothing) {
    BW_NEED_TOKENS();
    const std::string program = copy_of_witness("set-uid", 04755);
    const auto control = run(as_test_user({program, "ids"}));
    EXPECT_EQ(field(control.out, "Uid"), fmt::format("{}\t0\t0\t0", test_user())) << "control: outside it becomes root";
    for (const auto& grant : {plain_grant(), contained_grant()}) {
        for (const Words& command : {Words{program, "ids"}, Words{"/bin/sh", "-c", program + " ids"}}) {
            const auto ended = run(under(grant, command));
            EXPECT_EQ(field(ended.out, "Uid"), fmt::format("{0}\t{0}\t{0}\t{0}", test_user())) << ended.text();
            EXPECT_EQ(field(ended.out, "CapPrm"), mask({bpf, net_admin}));
        }
    }
}

TEST(Identity, AProgramWithFileCapabilitiesGainsNothing) {
    BW_NEED_TOKENS();
    const auto give = [](const std::string& program, bool effective) {
        vfs_cap_data data{};
        data.magic_etc = VFS_CAP_REVISION_2 | (effective ? VFS_CAP_FLAGS_EFFECTIVE : 0);
        data.data[0].permitted = 1U << sys_admin | 1U << net_admin;
        return ::setxattr(program.c_str(), "security.capability", &data, XATTR_CAPS_SZ_2, 0);
    };
    const std::string full = copy_of_witness("file-capability", 0755), quiet = copy_of_witness("quiet", 0755);
    ASSERT_EQ(give(full, true), 0) << "tmpfs takes file capabilities";
    ASSERT_EQ(give(quiet, false), 0);
    EXPECT_EQ(field(run(as_test_user({full, "ids"})).out, "CapEff"), mask({sys_admin, net_admin}))
        << "control: outside it gains them";

    // One that insists on what it cannot have is not run at all (the kernel's EPERM).
    const auto insisting = run(under(plain_grant(), {full, "ids"}));
    EXPECT_TRUE(insisting.exited(126)) << insisting.text();
    EXPECT_EQ(insisting.out, "");
    const auto gained = run(under(plain_grant(), {quiet, "ids"}));
    EXPECT_EQ(field(gained.out, "CapPrm"), mask({net_admin})) << "at most what the grant has: " << gained.text();
    const std::string none = write_grant({.allow = "map_types = [\"array\"]\n"});
    EXPECT_EQ(field(run(under(none, {quiet, "ids"})).out, "CapPrm"), mask({}));
}

}  // namespace
}  // namespace bpfwarden::test
