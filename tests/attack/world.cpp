// SPDX-License-Identifier: Apache-2.0
#include "attack/world.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

namespace bpfwarden::test {

namespace fs = std::filesystem;

static void must(long result, const char* what) {
    if (result >= 0) return;
    std::perror(what);
    ::_exit(errno);
}

static void mount_new(const char* type, const std::string& where) {
    ::mkdir(where.c_str(), 0755);
    must(::mount(type, where.c_str(), type, 0, nullptr), where.c_str());
}

static void take_over(const std::string& root, const std::string& path) {
    std::error_code error;
    if (fs::is_symlink(path)) return fs::copy_symlink(path, root + path, error);
    if (!fs::exists(path)) return;
    ::mkdir((root + path).c_str(), 0755);
    must(::mount(path.c_str(), (root + path).c_str(), nullptr, MS_BIND | MS_REC, nullptr), path.c_str());
}

static void make_root() {
    must(::unshare(CLONE_NEWNS), "unshare");
    must(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "private");
    const std::string root = "/tmp/world";
    mount_new("tmpfs", root);
    for (const char* path : {"/bin", "/sbin", "/lib", "/lib64", "/usr", "/etc", "/dev", "/bpfwarden"})
        take_over(root, path);
    const auto secrets = root + inner_secrets;
    ::mkdir(secrets.c_str(), 0755);
    must(::mount(outer_secrets.c_str(), secrets.c_str(), nullptr, MS_BIND, nullptr), "secrets");
    for (const auto& [type, where] : {std::pair{"proc", "/proc"},
                                      {"sysfs", "/sys"},
                                      {"securityfs", "/sys/kernel/security"},
                                      {"debugfs", "/sys/kernel/debug"},
                                      {"tracefs", "/sys/kernel/tracing"},
                                      {"bpf", "/sys/fs/bpf"},
                                      {"cgroup2", "/sys/fs/cgroup"},
                                      {"tmpfs", "/run"},
                                      {"tmpfs", "/tmp"}})
        mount_new(type, root + where);
    ::mkdir((root + "/old").c_str(), 0755);
    must(::syscall(SYS_pivot_root, root.c_str(), (root + "/old").c_str()), "pivot_root");
    must(::umount2("/old", MNT_DETACH), "/old");
    must(::rmdir("/old"), "/old");
    must(::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr), "shared");
}

Place place_in(Home home) {
    if (home == Home::usual)
        return {.mount = "/sys/fs/bpf", .parent = "/sys", .above = "/", .pins = "/sys/fs/bpf/foreign"};
    return {.mount = "/run/apart/bpf", .parent = "/run/apart", .above = "/run", .pins = "/run/apart/bpf/foreign"};
}

static void make_home_apart() {
    const auto home = place_in(Home::apart);
    mount_new("tmpfs", home.parent);
    must(::mount(nullptr, home.parent.c_str(), nullptr, MS_PRIVATE, nullptr), "private");
    mount_new("bpf", home.mount);
}

World::World() {
    int ready[2] = {-1, -1}, release[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(release, O_CLOEXEC), 0);
    holder_ = ::fork();
    if (holder_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        make_root();
        make_home_apart();
        ::close(release[1]);
        char byte = 0;
        must(::write(ready[1], &byte, 1), "ready");
        (void)!::read(release[0], &byte, 1);
        ::_exit(0);
    }
    ::close(ready[1]);
    ::close(release[0]);
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1) << "there is no world";
    ::close(ready[0]);
    release_ = release[1];
}

static const std::string guests_secrets = "/secrets";

World::World(TheGuest) : holder_(::getpid()) {
    make_home_apart();
    EXPECT_EQ(::symlink(outer_secrets.c_str(), guests_secrets.c_str()), 0);
}

World::~World() {
    if (release_ < 0) {
        ::umount2(place_in(Home::apart).parent.c_str(), MNT_DETACH);
        ::rmdir(place_in(Home::apart).parent.c_str());
        ::unlink(guests_secrets.c_str());
        return;
    }
    ::close(release_);
    EXPECT_EQ(wait_for(holder_), 0);
}

std::string World::outer(const std::string& path) const { return "/proc/" + std::to_string(holder_) + "/root" + path; }

pid_t World::start(const std::function<int()>& work) const {
    const auto path = "/proc/" + std::to_string(holder_) + "/ns/mnt";
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        // Otherwise the world would not end before this process.
        if (release_ >= 0) ::close(release_);
        const int space = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        must(::setns(space, CLONE_NEWNS), "setns");
        ::close(space);
        ::_exit(work() & 255);
    }
    return pid;
}

int World::run(const std::function<int()>& work) const { return wait_for(start(work)); }

int World::execute(const std::vector<std::string>& words) const {
    return run([&] {
        std::vector<char*> argv;
        for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
        argv.push_back(nullptr);
        ::execv(argv[0], argv.data());
        return 127;
    });
}

int wait_for(pid_t pid) {
    int status = 0;
    if (::waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return -1;
    return WEXITSTATUS(status);
}

}  // namespace bpfwarden::test
