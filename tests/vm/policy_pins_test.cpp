// SPDX-License-Identifier: Apache-2.0
// Files that are known by a digest or a label: who is taken for them, and who is not.
#include <fcntl.h>
#include <linux/fsverity.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "enforce/file_identity.hpp"
#include "vm/policy_guest.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;

const std::string place = "/bpfwarden/pins/";  // ext4, with fs-verity
constexpr const char* user_label = "user.bpfwarden";
constexpr const char* label = "security.bpf.bpfwarden";

std::string role() { return std::getenv("BPFWARDEN_KERNEL"); }
bool has_fsverity_and_user_labels() { return role() != "floor"; }
bool has_labels() { return role() == "edge"; }

// A shell, told from every other copy by what is behind its end.
void copy_program(const std::string& path, const std::string& more) {
    fs::remove(path);
    fs::copy_file("/bin/sh", path);
    std::ofstream(path, std::ios::app) << more;
}

const std::string read_secret = "read line < " + secret;

// A program in `words` that could do what it was to.
bool works(std::vector<std::string> words) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        std::vector<char*> argv;
        for (auto& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        ::dup2(::open("/dev/null", O_WRONLY), 2);
        ::execv(argv[0], argv.data());
        ::_exit(126);
    }
    return wait_for(pid) == 0;
}
bool reads_secret(const std::string& program) { return works({program, "-c", read_secret}); }
// The same when `program` is executed by a process in `boxed`.
bool helper_reads_secret(const std::string& program) {
    return works({place + "boxed", "-c", fmt::format("{} -c '{}'; exit $?", program, read_secret)});
}

int enable_verity(const std::string& path) {
    fsverity_enable_arg how{};
    how.version = 1;
    how.hash_algorithm = FS_VERITY_HASH_ALG_SHA256;
    how.block_size = 4096;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const int error = ::ioctl(fd, FS_IOC_ENABLE_VERITY, &how) ? errno : 0;
    ::close(fd);
    return error;
}

int set_label(const std::string& path, const char* name, const std::string& value) {
    return status_of(::setxattr(path.c_str(), name, value.data(), value.size(), 0));
}

std::string pin_of(const std::string& path, policy::PinKind kind) {
    const auto file = enforce::identify_file(path);
    EXPECT_TRUE(file) << path;
    for (const auto& pin : file->pins)
        if (pin.kind == kind) return policy::text_of(pin);
    ADD_FAILURE() << path << " has no " << policy::info(kind).key;
    return {};
}

int read_it(const Words& words) { return read_file(words.at(0)); }

// What runs in `boxed` may not read the secret, and what it executes may not either, but a helper: known by what it is,
// or by its name alone, the control.
std::string rules_by_digest() {
    using enum policy::PinKind;
    auto text =
        fmt::format(R"(
[[domain]]
name = "boxed"
enter = [ {{ exe = "{0}boxed" }} ]
[[domain]]
name = "named"
enter = [ {{ exe = "{0}named", from = ["boxed"] }} ]
[[domain]]
name = "by-ima"
enter = [ {{ exe = "{0}by-ima", from = ["boxed"], ima = "{1}" }}, {{ from = ["boxed"], ima = "{2}" }} ]
[[domain]]
name = "held"
enter = [ {{ ima = "{3}" }} ]
[[rule]]
name = "boxed"
domains = ["boxed", "held"]
deny = ["read"]
paths = ["/run/evade/secret/**"]
)",
                    place, pin_of(place + "by-ima", ima), pin_of(place + "script", ima), pin_of(place + "held", ima));
    if (has_fsverity_and_user_labels())
        text +=
            fmt::format("[[domain]]\nname = \"by-fsverity\"\nenter = [ {{ from = [\"boxed\"], fsverity = \"{}\" }} ]\n",
                        pin_of(place + "by-fsverity", fsverity));
    return text;
}

