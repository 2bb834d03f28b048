// SPDX-License-Identifier: Apache-2.0
// Who may change what is sealed, and what a change leaves.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "enforce/guard_object.hpp"
#include "enforce/policy_force.hpp"
#include "vm/guard_guest.hpp"
#include "vm/guard_programs.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;

class GuardUpdater : public GuardGuest {
  protected:
    static void SetUpTestSuite() {
        GuardGuest::SetUpTestSuite();
        if (!emulated()) return;
        link_ = RefusesSyslog::make();
        ASSERT_EQ(::bpf_obj_pin(link_.link.get(), pin), 0);
    }
    static void TearDownTestSuite() {
        ::unlink(pin);
        link_ = {};
    }
    static constexpr const char* pin = "/sys/fs/bpf/others";
    static inline RefusesSyslog link_;

    // All of it, by somebody who may not.
    static void expect_refused(const std::function<bool()>& prepare, const std::string& program = tool) {
        const auto things = sealed_things();
        const Words commands[] = {
            {"policy", "apply", new_policy},    {"policy", "rollback"}, {"policy", "confirm"}, {"policy", "remove"},
            {"guard", "protect", "--pin", pin}, {"guard", "unseal"}};
        for (const auto& words : commands) {
            SCOPED_TRACE(words[0] + " " + words[1]);
            const auto ran = run(words, prepare, program);
            EXPECT_EQ(ran.status, 4) << ran;
            expect_three_parts(ran);
        }
        EXPECT_TRUE(sealed());
        EXPECT_EQ(sealed_things(), things);
        expect_in_force();
    }
    static void expect_permitted(const std::string& program) {
        const auto may = [&](const Words& words) {
            const auto ran = run(words, {}, program);
            EXPECT_EQ(ran.status, 0) << ran;
        };
        may({"policy", "apply", new_policy});
        EXPECT_TRUE(decides("two"));
        EXPECT_FALSE(decides("one"));
        may({"policy", "rollback"});
        expect_in_force();
        may({"policy", "status"});
        may({"guard", "protect", "--pin", pin});
        may({"guard", "unseal"});
        EXPECT_FALSE(sealed());
        expect_in_force();
    }
};

// The kernel starts programs for whoever sets kernel.core_pattern, with all capabilities that it has left.
TEST_F(GuardUpdater, NotWhatTheKernelStarts) {
    const std::string pattern = "/proc/sys/kernel/core_pattern", ran = place + "ran", helper = place + "helper";
    const auto before = text_of(pattern);
    write_file(helper, "#!/bin/sh\n" + tool + " guard unseal >" + ran + " 2>&1\necho $? >>" + ran + "\n");
    ASSERT_EQ(::chmod(helper.c_str(), 0755), 0);
    seal();
    write_file(pattern, "|" + helper);
    const auto dumped = [] {
        const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
        ::setrlimit(RLIMIT_CORE, &all);
        std::abort();
        return 0;
    };
    EXPECT_EQ(in_child(dumped), -1);
    EXPECT_TRUE(eventually([&] { return text_of(ran).ends_with("\n4\n"); })) << text_of(ran);
    EXPECT_TRUE(sealed());
    write_file(pattern, before);
}

TEST_F(GuardUpdater, WhoHasTheCapability) {
    seal();
    expect_refused(without_mac_admin);
    // All capabilities, but not here.
    const auto things = sealed_things();
    for (const Words& words : {Words{"guard", "unseal"}, {"policy", "apply", new_policy}}) {
        const auto ran = run(words, in_user_namespace);
        EXPECT_EQ(ran.status, 4) << ran;
    }
    EXPECT_EQ(sealed_things(), things);
    expect_permitted(tool);
}

TEST_F(GuardUpdater, WhoIsInTheDomain) {
    seal({"--updater", "domain:updater"});
    EXPECT_EQ(status()["updater"], "domain:updater");
    expect_refused([] { return true; });
    expect_permitted(updater);
}

