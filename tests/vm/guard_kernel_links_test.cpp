// SPDX-License-Identifier: Apache-2.0
// What threads of the kernel hold from 6.10 on: it decides without a process, a pin and a mount, and nobody takes it.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "enforce/guard_object.hpp"
#include "enforce/kernel_links.hpp"
#include "vm/guard_guest.hpp"
#include "vm/guard_programs.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;

const std::string threads = "/proc/2/fdinfo/";

std::size_t open_in_kernel() { return names_in(threads).size(); }

int copy_of_kernels(int fd) {
    const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, 2, 0)));
    return static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), fd, 0));
}

// A copy of the first map that a thread of the kernel has open, or -1.
int copy_of_a_map() {
    for (const auto& name : names_in(threads)) {
        if (!text_of(threads + name).contains("map_id:")) continue;
        if (const int copy = copy_of_kernels(std::stoi(name)); copy >= 0) return copy;
    }
    return -1;
}

// Somebody who waits for a map to be open there, and keeps a copy of it till the end.
class WaitsForAMap {
  public:
    explicit WaitsForAMap(const std::function<bool()>& prepare = [] { return true; }) {
        int got[2] = {};
        EXPECT_EQ(::pipe2(got, O_CLOEXEC), 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            if (!prepare()) ::_exit(1);
            while (copy_of_a_map() < 0) {
            }
            (void)!::write(got[1], "", 1);
            ::pause();
        }
        ::close(got[1]);
        got_ = UniqueFd(got[0]);
        ::fcntl(got_.get(), F_SETFL, O_NONBLOCK);
    }
    WaitsForAMap(const WaitsForAMap&) = delete;
    ~WaitsForAMap() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    bool has_one() const {
        char byte = 0;
        return ::read(got_.get(), &byte, 1) == 1;
    }

  private:
    pid_t pid_ = -1;
    UniqueFd got_;
};

bool soak() { return std::getenv("BPFWARDEN_SOAK") != nullptr; }

class GuardKernelLinks : public GuardGuest {
  protected:
    void SetUp() override {
        if (emulated()) can_ = enforce::kernel_can_hold();
        GuardGuest::SetUp();
    }
    static std::size_t sealed_links() {
        return static_cast<std::size_t>(
            std::ranges::count_if(sealed_things(), [](const auto& name) { return name.starts_with("link:"); }));
    }
    // As whoever wins the race that docs/guard.md names.
    static void unmount_what_is_sealed() {
        ASSERT_EQ(::umount2(enforce::sealed_bpffs, MNT_DETACH), 0);
        ASSERT_EQ(::umount2(enforce::sealed_tmpfs, MNT_DETACH), 0);
        ASSERT_FALSE(fs::exists(enforce::sealed_guard));
    }
    static void end_without_pins() {
        const auto ended = run({"guard", "unseal"});
        EXPECT_EQ(ended.status, 0) << ended;
        EXPECT_EQ(open_in_kernel(), 0U);
        EXPECT_EQ(run({"guard", "status"}).status, 5);
        EXPECT_TRUE(eventually([] { return !decides("one"); })) << "its tables were pinned, too";
        old_in_force();
        new_maker();
        expect_in_force();
    }
    bool can_ = false;
};

TEST_F(GuardKernelLinks, HoldAllThatIsOurs) {
    for (const int turn : {1, 2}) {
        SCOPED_TRACE(turn);
        seal();
        const auto links = sealed_links();
        EXPECT_GT(links, 15U);
        EXPECT_EQ(status()["held_by_kernel"].size(), can_ ? links : 0U);
        EXPECT_EQ(open_in_kernel(), can_ ? links : 0U) << "and nothing else that was opened there";
        const auto said = run({"guard", "status"}).out;
        const auto line = fmt::format("held        {} links by threads of the kernel, {} by pins alone\n",
                                      can_ ? links : 0, can_ ? 0 : links);
        EXPECT_TRUE(said.contains(line)) << line << said;
        if (turn == 2) {
            unseal();
            EXPECT_EQ(open_in_kernel(), 0U);
            continue;
        }
        EXPECT_EQ(run({"policy", "apply", new_policy}).status, 0);
        EXPECT_EQ(run({"guard", "update"}).status, 0);
        EXPECT_EQ(sealed_links(), links) << "each once";
        EXPECT_EQ(open_in_kernel(), can_ ? links : 0U);
        EXPECT_EQ(run({"policy", "rollback"}).status, 0);
        expect_in_force();
        unseal();
        EXPECT_EQ(open_in_kernel(), 0U);
        expect_in_force();
    }
}

