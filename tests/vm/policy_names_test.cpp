// SPDX-License-Identifier: Apache-2.0
// Other ways to a file that a rule refuses: other names, other mounts, other roots, other places.
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "vm/policy_guest.hpp"

namespace bpfwarden::test {

namespace {

namespace fs = std::filesystem;

class PolicyNames : public PolicyGuest {};

// A mount namespace of its own, so that what an attacker mounts goes with it.
int private_mounts() {
    if (::unshare(CLONE_NEWNS) || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr)) return errno;
    return 0;
}

int read_it(const Words& words) { return read_file(words.at(0)); }

TEST_F(PolicyNames, TheNameItself) {
    expect_refused(read_it, {secret});
    expect_permitted(read_it, {open_place + "file"});
}

TEST_F(PolicyNames, HardLink) {
    expect_refused([](const Words&) {
        const auto to = open_place + "linked";
        return ::link(secret.c_str(), to.c_str()) ? errno : read_file(to);
    });
}

TEST_F(PolicyNames, SymbolicLink) {
    expect_refused([](const Words&) {
        const auto to = open_place + "symbolic";
        ::unlink(to.c_str());  // the attacker made it, and could not read through it
        return ::symlink(secret.c_str(), to.c_str()) ? errno : read_file(to);
    });
}

TEST_F(PolicyNames, SlashesAndDots) {
    expect_refused(read_it, {"/run/evade///secret/.//../secret//file"});
    expect_refused([](const Words&) { return status_of(::mkdir("/run/evade/secret/made/", 0755)); });
    expect_refused([](const Words&) { return status_of(::open("/run/evade/secret/", O_RDONLY | O_DIRECTORY)); });
}

TEST_F(PolicyNames, BindMount) {
    expect_refused([](const Words&) {
        const auto to = open_place + "bound";
        ::mkdir(to.c_str(), 0755);
        if (const int error = private_mounts()) return error;
        if (::mount((room + "secret").c_str(), to.c_str(), nullptr, MS_BIND, nullptr)) return errno;
        return read_file(to + "/file");
    });
}

TEST_F(PolicyNames, BindMountThatTheTrustedMade) {
    const auto to = open_place + "bound";
    fs::create_directory(to);
    ASSERT_EQ(::mount((room + "secret").c_str(), to.c_str(), nullptr, MS_BIND, nullptr), 0);
    expect_refused(read_it, {to + "/file"});
    EXPECT_EQ(::umount(to.c_str()), 0);
}

TEST_F(PolicyNames, MountThatIsNoLongerSeen) {
    // Of a tree that was unmounted the kernel knows no way from the root (d_path() would say "/file").
    expect_refused([](const Words&) {
        const auto to = open_place + "lazy";
        ::mkdir(to.c_str(), 0755);
        if (const int error = private_mounts()) return error;
        if (::mount((room + "secret").c_str(), to.c_str(), nullptr, MS_BIND, nullptr)) return errno;
        const int directory = ::open(to.c_str(), O_PATH | O_DIRECTORY);
        if (::umount2(to.c_str(), MNT_DETACH)) return errno;
        return read_at(directory, "file");
    });
}

TEST_F(PolicyNames, Chroot) {
    expect_refused([](const Words&) { return ::chroot("/run/evade/secret") ? errno : read_file("/file"); });
}

TEST_F(PolicyNames, PivotRoot) {
    expect_refused([](const Words&) {
        const auto to = open_place + "root";
        ::mkdir(to.c_str(), 0755);
        if (const int error = private_mounts()) return error;
        if (::mount((room + "secret").c_str(), to.c_str(), nullptr, MS_BIND, nullptr) || ::chdir(to.c_str()) ||
            ::syscall(SYS_pivot_root, ".", ".") || ::umount2(".", MNT_DETACH) || ::chdir("/"))
            return errno;
        return read_file("/file");
    });
}

// As a user without any privilege but in a namespace of its own.
int by_another_root(const Words& words) {
    const auto to = open_place + "root";
    if (::setgid(65534) || ::setuid(65534) || ::unshare(CLONE_NEWUSER | CLONE_NEWNS)) return 200;
    if (words.at(0) == "chroot") return ::chroot("/run/evade/secret") || ::chdir("/") ? errno : read_file("/file");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) ||
        ::mount((room + "secret").c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) || ::chdir(to.c_str()) ||
        ::syscall(SYS_pivot_root, ".", ".") || ::umount2(".", MNT_DETACH) || ::chdir("/"))
        return errno;
    return read_file("/file");
}

TEST_F(PolicyNames, RootsOfAnUnprivilegedUser) {
    fs::create_directories(open_place + "root");
    for (const char* how : {"chroot", "pivot_root"}) expect_refused(by_another_root, {how});
}