// The program is the right one, and who traces it could have it do anything: also of who let go of it since.
TEST_F(GuardUpdater, NotWhoCameInUnderATracer) {
    seal({"--updater", "domain:updater"});
    const auto traced = [](const Words& words, bool let_go) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            std::vector<char*> argv;
            for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
            argv.push_back(nullptr);
            ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
            ::execv(argv[0], argv.data());
            ::_exit(127);
        }
        int status = 0, stops = 0;
        while (::waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
            const bool end = let_go && ++stops == 2;  // in the domain
            ::ptrace(end ? PTRACE_DETACH : PTRACE_CONT, pid, nullptr, nullptr);
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    };
    for (const bool let_go : {false, true})
        EXPECT_EQ(traced({updater, place + "updater", tool, "guard", "unseal"}, let_go), 4) << let_go;
    EXPECT_TRUE(sealed());
    EXPECT_EQ(run({"guard", "unseal"}, {}, updater).status, 0) << "control";
}

TEST_F(GuardUpdater, OnlyADomainThatIsEnteredByADigest) {
    const auto expect_refused_for = [](const std::string& why, const std::string& domain) {
        SCOPED_TRACE(domain);
        write_file(place + "domain.toml", text_of(old_policy) + "[[domain]]\nname = \"other\"\n" + domain);
        ASSERT_EQ(run({"policy", "apply", place + "domain.toml"}).status, 0);
        const auto ran = run({"guard", "seal", "--updater", "domain:other"});
        EXPECT_EQ(ran.status, 1) << ran;
        EXPECT_TRUE(ran.err.contains(why)) << ran;
        expect_three_parts(ran);
        EXPECT_FALSE(is_mounted(enforce::sealed_tmpfs));
    };
    const auto digest = "ima = \"sha256:" + std::string(64, 'a') + "\", from = [\"gate\"]";
    expect_refused_for("goes by no digest", "enter = [ { exe = \"/usr/bin/true\" } ]\n");
    expect_refused_for("goes by no digest", "enter = [ { " + digest + " }, { cgroup = \"/other\" } ]\n");
    expect_refused_for("secure_exec = false", "enter = [ { " + digest + " } ]\nsecure_exec = false\n");
    old_in_force();
}

int open_by_name(const std::string& name) {
    const auto id = static_cast<__u32>(std::stoul(name.substr(name.find(':') + 1)));
    return status_of(name.starts_with("map")    ? ::bpf_map_get_fd_by_id(id)
                     : name.starts_with("prog") ? ::bpf_prog_get_fd_by_id(id)
                                                : ::bpf_link_get_fd_by_id(id));
}

std::set<std::string> programs_and_links() {
    std::set<std::string> names;
    for (const auto& name : new_names(in_kernel()))
        if (!name.starts_with("map")) names.insert(name);
    return names;
}

