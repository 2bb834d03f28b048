// SPDX-License-Identifier: Apache-2.0
// What others have in the kernel, under the seal: it stays, and what it decides by; afterwards it is theirs again.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include <fmt/format.h>

#include "vm/guard_guest.hpp"
#include "vm/guard_programs.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;

template <class Info>
Info info_of(const UniqueFd& fd) {
    Info info{};
    __u32 size = sizeof info;
    EXPECT_EQ(::bpf_obj_get_info_by_fd(fd.get(), &info, &size), 0);
    return info;
}

// Makes the link, pins it if told to, and holds it until its end.
class Loader {
  public:
    explicit Loader(const std::string& pin = {}) {
        int said[2];
        if (::pipe2(said, O_CLOEXEC)) std::abort();
        pid_ = ::fork();
        if (pid_ == 0) {
            const auto made = RefusesSyslog::make();
            const __u32 ids[] = {info_of<bpf_link_info>(made.link).id, info_of<bpf_map_info>(made.map).id};
            if (!pin.empty() && ::bpf_obj_pin(made.link.get(), pin.c_str())) ::_exit(1);
            if (::write(said[1], ids, sizeof ids) != sizeof ids) ::_exit(1);
            for (;;) ::pause();
        }
        __u32 ids[2] = {};
        EXPECT_EQ(::read(said[0], ids, sizeof ids), static_cast<ssize_t>(sizeof ids));
        link = ids[0];
        map = ids[1];
        ::close(said[0]);
        ::close(said[1]);
    }
    Loader(const Loader&) = delete;
    ~Loader() { end(); }
    void end() {
        if (pid_ < 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(std::exchange(pid_, -1), nullptr, 0);
    }
    __u32 link = 0, map = 0;

  private:
    pid_t pid_ = -1;
};

class GuardProtect : public GuardGuest {
  protected:
    void SetUp() override {
        GuardGuest::SetUp();
        ASSERT_TRUE(gone()) << "of the case before";
    }
    void TearDown() override {
        GuardGuest::TearDown();
        ::unlink(pin);
    }
    static bool gone() {
        return eventually([] { return !syslog_refused(); });
    }
    static constexpr const char* pin = "/sys/fs/bpf/others";