TEST_F(GuardKernelLinks, DecideWithoutPinsAndMounts) {
    const auto others = RefusesSyslog::make();
    const char* pin = "/sys/fs/bpf/others";
    ASSERT_EQ(::bpf_obj_pin(others.link.get(), pin), 0);
    const auto unlinked = [&] { return as_other([&] { return status_of(::unlink(pin)); }); };
    seal({"--updater", "cap:mac_admin", "--pin", pin});
    unmount_what_is_sealed();
    if (!can_) {
        EXPECT_TRUE(eventually([] { return !decides("one"); })) << "control: pins alone hold it";
        EXPECT_TRUE(eventually([&] { return unlinked() == 0; }));
        end_without_pins();
        return;
    }
    // What would end ends within this time, as it does below.
    ::sleep(3);
    expect_in_force();
    EXPECT_EQ(unlinked(), EPERM);
    EXPECT_EQ(as_other([] { return status_of(::open("/proc/sys/kernel/ftrace_enabled", O_WRONLY)); }), 0);
    for (const Words& words : {Words{"guard", "status"}, {"guard", "update"}, {"guard", "seal"}}) {
        const auto ran = run(words);
        EXPECT_EQ(ran.status, 1) << words[1] << ran;
        expect_three_parts(ran);
        EXPECT_TRUE(ran.err.contains("cannot be asked")) << ran;
    }
    const auto refused = run({"guard", "unseal"}, without_mac_admin);
    EXPECT_EQ(refused.status, 4) << refused;
    expect_three_parts(refused);
    expect_in_force();
    end_without_pins();
    EXPECT_EQ(unlinked(), 0);

    // Control: with the pins alone.
    if (!soak() && role() != "lts") return;
    seal();
    ASSERT_TRUE(enforce::release_all());
    EXPECT_EQ(status()["held_by_kernel"].size(), 0U);
    expect_in_force();
    unmount_what_is_sealed();
    EXPECT_TRUE(eventually([] { return !decides("one"); }));
    end_without_pins();
    // An update makes good what has no hold.
    seal();
    ASSERT_TRUE(enforce::release_all());
    EXPECT_EQ(run({"guard", "update"}).status, 0);
    EXPECT_EQ(status()["held_by_kernel"].size(), sealed_links());
}