// Under load: what is refused is refused throughout, by the policy's programs and by the guard's.
TEST_F(GuardUpdater, AnotherVersionTakesTheirPlace) {
    seal();
    const auto things = sealed_things();
    EXPECT_EQ(as_other([] { return run({"guard", "update"}).status; }), 4);
    EXPECT_EQ(sealed_things(), things);
    std::atomic<bool> stop = false;
    std::atomic<unsigned> refused = 0, made = 0;
    std::thread load([&] {
        Maker maker("maker");
        while (!stop) ++(maker.make(fmt::format("both/update{}", refused + made)) == EACCES ? refused : made);
    });
    const pid_t attacker = ::fork();
    if (attacker == 0) {
        // Ends with what got through.
        static std::atomic<bool> told;
        ::signal(SIGTERM, [](int) { told = true; });
        int through = 0;
        if (!without_mac_admin()) ::_exit(255);
        const auto pins = std::string(enforce::sealed_guard) + "/";
        for (unsigned turn = 0; !told; ++turn) {
            through += ::rename((pins + "link_rest_rename").c_str(), (pins + "gone").c_str()) == 0;
            through += ::umount2(enforce::sealed_bpffs, MNT_DETACH) == 0;
            through += ::bpf_obj_get((pins + "sealed").c_str()) >= 0;
            const int sysctl = ::open("/proc/sys/kernel/ftrace_enabled", O_WRONLY | O_CLOEXEC);
            through += ::write(sysctl, "1", 1) == 1;
            ::close(sysctl);
        }
        ::_exit(std::min(through, 254));
    }
    const auto updated = run({"guard", "update"});
    EXPECT_EQ(updated.status, 0) << updated;
    stop = true;
    // It may have copies of the pipes to the maker.
    ::kill(attacker, SIGTERM);
    int status = 0;
    ::waitpid(attacker, &status, 0);
    load.join();
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    EXPECT_EQ(made, 0U);
    EXPECT_GT(refused, 10U);
    const auto now = sealed_things();
    for (const auto& name : things)
        if (!name.starts_with("map")) {
            EXPECT_FALSE(now.contains(name)) << name;
        }
    const auto are_maps = [](const auto& all) {
        return std::ranges::count_if(all, [](const auto& name) { return name.starts_with("map"); });
    };
    EXPECT_EQ(std::ssize(now) - are_maps(now), std::ssize(things) - are_maps(things)) << "as many as before";
    std::set<std::string> open;
    for (const auto& name : programs_and_links())
        if (now.contains(name) && as_other([&] { return open_by_name(name); }) != ENOENT) open.insert(name);
    EXPECT_EQ(open.size(), 1U) << "the one that shows what is sealed: " << ::testing::PrintToString(open);
    EXPECT_EQ(GuardGuest::status()["core"].size(), 8U) << "none twice";
    expect_in_force();
    expect_permitted(tool);
}

bw_change change_of(bw_change_what what) { return {.what = what, .kind = 0, .id = 0, .device = 0, .value = 0}; }

// A process of the updater's that changes something, until it is told to end.
class AnotherChange {
  public:
    AnotherChange() {
        int begun[2] = {}, ends[2] = {};
        EXPECT_TRUE(::pipe2(begun, O_CLOEXEC) == 0 && ::pipe2(ends, O_CLOEXEC) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(ends[1]);
            char nothing = 0;
            const bool began = enforce::change_sealed(enforce::sealed_guard, change_of(BW_CHANGE_BEGIN)).has_value();
            if (!began || ::write(begun[1], "", 1) != 1) ::_exit(1);
            const bool waited = ::read(ends[0], &nothing, 1) == 0;
            ::_exit(!waited || !enforce::change_sealed(enforce::sealed_guard, change_of(BW_CHANGE_END)));
        }
        ::close(begun[1]);
        ::close(ends[0]);
        end_ = UniqueFd(ends[1]);
        const UniqueFd told(begun[0]);
        char nothing = 0;
        EXPECT_EQ(::read(told.get(), &nothing, 1), 1) << "it has begun";
    }
    AnotherChange(const AnotherChange&) = delete;
    ~AnotherChange() { EXPECT_EQ(end(), 0) << "it has ended"; }
    int end() {
        end_ = {};
        int status = 0;
        if (pid_ >= 0) ::waitpid(std::exchange(pid_, -1), &status, 0);
        return status;
    }

  private:
    pid_t pid_ = -1;
    UniqueFd end_;
};

// A tool that was started is asleep, to try again.
bool a_tool_waits() {
    for (const auto& entry : fs::directory_iterator("/proc")) {
        if (text_of(entry.path() / "comm") != "bpfwarden\n") continue;
        const auto call = text_of(entry.path() / "syscall");
        for (const auto number : {SYS_nanosleep, SYS_clock_nanosleep})
            if (call.starts_with(std::to_string(number) + " ")) return true;
    }
    return false;
}