    static Words with(Words words) {
        words.insert(words.begin(), {"guard", "protect"});
        return words;
    }
    static void protect(const Words& options) {
        const auto done = run(with(options));
        ASSERT_EQ(done.status, 0) << done;
    }
    // Its map decides whether it refuses.
    static int turn_off(__u32 map) {
        const UniqueFd fd(::bpf_map_get_fd_by_id(map));
        const __u32 zero = 0;
        return fd ? status_of(::bpf_map_update_elem(fd.get(), &zero, &zero, BPF_ANY)) : errno;
    }
};

TEST_F(GuardProtect, APinnedLink) {
    {  // Without a seal.
        Loader loader(pin);
        EXPECT_TRUE(syslog_refused());
        loader.end();
        EXPECT_TRUE(syslog_refused()) << "its pin holds it";
        EXPECT_EQ(as_other([&] { return turn_off(loader.map); }), 0);
        EXPECT_FALSE(syslog_refused());
        EXPECT_EQ(as_other([] { return status_of(::unlink(pin)); }), 0);
    }
    Loader loader(pin);
    seal();
    protect({"--pin", pin});
    EXPECT_TRUE(sealed_things().contains(fmt::format("link:{}", loader.link)));
    EXPECT_TRUE(sealed_things().contains(fmt::format("map:{}", loader.map)));
    EXPECT_EQ(status()["names"], 1);
    loader.end();
    EXPECT_EQ(as_other([] { return status_of(::unlink(pin)); }), EPERM);
    EXPECT_EQ(as_other([] { return status_of(::rename(pin, "/sys/fs/bpf/renamed")); }), EPERM);
    EXPECT_EQ(as_other([&] { return turn_off(loader.map); }), ENOENT);
    EXPECT_TRUE(syslog_refused());
    unseal();
    EXPECT_TRUE(syslog_refused());
    EXPECT_EQ(as_other([] { return status_of(::unlink(pin)); }), 0);
    EXPECT_TRUE(gone());
}

TEST_F(GuardProtect, ALinkWithoutAName) {
    {
        Loader loader;
        EXPECT_TRUE(syslog_refused());
        loader.end();
        EXPECT_TRUE(gone()) << "control: nothing else holds it";
    }
    Loader loader;
    // With the seal itself.
    seal({"--updater", "cap:mac_admin", "--id", fmt::format("link:{}", loader.link)});
    loader.end();
    EXPECT_EQ(as_other([&] { return turn_off(loader.map); }), ENOENT);
    ::usleep(500'000);  // it would be gone by now
    EXPECT_TRUE(syslog_refused());
    EXPECT_TRUE(names_in(enforce::sealed_others).contains(fmt::format("link-{}", loader.link)));
    unseal();
    EXPECT_TRUE(gone());
}

TEST_F(GuardProtect, AWholeFileSystem) {
    const auto mounted = place + "bpffs", inner = mounted + "/below/others";
    fs::create_directories(mounted);
    const auto mount = [&] {
        ASSERT_EQ(::mount("bpf", mounted.c_str(), "bpf", 0, nullptr), 0);
        fs::create_directories(mounted + "/below");
    };
    mount();
    EXPECT_EQ(as_other([&] { return status_of(::umount(mounted.c_str())); }), 0) << "control";
    mount();
    Loader loader(inner);
    seal();
    protect({"--mount", mounted});
    loader.end();
    EXPECT_EQ(status()["file_systems"], 2);
    EXPECT_EQ(as_other([&] { return status_of(::umount(mounted.c_str())); }), EPERM);
    EXPECT_EQ(as_other([&] { return status_of(::umount2(mounted.c_str(), MNT_DETACH)); }), EPERM);
    EXPECT_EQ(as_other([&] { return status_of(::unlink(inner.c_str())); }), EPERM);
    EXPECT_EQ(as_other([&] { return status_of(::rmdir((mounted + "/below").c_str())); }), EPERM);
    EXPECT_EQ(as_other([&] { return turn_off(loader.map); }), ENOENT);
    EXPECT_TRUE(syslog_refused());
    unseal();
    EXPECT_EQ(as_other([&] { return status_of(::umount(mounted.c_str())); }), 0);
    EXPECT_TRUE(gone());
}

// A link of cgroups could be detached by whoever has its fd.
TEST_F(GuardProtect, ALinkOfACgroup) {
    const UniqueFd root(::open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto program = permit_program(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS);
    const auto attach = [&] {
        return UniqueFd(::bpf_link_create(program.get(), root.get(), BPF_CGROUP_INET_EGRESS, nullptr));
    };
    const auto detach = [](const UniqueFd& link) { return status_of(::bpf_link_detach(link.get())); };
    const auto update = [&](const UniqueFd& link) {
        return status_of(::bpf_link_update(link.get(), program.get(), nullptr));
    };
    {
        const auto link = attach();
        EXPECT_EQ(as_other([&] { return update(link); }), 0) << "control";
        EXPECT_EQ(as_other([&] { return detach(link); }), 0) << "control";
    }
    const auto link = attach(), other = attach();
    seal();
    protect({"--id", fmt::format("link:{}", info_of<bpf_link_info>(link).id)});
    EXPECT_EQ(as_other([&] { return update(link); }), EPERM);
    EXPECT_EQ(as_other([&] { return detach(link); }), EPERM);
    EXPECT_EQ(as_other([&] { return update(other); }), 0) << "of somebody who is not protected";
    EXPECT_EQ(as_other([&] { return detach(other); }), 0);
    EXPECT_EQ(detach(link), 0) << "the updater";
}

TEST_F(GuardProtect, WhatIsNotThereAndRubbish) {
    BW_IN_ONE_GUEST("edge");
    const auto shown = [] { return text_of(std::string(enforce::sealed_guard) + "/show_sealed"); };
    const auto unsealed = run(with({"--pin", pin}));
    EXPECT_EQ(unsealed.status, 5) << unsealed;
    EXPECT_TRUE(unsealed.err.contains("nothing is sealed")) << unsealed;
    Loader loader(pin);
    fs::create_directories(place + "folder");
    write_file(place + "file", "no pin");
    seal();
    const auto before = shown();
    const auto names = names_in(enforce::sealed_others);
    const struct {
        Words options;
        int status;
    } bad[] = {
        {{"--pin", "/sys/fs/bpf/missing"}, 5},
        {{"--pin", place + "file"}, 6},
        {{"--pin", ""}, 5},
        {{"--mount", place + "folder"}, 6},
        {{"--mount", place + "missing"}, 5},
        {{"--id", "prog:99999"}, 5},
        {{"--id", "map:99999"}, 5},
        {{"--id", "link:99999"}, 5},
        {{"--id", "link:0"}, 2},
        {{"--id", "link:"}, 2},
        {{"--id", "link:-1"}, 2},
        {{"--id", "link:4294967296"}, 2},
        {{"--id", "7"}, 2},
        {{"--id", "btf:7"}, 2},
        // One of two.
        {{"--pin", pin, "--pin", "/sys/fs/bpf/missing"}, 5},
        {{"--pin", pin, "--id", "prog:99999"}, 5},
        {{"--mount", "/sys/fs/bpf", "--mount", place + "folder"}, 6},
    };
    for (const auto& [options, status] : bad) {
        SCOPED_TRACE(::testing::PrintToString(options));
        const auto ran = run(with(options));
        EXPECT_EQ(ran.status, status) << ran;
        expect_three_parts(ran);
        EXPECT_EQ(shown(), before);
        EXPECT_EQ(names_in(enforce::sealed_others), names);
    }
    const auto nothing = run({"guard", "protect"});
    EXPECT_EQ(nothing.status, 2) << nothing;
    EXPECT_EQ(status()["names"], 0);
    EXPECT_EQ(status()["file_systems"], 1);
    EXPECT_EQ(::unlink(pin), 0);
}

}  // namespace
}  // namespace bpfwarden::test