int by_cloned_tree(const Words& words) {
    if (words.at(0) == "user" && ::unshare(CLONE_NEWUSER | CLONE_NEWNS)) return errno;
    const auto tree = static_cast<int>(
        ::syscall(SYS_open_tree, AT_FDCWD, words.at(1).c_str(), OPEN_TREE_CLONE | AT_RECURSIVE | OPEN_TREE_CLOEXEC));
    if (tree < 0) return errno;
    return words.at(2).empty() ? read_file("/proc/self/fd/" + std::to_string(tree)) : read_at(tree, words.at(2));
}

TEST_F(PolicyNames, ClonedTree) {
    for (const char* who : {"root", "user"}) {
        expect_refused(by_cloned_tree, {who, "/run/evade", "secret/file"});
        expect_refused(by_cloned_tree, {who, "/run/evade/secret", "file"});
        expect_refused(by_cloned_tree, {who, secret, ""});
    }
}

TEST_F(PolicyNames, RootAndNamespaceOfAnother) {
    const auto ready = open_place + "ready";
    const pid_t other = start(nobody,
                              [](const Words& words) {
                                  const auto to = open_place + "theirs";
                                  ::mkdir(to.c_str(), 0755);
                                  if (const int error = private_mounts()) return error;
                                  if (::mount((room + "secret").c_str(), to.c_str(), nullptr, MS_BIND, nullptr))
                                      return errno;
                                  write_file(words.at(0), "ready");
                                  ::pause();
                                  return 0;
                              },
                              {ready});
    for (int i = 0; i < 2000 && !fs::exists(ready); ++i) ::usleep(5000);
    ASSERT_TRUE(fs::exists(ready));
    const auto process = "/proc/" + std::to_string(other);
    expect_refused(read_it, {process + "/root" + open_place + "theirs/file"});
    expect_refused(
        [](const Words& words) {
            const int space = ::open((words.at(0) + "/ns/mnt").c_str(), O_RDONLY);
            if (space < 0) return 200 + errno;
            return ::setns(space, CLONE_NEWNS) ? errno : read_file(open_place + "theirs/file");
        },
        {process});
    ::kill(other, SIGKILL);
    wait_for(other);
}

TEST_F(PolicyNames, MovedToAnotherPlace) {
    expect_refused([](const Words&) {
        const auto to = open_place + "moved";
        return ::rename(secret.c_str(), to.c_str()) ? errno : read_file(to);
    });
    TearDown(), SetUp();
    expect_refused([](const Words&) {
        const auto to = open_place + "moved";
        return ::rename("/run/evade/secret", to.c_str()) ? errno : read_file(to + "/file");
    });
}

int exchange(const Words& words) {
    if (::syscall(SYS_renameat2, AT_FDCWD, words.at(0).c_str(), AT_FDCWD, words.at(1).c_str(), 2 /* RENAME_EXCHANGE */))
        return errno;
    return read_file(words.at(2));
}

TEST_F(PolicyNames, Exchanged) {
    const auto mine = open_place + "file", directory = open_place + "directory";
    const Words ways[] = {{mine, secret, mine},
                          {secret, mine, mine},
                          {directory, room + "secret", directory + "/file"},
                          {room + "secret", directory, directory + "/file"},
                          {mine, room + "secret", mine + "/file"},
                          {room + "secret", mine, mine + "/file"}};
    for (const auto& way : ways) {
        TearDown(), SetUp();
        fs::create_directory(directory);
        EXPECT_EQ(perform(nobody, exchange, way), 0) << way[0] << " " << way[1];
        TearDown(), SetUp();
        fs::create_directory(directory);
        EXPECT_EQ(perform(actor, exchange, way), EACCES) << way[0] << " " << way[1];
    }
    // Neither of these says anything that the other does not.
    write_file(open_place + "other", "other\n");
    expect_permitted(exchange, {mine, open_place + "other", mine});
}

TEST_F(PolicyNames, AnotherFileOfTheSameName) {
    write_file(room + "secret/new", "new\n");
    ASSERT_EQ(::rename((room + "secret/new").c_str(), secret.c_str()), 0);
    expect_refused(read_it, {secret});
    fs::remove(secret);
    write_file(secret, "newer\n");
    expect_refused(read_it, {secret});
}

TEST_F(PolicyNames, BytesThatAreNoText) {
    for (const std::string name : {"\xff\xfe", "line\nbreak", "\x01", "\"quote\\", " "}) {
        write_file(room + "secret/" + name, "bytes\n");
        expect_refused(read_it, {room + "secret/" + name});
        write_file(open_place + name, "bytes\n");
        expect_permitted(read_it, {open_place + name});
    }
}

// "below" DEPTH directories of that name; the file's path.
std::string make_deep(const std::string& below, int depth, const std::string& name) {
    std::string path = below;
    for (int i = 0; i < depth; ++i) path += "/" + name;
    fs::create_directories(path);
    write_file(path + "/f", "deep\n");
    return path + "/f";
}