std::string rules_by_label() {
    const std::string text = R"(
[[domain]]
name = "held-by-user-label"
enter = [ { user_label = "held" } ]
[[rule]]
name = "held-by-user-label"
domains = ["held-by-user-label"]
deny = ["read"]
paths = ["/run/evade/secret/**"]
[[rule]]
name = "labelled"
domains = ["actor"]
deny = ["read", "write", "append", "exec"]
user_labels = ["secret"]
[[rule]]
name = "public"
domains = ["strict"]
allow = ["read"]
user_labels = ["public"]
[[rule]]
name = "guarded"
domains = ["actor"]
deny = ["setxattr"]
paths = ["/bpfwarden/pins/guarded"]
)";
    if (!has_labels()) return text;
    return text + R"(
[[domain]]
name = "held-by-label"
enter = [ { label = "held" } ]
[[rule]]
name = "held-by-label"
domains = ["held-by-label"]
deny = ["read"]
paths = ["/run/evade/secret/**"]
[[rule]]
name = "labelled-by-root"
domains = ["actor"]
deny = ["read"]
labels = ["secret"]
)";
}

class PolicyPins : public PolicyGuest {
  protected:
    static void SetUpTestSuite() {
        PolicyGuest::SetUpTestSuite();
        if (!emulated()) return;
        fs::create_directories(place);
        for (const char* name : {"boxed", "named", "by-ima", "held", "by-fsverity", "free"})
            copy_program(place + name, name);
        write_file(place + "script", fmt::format("#!/bin/sh\nread line < {}\n", secret));
        ::chmod((place + "script").c_str(), 0755);
        if (has_fsverity_and_user_labels()) {
            ASSERT_EQ(enable_verity(place + "by-fsverity"), 0);
        }
        apply(usual_rules + rules_by_digest());
    }
    static void TearDownTestSuite() {
        if (!emulated()) return;
        fs::remove_all(place);
        apply(usual_rules);
    }
};

TEST_F(PolicyPins, WhatIsInTheBoxCannotReadTheSecret) {
    EXPECT_FALSE(reads_secret(place + "boxed"));
    EXPECT_FALSE(helper_reads_secret(place + "free")) << "nor what it executes";
    EXPECT_TRUE(reads_secret(place + "free")) << "control";
}

// An attacker's program in the place of one that may do more.
TEST_F(PolicyPins, AReplacedFileIsTakenForTheOneThatHadItsName) {
    EXPECT_TRUE(helper_reads_secret(place + "named"));
    copy_program(place + "named", "evil");
    EXPECT_TRUE(helper_reads_secret(place + "named")) << "control: by its name it is";
}

TEST_F(PolicyPins, ByImaAReplacedOrChangedFileIsNot) {
    EXPECT_TRUE(helper_reads_secret(place + "by-ima"));
    fs::rename(place + "by-ima", place + "kept");
    copy_program(place + "by-ima", "evil");
    EXPECT_FALSE(helper_reads_secret(place + "by-ima")) << "another file of that name";
    // The same bytes in another file are the same program.
    copy_program(place + "by-ima", "by-ima");
    EXPECT_TRUE(helper_reads_secret(place + "by-ima"));
    std::ofstream(place + "by-ima", std::ios::app) << "x";
    EXPECT_FALSE(helper_reads_secret(place + "by-ima")) << "the file itself, changed";
    EXPECT_FALSE(helper_reads_secret(place + "kept")) << "the way in has a path, too";
    fs::rename(place + "kept", place + "by-ima");
    EXPECT_TRUE(helper_reads_secret(place + "by-ima")) << "control";
}

TEST_F(PolicyPins, ByImaAProgramIsHeldUnderAnyName) {
    EXPECT_FALSE(reads_secret(place + "held"));
    copy_program(place + "elsewhere", "held");
    EXPECT_FALSE(reads_secret(place + "elsewhere"));
    copy_program(place + "elsewhere", "other");
    EXPECT_TRUE(reads_secret(place + "elsewhere")) << "control: other bytes";
}