TEST_F(GuardUpdater, OneChangesAtATime) {
    seal();
    const auto things = sealed_things();
    const auto pinned = std::string(enforce::sealed_guard) + "/change";
    // From before: while another changes something nobody gets it.
    const UniqueFd program(::bpf_obj_get(pinned.c_str()));
    ASSERT_TRUE(program);
    const auto answer = [&](bw_change_what what) {
        auto asked = change_of(what);
        LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &asked, .ctx_size_in = sizeof asked);
        return ::bpf_prog_test_run_opts(program.get(), &options) ? -1 : -static_cast<int>(options.retval);
    };
    {
        const AnotherChange another;
        for (const auto what :
             {BW_CHANGE_BEGIN, BW_CHANGE_END, BW_CHANGE_SEAL_OBJECT, BW_CHANGE_UNSEAL_OBJECT, BW_CHANGE_UNSEAL_PLACE,
              BW_CHANGE_UNSEAL_DEVICE, BW_CHANGE_ARM, BW_CHANGE_DISARM, BW_CHANGE_GUARDIAN})
            EXPECT_EQ(answer(what), EBUSY) << what;
        EXPECT_EQ(as_other([&] { return answer(BW_CHANGE_END); }), EPERM) << "who is no updater";
        EXPECT_EQ(status_of(::bpf_obj_get(pinned.c_str())), EBUSY);
        EXPECT_EQ(open_by_name(*things.begin()), EBUSY);
        const auto policy = enforce::PolicyForce::adopt(enforce::sealed_policy);
        ASSERT_FALSE(policy);
        EXPECT_EQ(policy.error().number(), EBUSY);
        EXPECT_FALSE(policy.error().hint().empty());
    }
    EXPECT_EQ(sealed_things(), things);
    EXPECT_EQ(answer(BW_CHANGE_BEGIN), 0) << "control";
    EXPECT_EQ(answer(BW_CHANGE_END), 0) << "control";
    EXPECT_EQ(open_by_name(*things.begin()), 0) << "control";
}

// What the tool says, and does, is of what is so when the change is over.
TEST_F(GuardUpdater, WhoComesMeanwhileWaits) {
    seal();
    for (const Words& words :
         {Words{"guard", "status"}, {"guard", "protect", "--pin", pin}, {"policy", "apply", new_policy}}) {
        SCOPED_TRACE(words[0] + " " + words[1]);
        AnotherChange another;
        Ran ran;
        std::thread tool([&] { ran = run(words); });
        EXPECT_TRUE(eventually(a_tool_waits));
        EXPECT_EQ(another.end(), 0);
        tool.join();
        EXPECT_EQ(ran.status, 0) << ran;
    }
    EXPECT_TRUE(decides("two"));
    EXPECT_FALSE(fs::exists(enforce::unsealed_policy)) << "a second policy";
    EXPECT_EQ(as_other([] { return status_of(::unlink(pin)); }), EPERM);
}

// The pinned tables are as a version that has others would have left them.
TEST_F(GuardUpdater, NotByAVersionWithOtherTables) {
    BW_IN_ONE_GUEST("lts");
    seal();
    const auto table = std::string(enforce::sealed_guard) + "/places";
    const auto things = sealed_things();
    const auto expect_refused_as_it = [&](const std::string& why) {
        const auto ran = run({"guard", "update"});
        EXPECT_EQ(ran.status, 1) << ran;
        EXPECT_TRUE(ran.err.contains("its table places " + why)) << ran;
        expect_three_parts(ran);
        EXPECT_EQ(sealed_things(), things);
        EXPECT_EQ(GuardGuest::status()["core"].size(), 8U);
        EXPECT_FALSE(fs::exists(enforce::sealed_next));
        expect_in_force();
    };
    const UniqueFd own(::bpf_obj_get(table.c_str()));
    ASSERT_TRUE(own);
    ASSERT_EQ(::unlink(table.c_str()), 0);
    expect_refused_as_it("is new");
    struct Form {
        bpf_map_type type;
        __u32 key, value;
    };
    for (const auto& [type, key, value] : {Form{BPF_MAP_TYPE_HASH, sizeof(bw_place), 8},
                                           {BPF_MAP_TYPE_HASH, 8, 4},
                                           {BPF_MAP_TYPE_LRU_HASH, sizeof(bw_place), 4}}) {
        SCOPED_TRACE(fmt::format("type {}, key {}, value {}", int{type}, key, value));
        const UniqueFd other(::bpf_map_create(type, "places", key, value, 8192, nullptr));
        ASSERT_EQ(::bpf_obj_pin(other.get(), table.c_str()), 0);
        expect_refused_as_it("has another form");
        ASSERT_EQ(::unlink(table.c_str()), 0);
    }
    ASSERT_EQ(::bpf_obj_pin(own.get(), table.c_str()), 0);
    EXPECT_EQ(run({"guard", "update"}).status, 0) << "control";
    expect_in_force();
}

