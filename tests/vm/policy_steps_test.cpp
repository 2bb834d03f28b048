// SPDX-License-Identifier: Apache-2.0
// A change of policy that is killed, or that the kernel refuses, at each of its steps: the old policy decides or the
// new one, with its names, and the next change works and leaves nothing behind.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "enforce/policy_apply.hpp"
#include "policy/compile.hpp"
#include "policy/load.hpp"
#include "root/guests.hpp"
#include "vm/maker.hpp"
#include "vm/steps.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;

const std::string tool = "/bpfwarden/bin/bpfwarden", pins = enforce::unsealed_policy, records = enforce::policy_records;

bool soak() { return std::getenv("BPFWARDEN_SOAK") != nullptr; }

std::set<std::string> names_in(const std::string& directory) {
    std::set<std::string> names;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(directory, none)) names.insert(entry.path().filename());
    return names;
}

// All that the kernel has of anybody, by kind: what a killed process pinned nowhere is gone a moment later.
struct InKernel {
    unsigned maps = 0, programs = 0, links = 0;
    bool operator==(const InKernel&) const = default;
};
std::ostream& operator<<(std::ostream& out, const InKernel& counts) {
    return out << counts.maps << " maps, " << counts.programs << " programs, " << counts.links << " links";
}
InKernel in_kernel() {
    const auto count = [](int (*next)(__u32, __u32*)) {
        unsigned number = 0;
        for (__u32 id = 0; next(id, &id) == 0;) ++number;
        return number;
    };
    return {count(::bpf_map_get_next_id), count(::bpf_prog_get_next_id), count(::bpf_link_get_next_id)};
}

enum class Decides { none, old_one, new_one, mixed };
std::ostream& operator<<(std::ostream& out, Decides decides) {
    static constexpr const char* words[] = {"no policy", "the old policy", "the new policy", "parts of both"};
    return out << words[static_cast<int>(decides)];
}

// The old policy refuses one/ and both/, the new one two/ and both/.
Decides decides(Maker& maker) {
    static int number = 0;
    const auto name = std::to_string(++number);
    const bool one = maker.make("one/" + name) == EACCES, two = maker.make("two/" + name) == EACCES,
               both = maker.make("both/" + name) == EACCES;
    if (!one && !two && !both) return Decides::none;
    if (both && one != two) return one ? Decides::old_one : Decides::new_one;
    return Decides::mixed;
}

class Steps : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!emulated()) GTEST_SKIP() << "runs in guests of tools/lab";
        BW_IN_ONE_GUEST("floor");
        for (const char* folder : {"one", "two", "both"}) fs::create_directories(place + folder);
        std::ofstream(place + "old.toml") << policy_of("maker", "{one,both}");
        std::ofstream(place + "new.toml") << policy_of("maker", "{two,both}");
    }
    void TearDown() override {
        maker_.reset();
        (void)run_in_steps({tool, "policy", "remove"}, go_on);
        fs::remove_all(place);
    }

    static AtStep go_on(std::size_t, const Step&) { return AtStep::proceed; }
    static Stepped policy(const std::string& verb, const std::string& file = "") {
        return run_in_steps(words(verb, file), go_on);
    }
    static std::vector<std::string> words(const std::string& verb, const std::string& file) {
        std::vector<std::string> all{tool, "policy", verb};
        if (!file.empty()) all.push_back(place + file);
        return all;
    }
    // Those at which something else begins or ends; all of them in a soak. A hundred alike are one.
    static std::vector<std::size_t> worth_trying(const std::vector<Step>& steps) {
        std::vector<std::size_t> some;
        for (std::size_t i = 0; i < steps.size(); ++i)
            if (soak() || i == 0 || i + 1 == steps.size() || steps[i] != steps[i - 1] || steps[i] != steps[i + 1])
                some.push_back(i);
        return some;
    }

    // By the library: most of what a command takes in a guest is its start.
    void in_force(const std::string& file) {
        const std::vector files{place + file};
        auto read = policy::load(files);
        ASSERT_TRUE(read);
        auto force = enforce::PolicyForce::open();
        ASSERT_TRUE(force) << force.error().text("open");
        const auto numbered = enforce::numbered_domains(force->status()->newest);
        ASSERT_TRUE(numbered) << numbered.error().text("names");
        auto compiled = policy::compile(read->policies, read->diagnostics, *numbered);
        ASSERT_TRUE(compiled);
        const auto applied = enforce::apply_policy(*force, std::move(*compiled), files);
        ASSERT_TRUE(applied) << applied.error().text("apply");
    }
    void old_in_force() {
        in_force("old.toml");
        if (!maker_) maker_ = std::make_unique<Maker>("maker");
        ASSERT_EQ(decides(*maker_), Decides::old_one);
    }

    // Whoever comes next finds what decides, and its names.
    void expect_adopted(Decides decided) {
        auto force = enforce::PolicyForce::adopt();
        if (decided == Decides::none) {
            EXPECT_TRUE(!force || force->status()->generation == 0);
            return;
        }
        ASSERT_TRUE(force) << force.error().text("adopt");
        const auto status = force->status();
        ASSERT_TRUE(status);
        ASSERT_NE(status->generation, 0U);
        EXPECT_FALSE(status->rollback_in);
        const auto record = enforce::read_record(status->generation);
        ASSERT_EQ(record.files.size(), 1U) << "no names of generation " << status->generation;
        EXPECT_EQ(record.files[0], place + (decided == Decides::old_one ? "old.toml" : "new.toml"));
    }

    // After the next change: nothing but what it needs.
    void expect_tidy(const std::set<std::string>& pinned, const InKernel& counts) {
        EXPECT_EQ(names_in(pins), pinned);
        const auto status = enforce::PolicyForce::adopt().value().status().value();
        std::set<std::string> wanted{std::to_string(status.generation) + ".json"};
        if (status.before) wanted.insert(std::to_string(status.before) + ".json");
        EXPECT_EQ(names_in(records), wanted);
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (in_kernel() != counts && std::chrono::steady_clock::now() < end)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        EXPECT_EQ(in_kernel(), counts);
    }

    // Once there have been two policies, so that each change later is alike.
    void begin() {
        old_in_force();
        in_force("new.toml");
        old_in_force();
        pinned_ = names_in(pins);
        counts_ = in_kernel();
    }

    std::unique_ptr<Maker> maker_;
    std::set<std::string> pinned_;
    InKernel counts_;
};