// What was digested is what runs: nobody can write to it meanwhile.
TEST_F(PolicyPins, AFileThatRunsCannotBeWritten) {
    int end[2];
    ASSERT_EQ(::pipe2(end, O_CLOEXEC), 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::dup2(end[0], 0);
        ::execl((place + "free").c_str(), "free", "-c", "read line; exit 0", nullptr);
        ::_exit(126);
    }
    const auto written = [] {
        const int fd = ::open((place + "free").c_str(), O_WRONLY | O_CLOEXEC);
        const int error = fd < 0 ? errno : 0;
        ::close(fd);
        return error;
    };
    // Not to be opened before it runs: then it is what is executed that is refused.
    const auto runs = [&] { return fs::read_symlink(fmt::format("/proc/{}/exe", pid)) == place + "free"; };
    for (int i = 0; i < 2000 && !runs(); ++i) ::usleep(5000);
    ASSERT_TRUE(runs());
    EXPECT_EQ(written(), ETXTBSY);
    ::close(end[1]);
    EXPECT_EQ(wait_for(pid), 0);
    EXPECT_EQ(written(), 0) << "control";
}

// As with `exe`, a script is known by itself and not by what interprets it.
TEST_F(PolicyPins, AScriptIsKnownByItself) {
    EXPECT_TRUE(helper_reads_secret(place + "script"));
    fs::copy_file(place + "script", place + "other-script");
    std::ofstream(place + "other-script", std::ios::app) << "# other\n";
    EXPECT_FALSE(helper_reads_secret(place + "other-script"));
    // Its interpreter is one that a way in has the digest of, which fits where it is executed itself.
    write_file(place + "interpreted", fmt::format("#!{}held\nread line < {}\n", place, secret));
    ::chmod((place + "interpreted").c_str(), 0755);
    EXPECT_TRUE(works({place + "interpreted"}));
    EXPECT_FALSE(reads_secret(place + "held")) << "control";
}

TEST_F(PolicyPins, WhatTheKernelCannotTellIsRefusedAsAWhole) {
    if (has_labels()) GTEST_SKIP() << "this kernel can tell everything";
    const auto why = why_not_applied(
        fmt::format(R"(
[[domain]]
name = "pinned"
enter = [ {{ {} }} ]
[[rule]]
domains = ["actor"]
deny = ["read"]
paths = ["/run/evade/open/**"]
)",
                    role() == "floor" ? "fsverity = \"sha256:" + std::string(64, '0') + "\"" : "label = \"x\""));
    EXPECT_TRUE(why.contains(role() == "floor" ? "Linux 6.8" : "Linux 6.15")) << why;
    EXPECT_FALSE(reads_secret(place + "held")) << "the policy before is in force";
    expect_permitted(read_it, {open_place + "file"});
}

TEST_F(PolicyPins, ADigestThatImaDoesNotMakeHereIsRefused) {
    const auto why = why_not_applied(
        "[[domain]]\nname = \"pinned\"\nenter = [ { ima = \"sha512:" + std::string(128, '0') + "\" } ]\n");
    EXPECT_TRUE(why.contains("sha256")) << why;
}

TEST_F(PolicyPins, ByFsverity) {
    if (!has_fsverity_and_user_labels()) GTEST_SKIP() << "from Linux 6.8";
    const auto pinned = place + "by-fsverity";
    EXPECT_TRUE(helper_reads_secret(pinned));
    EXPECT_EQ(::open(pinned.c_str(), O_WRONLY), -1) << "nobody can change it";
    copy_program(place + "copy", "by-fsverity");
    EXPECT_FALSE(helper_reads_secret(place + "copy")) << "the same bytes, which fs-verity does not guard";
    ASSERT_EQ(enable_verity(place + "copy"), 0);
    EXPECT_TRUE(helper_reads_secret(place + "copy")) << "the same bytes, guarded";
    // Another guarded file, put into its place.
    copy_program(place + "evil", "evil");
    ASSERT_EQ(enable_verity(place + "evil"), 0);
    fs::rename(place + "evil", pinned);
    EXPECT_FALSE(helper_reads_secret(pinned));
    fs::rename(place + "copy", pinned);
    EXPECT_TRUE(helper_reads_secret(pinned)) << "control";
}