TEST_F(GuardKernelLinks, AreTakenByNobody) {
    if (!can_) GTEST_SKIP() << "from Linux 6.10 on";
    seal();
    const auto links = *enforce::held_by_kernel();
    ASSERT_FALSE(links.empty());
    const auto program = permit_program(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "file_open");
    for (const auto& link : links) {
        EXPECT_EQ(as_other([&] { return status_of(copy_of_kernels(link.fd)); }), EPERM);
        // The updater gets one, and can do nothing with it.
        const UniqueFd copy(copy_of_kernels(link.fd));
        ASSERT_TRUE(copy) << "control";
        EXPECT_EQ(status_of(::bpf_link_detach(copy.get())), EOPNOTSUPP);
        EXPECT_NE(::bpf_link_update(copy.get(), program.get(), nullptr), 0);
    }
    const auto attempts = status()["attempts"].get<std::size_t>();
    EXPECT_EQ(attempts, links.size()) << "each is told";
    // What else is asked of them is as before.
    EXPECT_EQ(as_other([] { return text_of("/proc/2/stack").empty() ? ENODATA : 0; }), 0);
    EXPECT_EQ(as_other([] {
                  const bpf_insn nothing[] = {{.code = 0xb7, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
                                              {.code = 0x95, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
                  LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = BPF_F_SLEEPABLE);
                  return status_of(::bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "closes", "GPL", nothing, 2, &options));
              }),
              EPERM)
        << "a program that could close them";
    EXPECT_EQ(enforce::held_by_kernel()->size(), links.size());
    expect_in_force();
}

// While a thread of the kernel loads programs it has maps open.
TEST_F(GuardKernelLinks, NobodyCopiesTheirMapsMeanwhile) {
    BW_IN_ONE_GUEST("lts");
    {
        const WaitsForAMap attacker;
        const auto refused = run({"guard", "seal", "--updater", "cap:mac_admin"});
        EXPECT_TRUE(attacker.has_one()) << "control: before the guard is armed";
        EXPECT_EQ(refused.status, 1) << refused;
        EXPECT_TRUE(refused.err.contains("somebody else holds map:")) << refused;
        EXPECT_EQ(open_in_kernel(), 0U) << "what was held is let go of";
        expect_in_force();
    }
    seal();
    const WaitsForAMap attacker(without_mac_admin);
    EXPECT_EQ(run({"guard", "update"}).status, 0);
    EXPECT_FALSE(attacker.has_one());
    EXPECT_GT(status()["attempts"].get<unsigned>(), 0U) << "it has tried";
}

// What somebody else has the kernel's threads hold: programs that permit, and one that no verifier lets pass.
enforce::LsmRecipes programs_of_others(bool with_a_bad_one) {
    enforce::LsmRecipes made;
    const std::unique_ptr<btf, void (*)(btf*)> types(::btf__new_empty(), &::btf__free);
    ::btf__add_int(types.get(), "int", 4, BTF_INT_SIGNED);
    __u32 size = 0;
    const auto* bytes = static_cast<const std::byte*>(::btf__raw_data(types.get(), &size));
    made.btf.assign(bytes, bytes + size);
    enforce::LsmRecipe program;
    program.name = "others";
    program.attach_btf_id = static_cast<std::uint32_t>(::libbpf_find_vmlinux_btf_id("file_open", BPF_LSM_MAC));
    program.instructions = {{.code = 0xb7, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
                            {.code = 0x95, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    made.programs = {program, program};
    if (!with_a_bad_one) return made;
    program.instructions[0] = {.code = 0xbf, .dst_reg = 0, .src_reg = 3, .off = 0, .imm = 0};
    made.programs.push_back(program);
    return made;
}

TEST_F(GuardKernelLinks, AreAllThereOrNone) {
    if (!can_) GTEST_SKIP() << "from Linux 6.10 on";
    const auto refused = enforce::hold_in_kernel(enforce::sealed_guard, programs_of_others(true));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().what(), "a thread of the kernel cannot load others");
    EXPECT_TRUE(refused.error().why().contains("!read_ok")) << refused.error().why();
    EXPECT_EQ(open_in_kernel(), 0U);
    const auto held = enforce::hold_in_kernel(enforce::sealed_guard, programs_of_others(false));
    ASSERT_TRUE(held) << "control";
    EXPECT_EQ(open_in_kernel(), 2U);
    // What is not ours is let go of by nobody but them.
    seal();
    unseal();
    EXPECT_EQ(open_in_kernel(), 2U);
    ASSERT_TRUE(enforce::release_from_kernel(enforce::sealed_guard, *held));
    EXPECT_EQ(open_in_kernel(), 0U);
}

// What a crash has left, whoever comes next lets go of; and what others hold there stays.
TEST_F(GuardKernelLinks, OfWhoEndedInTheMiddleAreLetGoOf) {
    BW_IN_ONE_GUEST("lts");
    const std::string tables = "/sys/fs/bpf/left";
    fs::create_directory(tables);
    {
        auto object = enforce::GuardObject::load(FdRef(-1));
        ASSERT_TRUE(object) << object.error().what();
        ASSERT_TRUE(object->pin_maps(tables));
        ASSERT_TRUE(object->pin_programs(tables));
    }
    const auto left = open_in_kernel();
    EXPECT_EQ(left, 15U);
    for (const auto& name : names_in(tables)) ::unlink((tables + "/" + name).c_str());
    fs::remove(tables);
    EXPECT_EQ(open_in_kernel(), left) << "control: they stay";
    seal();
    EXPECT_EQ(open_in_kernel(), sealed_links());
    // Under the seal, what was made but got no pin.
    ASSERT_EQ(::unlink((std::string(enforce::sealed_guard) + "/link_rest_nice").c_str()), 0);
    EXPECT_EQ(run({"guard", "update"}).status, 0);
    EXPECT_EQ(open_in_kernel(), status()["held_by_kernel"].size());
    EXPECT_EQ(open_in_kernel(), sealed_links());
}

}  // namespace
}  // namespace bpfwarden::test