TEST_F(Steps, AnApplyThatIsKilledOrRefusedAnywhere) {
    begin();
    const auto whole = policy("apply", "new.toml");
    ASSERT_EQ(whole.status, 0) << whole.output;
    ASSERT_EQ(decides(*maker_), Decides::new_one);
    std::set<Decides> met;
    old_in_force();
    for (const auto action : {AtStep::kill, AtStep::fail})
        for (const auto at : worth_trying(whole.steps)) {
            SCOPED_TRACE((action == AtStep::kill ? "killed at " : "refused at ") + std::to_string(at) + ": " +
                         whole.steps[at]);
            if (action == AtStep::fail && (whole.steps[at] == said_step || (!soak() && at % 2))) continue;
            const auto run = run_in_steps(words("apply", "new.toml"), [&](std::size_t number, const Step&) {
                return number == at ? action : AtStep::proceed;
            });
            const auto now = decides(*maker_);
            EXPECT_TRUE(now == Decides::old_one || now == Decides::new_one) << now;
            met.insert(now);
            if (action == AtStep::kill) {
                EXPECT_EQ(run.status, 128 + SIGKILL) << run.output;
                expect_adopted(now);
            } else if (run.status == 0) {
                EXPECT_EQ(now, Decides::new_one) << "it says that it worked";
            } else {
                EXPECT_EQ(now, Decides::old_one) << "it says that it failed: " << run.output;
                EXPECT_FALSE(run.output.empty());
                expect_adopted(now);
            }
            old_in_force();
            expect_tidy(pinned_, counts_);
        }
    EXPECT_EQ(met.size(), 2U) << "steps before the switch, and after it";

    // One that does not fit beside the old one, and one with a program that the kernel does not take.
    std::ofstream many(place + "many.toml"), more(place + "more.toml");
    more << policy_of("maker", "two") << "[[rule]]\ndeny = [\"symlink\"]\npaths = [\"/run/none\"]\n";
    many << "format = 1\nname = \"many\"\n";
    for (int i = 0; i < 256; ++i)
        many << "[[domain]]\nname = \"d" << i << "\"\nenter = [ { exe = \"/run/none" << i << "\" } ]\n";
    many.close();
    more.close();
    const auto too_many = policy("apply", "many.toml");
    EXPECT_NE(too_many.status, 0);
    EXPECT_TRUE(too_many.output.contains("domains")) << too_many.output;
    EXPECT_EQ(decides(*maker_), Decides::old_one);
    const auto refused = run_in_steps(words("apply", "more.toml"), [](std::size_t, const Step& step) {
        return step == "bpf PROG_LOAD" ? AtStep::fail : AtStep::proceed;
    });
    EXPECT_NE(refused.status, 0);
    EXPECT_TRUE(refused.output.contains("the kernel refuses the policy's programs")) << refused.output;
    EXPECT_EQ(decides(*maker_), Decides::old_one);
    expect_adopted(Decides::old_one);
    EXPECT_EQ(policy("apply", "more.toml").status, 0) << "the control";
}