// In an overlay, too, which opens its own files in the middle of the open of another; and by a descriptor alone.
TEST_F(PolicyPins, HoweverItIsExecuted) {
    const auto lower = place + "lower/", merged = place + "merged/";
    for (const char* one : {"lower", "upper", "work", "merged"}) fs::create_directories(place + one);
    copy_program(lower + "held", "held");
    copy_program(lower + "free", "free");
    const auto options = fmt::format("lowerdir={0}lower,upperdir={0}upper,workdir={0}work", place);
    ASSERT_EQ(::mount("overlay", merged.c_str(), "overlay", 0, options.c_str()), 0);
    EXPECT_FALSE(reads_secret(merged + "held"));
    EXPECT_TRUE(reads_secret(merged + "free")) << "control";
    EXPECT_EQ(::umount(merged.c_str()), 0);

    const auto by_descriptor = [](const char* name) {
        const int fd = ::open((place + name).c_str(), O_RDONLY | O_CLOEXEC);
        const bool read = works({fmt::format("/proc/self/fd/{}", fd), "-c", read_secret});
        ::close(fd);
        return read;
    };
    EXPECT_FALSE(by_descriptor("held"));
    EXPECT_TRUE(by_descriptor("free")) << "control";
}

class PolicyLabels : public PolicyPins {
  protected:
    static void SetUpTestSuite() {
        if (!emulated()) return;
        PolicyGuest::SetUpTestSuite();
        fs::create_directories(place);
        if (has_fsverity_and_user_labels()) apply(usual_rules + rules_by_label());
    }
    void SetUp() override {
        PolicyGuest::SetUp();
        if (emulated() && !has_fsverity_and_user_labels()) GTEST_SKIP() << "from Linux 6.8";
    }
};

TEST_F(PolicyLabels, ByLabel) {
    const auto program = place + "labelled";
    copy_program(program, "labelled");
    for (const char* name : {user_label, label}) {
        if (name == label && !has_labels()) continue;
        EXPECT_TRUE(reads_secret(program));
        ASSERT_EQ(set_label(program, name, "held"), 0);
        EXPECT_FALSE(reads_secret(program)) << name;
        for (const char* other : {"hel", "held2", "other"}) {
            ASSERT_EQ(set_label(program, name, other), 0);
            EXPECT_TRUE(reads_secret(program)) << other;
        }
        ASSERT_EQ(set_label(program, name, "held"), 0);
        EXPECT_FALSE(reads_secret(program)) << name;
        ASSERT_EQ(::removexattr(program.c_str(), name), 0);
    }
}

// Who owns a file sets its user.* attributes; security.* takes CAP_SYS_ADMIN.
TEST_F(PolicyLabels, OnlyTheOneLabelIsItsOwners) {
    BW_IN_ONE_GUEST("lts");
    const auto file = place + "owned";
    write_file(file, "x");
    ASSERT_EQ(::chown(file.c_str(), 1000, 1000), 0);
    const auto as_owner = [](const Words& words) {
        if (::setuid(1000)) return errno;
        return status_of(::setxattr(words.at(0).c_str(), words.at(1).c_str(), "held", 4, 0));
    };
    EXPECT_EQ(perform(nobody, as_owner, {file, user_label}), 0);
    EXPECT_EQ(perform(nobody, as_owner, {file, label}), EPERM);
}

TEST_F(PolicyLabels, RulesByLabel) {
    BW_IN_ONE_GUEST("edge");
    const auto file = place + "object", linked = place + "object-too";
    write_file(file, "text");
    ::chmod(file.c_str(), 0755);
    for (const char* name : {user_label, label}) {
        if (name == label && !has_labels()) continue;
        expect_permitted(read_it, {file});
        ASSERT_EQ(set_label(file, name, "secret"), 0);
        expect_refused(read_it, {file});
        // It goes with the file, whatever the name.
        fs::create_hard_link(file, linked);
        expect_refused(read_it, {linked});
        fs::remove(linked);
        ASSERT_EQ(set_label(file, name, "other"), 0);
        expect_permitted(read_it, {file});
        ASSERT_EQ(::removexattr(file.c_str(), name), 0);
    }
    ASSERT_EQ(set_label(file, user_label, "secret"), 0);
    for (const int flags : {O_WRONLY, O_WRONLY | O_APPEND})
        expect_refused(
            [](const Words& words) {
                const int fd = ::open(words.at(0).c_str(), std::stoi(words.at(1)));
                return fd < 0 ? errno : ::close(fd);
            },
            {file, std::to_string(flags)});
    copy_program(file, "object");
    const auto execute = [](const Words& words) {
        ::execl(words.at(0).c_str(), "x", "-c", "exit 0", nullptr);
        return errno;
    };
    expect_permitted(execute, {file});
    ASSERT_EQ(set_label(file, user_label, "secret"), 0);
    expect_refused(execute, {file});
}