TEST_F(PolicyNames, LongAndDeep) {
    const auto before = blind();
    expect_refused(read_it, {make_deep(room + "secret", 195, "d")});
    expect_permitted(read_it, {make_deep(open_place, 195, "d")});
    auto longest = room + "secret";
    while (longest.size() + 252 < 4095 - 2) longest += "/" + std::string(250, 'n');
    longest += "/" + std::string(4095 - 2 - longest.size() - 1, 'n');
    fs::create_directories(longest);
    write_file(longest + "/f", "long\n");
    ASSERT_EQ(longest.size() + 2, 4095U);
    expect_refused(read_it, {longest + "/f"});
    EXPECT_EQ(blind(), before);
    // Deeper than any name that rules see: a deny rule could have matched.
    expect_refused(read_it, {make_deep(room + "secret", 300, "d")});
    expect_refused(read_it, {make_deep(open_place + "deeper", 300, "d")});
    EXPECT_EQ(blind(), before + 2);
}

// An overlay over the words' first at open/merged, with layers in the open place.
int mount_overlay(const std::string& lower) {
    for (const char* name : {"upper", "work", "merged"}) ::mkdir((open_place + name).c_str(), 0755);
    if (const int error = private_mounts()) return error;
    const auto options = "lowerdir=" + lower + ",upperdir=" + open_place + "upper,workdir=" + open_place + "work";
    return status_of(::mount("overlay", (open_place + "merged").c_str(), "overlay", 0, options.c_str()));
}
int read_through_overlay(const Words& words) {
    if (const int error = mount_overlay(words.at(0))) return error;
    return read_file(open_place + "merged/" + words.at(1));
}
int copy_up(const Words& words) {
    if (const int error = mount_overlay(words.at(0))) return error;
    const auto file = open_place + "merged/" + words.at(1);
    if (::chmod(file.c_str(), 0700)) return errno;
    return read_file(open_place + "upper/" + words.at(1));
}

class PolicyOverlay : public PolicyGuest {
  protected:
    void SetUp() override {
        PolicyGuest::SetUp();
        if (IsSkipped()) return;
        ASSERT_EQ(std::system("modprobe overlay"), 0);
    }
};

// Before 6.7 a layer's file is opened under the name that the overlay has for it: what a policy names "overlay:" it
// must then refuse there, too. (One that names no overlay refuses them all where a deny rule could match: see the next
// case.)
bool layers_have_their_names() {
    utsname kernel{};
    ::uname(&kernel);
    int major = 0, minor = 0;
    std::sscanf(kernel.release, "%d.%d", &major, &minor);
    return std::pair(major, minor) >= std::pair(6, 7);
}

TEST_F(PolicyOverlay, DeniedLower) {
    const int then = layers_have_their_names() ? EACCES : 0;
    expect_refused(read_through_overlay, {room + "secret", "file"}, then);
    TearDown(), SetUp();
    expect_refused(read_through_overlay, {room, "secret/file"}, then);
}

TEST_F(PolicyOverlay, OfNoName) {
    auto rules = usual_rules;
    const std::string names = R"(, "overlay:/**")";
    rules.erase(rules.find(names), names.size());
    apply(rules);
    expect_refused(read_through_overlay, {room + "secret", "file"});
    apply(usual_rules);
}

TEST_F(PolicyOverlay, CopiedUp) { expect_refused(copy_up, {room + "secret", "file"}); }

int copy_up_there(const Words& words) {
    if (::chmod(words.at(0).c_str(), 0700)) return errno;
    return status_of(::open(words.at(0).c_str(), O_RDWR));
}

TEST_F(PolicyOverlay, ADefaultThatRefusesIsForWhatIsAskedForByName) {
    fs::create_directories(room + "lower");
    write_file(room + "lower/file", "lower\n");
    ASSERT_EQ(mount_overlay(room + "lower"), 0);  // for a moment, this process is in a namespace of its own
    // What the overlay does with its layers is its own work: "strict" may not read them.
    EXPECT_EQ(perform(strict, read_it, {room + "lower/file"}), EACCES);
    EXPECT_EQ(perform(strict, read_it, {open_place + "merged/file"}), 0);
    EXPECT_EQ(perform(strict, copy_up_there, {open_place + "merged/file"}), 0);
    EXPECT_EQ(text_of(open_place + "upper/file"), "lower\n");
    EXPECT_EQ(::umount((open_place + "merged").c_str()), 0);
    fs::remove_all(room + "lower");
}

// One inode storage, two ways to name it: by mounts, and by the file system's own root.
TEST_F(PolicyNames, ADirectoryIsKeptOnceForEachWayToNameIt) {
    EXPECT_EQ(perform("own", read_it, {secret}), EACCES);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(perform(actor, read_it, {secret}), EACCES);
        EXPECT_EQ(perform("own", read_it, {open_place + "file"}), 0);
        EXPECT_EQ(perform("own", read_it, {secret}), EACCES);
        EXPECT_EQ(perform(actor, read_it, {open_place + "file"}), 0);
    }
}

}  // namespace

}  // namespace bpfwarden::test