std::set<std::string> not_there(const std::set<std::string>& things) {
    std::set<std::string> gone;
    const auto now = new_names(in_kernel());
    for (const auto& name : things)
        if (!now.contains(name)) gone.insert(name);
    return gone;
}

// Under load: what both policies refuse is refused throughout.
TEST_F(GuardUpdater, PoliciesChangeUnderTheSeal) {
    BW_IN_ONE_GUEST("edge");
    // What the case before let go of is gone a moment later.
    ASSERT_TRUE(eventually([] {
        return std::ranges::all_of(new_names(in_kernel()),
                                   [](const auto& name) { return as_other([&] { return open_by_name(name); }) == 0; });
    })) << "control: without a seal";
    seal();
    std::atomic<bool> stop = false;
    std::atomic<unsigned> refused = 0, made = 0;
    std::thread load([&] {
        Maker maker("maker");
        while (!stop) ++(maker.make(fmt::format("both/load{}", refused + made)) == EACCES ? refused : made);
    });
    const auto before = in_kernel();
    const auto change = [&](const Words& words) {
        const auto ran = run(words);
        EXPECT_EQ(ran.status, 0) << ran;
    };
    const auto expect_all_sealed = [&] {
        const auto things = sealed_things();
        // What was asked with while the policy was applied (IMA's algorithm) is gone a moment later.
        const auto stays = [&](const auto& name) { return things.contains(name); };
        EXPECT_TRUE(eventually([&] { return std::ranges::all_of(new_names(in_kernel(), before), stays); }));
        for (const auto& name : new_names(in_kernel(), before)) {
            EXPECT_TRUE(things.contains(name)) << name;
            EXPECT_EQ(as_other([&] { return open_by_name(name); }), ENOENT) << name;
        }
    };
    change({"policy", "apply", new_policy});
    EXPECT_TRUE(decides("two"));
    EXPECT_FALSE(new_names(in_kernel(), before).empty()) << "an image";
    expect_all_sealed();
    change({"policy", "rollback"});
    expect_in_force();
    change({"policy", "apply", "--confirm-within", "1s", new_policy});
    EXPECT_TRUE(eventually([] { return decides("one") && !decides("two"); })) << "what was not confirmed is gone";
    // Another hook: programs that were not there at the seal.
    auto more = text_of(old_policy);
    more.replace(more.find("\"mkdir\""), 7, "\"mkdir\", \"symlink\"");
    write_file(place + "more.toml", more);
    change({"policy", "apply", place + "more.toml"});
    expect_in_force();
    EXPECT_GT(in_kernel().links.size(), before.links.size());
    expect_all_sealed();
    change({"policy", "apply", old_policy});
    stop = true;
    load.join();
    EXPECT_EQ(made, 0U);
    EXPECT_GT(refused, 10U);
    // What was replaced is let go of, and no longer told to be sealed.
    EXPECT_TRUE(eventually([] { return not_there(sealed_things()).empty(); }))
        << ::testing::PrintToString(not_there(sealed_things()));
    unseal();
    expect_in_force();
    EXPECT_EQ(run({"policy", "remove"}).status, 0);
    old_in_force();
    new_maker();
}

}  // namespace
}  // namespace bpfwarden::test