// A label holds as long as who is confined cannot take it away.
TEST_F(PolicyLabels, WhoMayRemoveThem) {
    BW_IN_ONE_GUEST("lts");
    const auto program = place + "guarded";
    copy_program(program, "guarded");
    ASSERT_EQ(set_label(program, user_label, "held"), 0);
    const auto remove = [](const Words& words) { return status_of(::removexattr(words.at(0).c_str(), user_label)); };
    const auto change = [](const Words& words) {
        return status_of(::setxattr(words.at(0).c_str(), user_label, "x", 1, 0));
    };
    EXPECT_EQ(perform(actor, remove, {program}), EACCES);
    EXPECT_EQ(perform(actor, change, {program}), EACCES);
    EXPECT_FALSE(reads_secret(program));
    EXPECT_EQ(perform(nobody, remove, {program}), 0) << "control";
    EXPECT_TRUE(reads_secret(program)) << "control";
}

TEST_F(PolicyLabels, WhatALabelAllows) {
    // Where this domain may read nothing else.
    const auto file = room + "public", other = room + "not-public";
    write_file(file, "text");
    write_file(other, "text");
    EXPECT_EQ(perform(strict, read_it, {file}), EACCES);
    ASSERT_EQ(set_label(file, user_label, "public"), 0);
    EXPECT_EQ(perform(strict, read_it, {file}), 0);
    // Each file by its own label, whatever was opened before.
    EXPECT_EQ(perform(strict,
                      [](const Words& words) {
                          for (int i = 0; i < 3; ++i) {
                              if (const int error = read_file(words.at(0))) return 200 + error % 50;
                              if (const int error = read_file(words.at(1)); error != EACCES) return 100 + error % 50;
                          }
                          return 0;
                      },
                      {file, other}),
              0);
    EXPECT_EQ(
        perform(strict, [](const Words& words) { return status_of(::open(words.at(0).c_str(), O_WRONLY)); }, {file}),
        EACCES)
        << "only what is allowed";
    ASSERT_EQ(::removexattr(file.c_str(), user_label), 0);
    EXPECT_EQ(perform(strict, read_it, {file}), EACCES);
    fs::remove(file);
    fs::remove(other);
}

// An overlay opens its own files in the middle of the open of another, whose label counts.
TEST_F(PolicyLabels, InAnOverlay) {
    const auto lower = place + "lower/", merged = place + "merged/";
    for (const char* one : {"lower", "upper", "work", "merged"}) fs::create_directories(place + one);
    copy_program(lower + "free", "free");
    write_file(lower + "file", "text");
    const auto options = fmt::format("lowerdir={0}lower,upperdir={0}upper,workdir={0}work", place);
    ASSERT_EQ(::mount("overlay", merged.c_str(), "overlay", 0, options.c_str()), 0);
    EXPECT_TRUE(reads_secret(merged + "free"));
    expect_permitted(read_it, {merged + "file"});
    ASSERT_EQ(set_label(lower + "free", user_label, "held"), 0);
    EXPECT_FALSE(reads_secret(merged + "free"));
    ASSERT_EQ(set_label(lower + "file", user_label, "secret"), 0);
    expect_refused(read_it, {merged + "file"});
    EXPECT_EQ(::umount(merged.c_str()), 0);
}

}  // namespace
}  // namespace bpfwarden::test
