// SPDX-License-Identifier: Apache-2.0
#include "attack/sealed.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "attack/acts.hpp"
#include "attack/eventually.hpp"
#include "base/fd.hpp"
#include "trust/digest.hpp"

namespace bpfwarden::test {

namespace fs = std::filesystem;

static const std::string bpfwarden = "/bpfwarden/bin/bpfwarden", gate = "/run/gate", keeper = "/run/keeper",
                         policy_file = "/run/keeper.toml";

// `keeper` is in the domain if `gate` executes it: so the kernel makes digests of little else. The rule is there as a
// policy needs one, and of an operation that few programs are needed for.
static std::string policy(const std::string& digest) {
    return R"(format = 1
name = "keeper"
mode = "enforce"
[[domain]]
name = "gate"
enter = [ { exe = "/run/gate" } ]
[[domain]]
name = "keeper"
enter = [ { from = ["gate"], ima = "sha256:)" +
           digest + R"(" } ]
[[rule]]
domains = ["keeper"]
deny = ["mkdir"]
paths = ["/run/nowhere/*"]
)";
}

Place guards_place() {
    const std::string sealed = "/run/bpfwarden/sealed";
    return {.mount = sealed + "/bpf", .parent = sealed, .above = "/run", .pins = sealed + "/bpf/guard"};
}

static std::optional<SealedWorld> current;
static bool lost = false;

SealedWorld& SealedWorld::now(const Before& before_sealing) {
    if (!current) current.emplace(before_sealing);
    return *current;
}

void SealedWorld::forget() { current.reset(); }

SealedWorld::SealedWorld(const Before& before_sealing) {
    if (lost) return;
    if (before_sealing) before_sealing(world_);
    seal();
    EXPECT_TRUE(works()) << (guardian_ ? guardian_->said() : "");
}

void SealedWorld::seal() {
    std::error_code problem;
    for (const auto& copy : {gate, keeper}) fs::copy_file("/usr/bin/env", world_.outer(copy), problem);
    const UniqueFd file(::open("/usr/bin/env", O_RDONLY | O_CLOEXEC));
    std::ofstream(world_.outer(policy_file)) << policy(trust::sha256_of_file(file).value());
    if (world_.execute({bpfwarden, "policy", "apply", policy_file})) return;
    if (world_.execute({bpfwarden, "guard", "seal", "--updater", "domain:keeper", "--mount",
                        place_in(Home::usual).mount, "--mount", place_in(Home::apart).mount}))
        return;
    sealed_ = true;
    guardian_.emplace(world_, std::vector{gate, keeper});
}

bool SealedWorld::revive() {
    if (!guardian_->runs()) guardian_.emplace(world_, std::vector{gate, keeper});
    return guardian_->serves();
}

SealedWorld::~SealedWorld() {
    remove_victim();
    if (sealed_ && as_updater({bpfwarden, "guard", "unseal"})) {
        // Its process cannot be ended, and nothing else be sealed.
        ADD_FAILURE() << "the updater cannot unseal";
        lost = true;
        return;
    }
    EXPECT_EQ(world_.execute({bpfwarden, "policy", "remove"}), 0);
    if (guardian_ && guardian_->runs()) {
        EXPECT_EQ(guardian_->end(), 0) << guardian_->said();
    }
}

int SealedWorld::as_updater(std::vector<std::string> words) const {
    words.insert(words.begin(), {gate, keeper});
    return world_.execute(words);
}

bool SealedWorld::protect(Victim victim, Home home) {
    const auto at = place_in(home);
    std::vector<std::string> words{bpfwarden, "guard", "protect"};
    for (const char* pin : {"link", "program", "refused", "verdict"}) words.insert(words.end(), {"--pin", at.pin(pin)});
    if (as_updater(words)) return false;
    kept_ = {victim, home};
    return true;
}

void SealedWorld::remove_victim() {
    if (!kept_) return;
    as_updater_in_shell("rm -rf " + place_in(kept_->second).pins + "; rm -f " + guards_place().mount + "/others/*");
    EXPECT_TRUE(ends(kept_->first)) << "its updater has removed the victim, and it decides";
    kept_.reset();
}

static int load_what_is_refused() {
    const bpf_insn nothing[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
                                {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    return status_of(::bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "nothing", "GPL", nothing, 2, nullptr));
}

bool SealedWorld::core_decides(Victim victim) const {
    return world_.run([&] {
        return victim == Victim::sysctl ? write_to(::open(disarming, O_WRONLY | O_CLOEXEC), "0")
                                        : load_what_is_refused();
    }) == EPERM;
}

pid_t SealedWorld::attempt() const {
    const pid_t pid = world_.start(load_what_is_refused);
    EXPECT_EQ(wait_for(pid), EPERM) << "the guard decides nothing";
    return pid;
}

bool SealedWorld::is_whole() const {
    return world_.run([] { return ::access((guards_place().pins + "/link_rest_locked_down").c_str(), F_OK); }) == 0;
}

bool SealedWorld::told_of(pid_t actor) const {
    const auto who = "\"actor\":{\"pid\":" + std::to_string(actor) + ",";
    return eventually(std::chrono::seconds(10), [&] {
        std::ifstream log(world_.outer(guardians_log));
        for (std::string line; std::getline(log, line);)
            if (line.contains("\"event\":\"tamper\"") && line.contains(who)) return true;
        return false;
    });
}

void SealedWorld::as_updater_in_shell(const std::string& script) const {
    (void)as_updater({"/bin/sh", "-c", "{ " + script + "; } 2>/dev/null"});
}

void SealedWorld::tidy() const {
    const auto usual = place_in(Home::usual).mount, apart = place_in(Home::apart).parent, own = guards_place().parent;
    (void)world_.run([&] {
        // With what is bound there: as long as that has peers, its end would be theirs.
        ::mount(nullptr, stage.c_str(), nullptr, MS_PRIVATE | MS_REC, nullptr);
        ::umount2(stage.c_str(), MNT_DETACH);
        ::rmdir(stage.c_str());
        for (const auto& parent : {apart, own}) ::rmdir((parent + "_other").c_str());
        // Mounts are as shared as they were: what an attacker made private would be no way to the sealed ones any more.
        for (const char* mount : {"/", "/sys", "/run", "/tmp"})
            for (const auto how : {MS_PRIVATE, MS_SHARED}) set_propagation(mount, static_cast<unsigned long>(how));
        for (const auto& mount : {apart, own}) set_propagation(mount, MS_PRIVATE);
        mount_attr writable{.attr_set = 0, .attr_clr = MOUNT_ATTR_RDONLY, .propagation = 0, .userns_fd = 0};
        return ::mount_setattr(AT_FDCWD, usual.c_str(), 0, &writable, sizeof writable);
    });
    for (const char* left : {"/hostile", "/other", "/elsewhere", "/foreign_elsewhere"})
        if (fs::exists(world_.outer(usual + left))) as_updater_in_shell("rm -rf " + usual + left);
}

}  // namespace bpfwarden::test