TEST_F(Steps, ARollbackThatIsKilledAnywhere) {
    begin();
    in_force("new.toml");
    const auto whole = policy("rollback");
    ASSERT_EQ(whole.status, 0) << whole.output;
    ASSERT_EQ(decides(*maker_), Decides::old_one);
    for (const auto at : worth_trying(whole.steps)) {
        SCOPED_TRACE("killed at " + std::to_string(at) + ": " + whole.steps[at]);
        old_in_force();
        ASSERT_EQ(policy("apply", "new.toml").status, 0);
        EXPECT_EQ(
            run_in_steps(words("rollback", ""),
                         [&](std::size_t number, const Step&) { return number == at ? AtStep::kill : AtStep::proceed; })
                .status,
            128 + SIGKILL);
        const auto now = decides(*maker_);
        EXPECT_TRUE(now == Decides::old_one || now == Decides::new_one) << now;
        expect_adopted(now);
        in_force("new.toml");
        EXPECT_EQ(decides(*maker_), Decides::new_one);
        expect_tidy(pinned_, counts_);
    }
    // A confirmation is one write into memory: there is nothing between its steps.
    ASSERT_EQ(run_in_steps({tool, "policy", "apply", "--confirm-within", "1h", place + "old.toml"}, go_on).status, 0);
    const auto confirmed = policy("confirm");
    EXPECT_EQ(confirmed.status, 0);
    EXPECT_TRUE(confirmed.steps.empty()) << confirmed.steps.front();
}

// From nothing, and to nothing. Each begins with all programs being verified, so only some steps are tried but in a
// soak.
TEST_F(Steps, AFirstApplyAndARemovalThatAreKilledAnywhere) {
    begin();
    const auto before = in_kernel();
    const auto removed = policy("remove");
    ASSERT_EQ(removed.status, 0) << removed.output;
    EXPECT_EQ(decides(*maker_), Decides::none);
    const auto whole = policy("apply", "old.toml");
    ASSERT_EQ(whole.status, 0) << whole.output;
    const auto sample = [](const std::vector<Step>& steps, std::size_t most) {
        auto some = worth_trying(steps);
        if (soak()) return some;
        std::vector<std::size_t> few;
        for (std::size_t i = 0; i < most; ++i) few.push_back(some[(some.size() * (2 * i + 1)) / (2 * most)]);
        return few;
    };
    for (const auto at : sample(removed.steps, 2)) {
        SCOPED_TRACE("removal killed at " + std::to_string(at) + ": " + removed.steps[at]);
        maker_.reset();
        old_in_force();
        EXPECT_EQ(
            run_in_steps(words("remove", ""),
                         [&](std::size_t number, const Step&) { return number == at ? AtStep::kill : AtStep::proceed; })
                .status,
            128 + SIGKILL);
        const auto now = decides(*maker_);
        EXPECT_TRUE(now == Decides::old_one || now == Decides::none) << now;
        expect_adopted(now);
    }
    (void)policy("remove");  // if the last one did not come to the end of it
    for (const auto at : sample(whole.steps, 3)) {
        SCOPED_TRACE("first apply killed at " + std::to_string(at) + ": " + whole.steps[at]);
        std::size_t removals = 0;  // what the one before left is removed first, in steps of its own
        const auto run = run_in_steps(words("apply", "old.toml"), [&](std::size_t number, const Step& step) {
            if (removals == number && step == "unlink") ++removals;
            return number == at + removals ? AtStep::kill : AtStep::proceed;
        });
        EXPECT_EQ(run.status, 128 + SIGKILL) << run.output;
        Maker fresh("maker");
        const auto now = decides(fresh);
        EXPECT_TRUE(now == Decides::old_one || now == Decides::none) << now;
        expect_adopted(now);
    }
    maker_.reset();
    old_in_force();
    in_force("new.toml");
    old_in_force();
    expect_tidy(pinned_, before);
}

}  // namespace
}  // namespace bpfwarden::test
