// SPDX-License-Identifier: Apache-2.0
// A seal, its end, and what changes under it, killed at each of their steps: the policy decides throughout, and what
// comes next works.
#include <algorithm>
#include <filesystem>
#include <map>

#include <fmt/format.h>

#include "enforce/kernel_links.hpp"
#include "vm/guard_guest.hpp"
#include "vm/guard_programs.hpp"
#include "vm/steps.hpp"

#include <bpf/bpf.h>
#include <unistd.h>

namespace bpfwarden::test {
namespace {

bool soak() { return std::getenv("BPFWARDEN_SOAK") != nullptr; }

// The third "unlink".
using Point = std::pair<Step, unsigned>;

class GuardSteps : public GuardGuest {
  protected:
    static void SetUpTestSuite() {
        if (in_one()) GuardGuest::SetUpTestSuite();
    }
    void SetUp() override {
        if (!emulated()) GTEST_SKIP() << "runs in guests of tools/lab";
        if (!in_one()) GTEST_SKIP() << "one guest of the three runs this (make soak runs it in each)";
        GuardGuest::SetUp();
    }
    void TearDown() override {
        if (in_one()) GuardGuest::TearDown();
    }
    // Where pins hold everything, and where threads of the kernel do.
    static bool in_one() {
        return emulated() && (soak() || std::string_view(std::getenv("BPFWARDEN_KERNEL")) != "edge");
    }

    static Words words(Words more) {
        more.insert(more.begin(), tool);
        return more;
    }
    // Where something else begins or ends, and of those as many as there is time for: all of them in a soak.
    static std::vector<Point> points(const Words& command, std::size_t most) {
        std::vector<Step> steps;
        const auto whole = run_in_steps(words(command), [&](std::size_t, const Step& step) {
            steps.push_back(step);
            return AtStep::proceed;
        });
        EXPECT_EQ(whole.status, 0) << whole.output;
        std::vector<Point> some, few;
        std::map<Step, unsigned> seen;
        for (std::size_t i = 0; i < steps.size(); ++i) {
            const auto number = ++seen[steps[i]];
            if (soak() || i == 0 || i + 1 == steps.size() || steps[i] != steps[i - 1] || steps[i] != steps[i + 1])
                some.emplace_back(steps[i], number);
        }
        // There each seal has the policy's programs verified once more.
        if (enforce::kernel_can_hold()) most = std::max<std::size_t>(3, most / 2);
        if (soak() || some.size() <= most) return some;
        for (std::size_t i = 0; i < most; ++i) few.push_back(some[(some.size() - 1) * i / (most - 1)]);
        return few;
    }
    static int killed_at(const Words& command, const Point& point) {
        std::map<Step, unsigned> seen;
        return run_in_steps(words(command),
                            [&](std::size_t, const Step& step) {
                                return step == point.first && ++seen[step] == point.second ? AtStep::kill
                                                                                           : AtStep::proceed;
                            })
            .status;
    }
    // Either way: the policy decides, and can be asked about; nobody waits for who has died.
    static void expect_whole() {
        EXPECT_TRUE(decides("both"));
        const auto asked = run({"policy", "status"});
        EXPECT_EQ(asked.status, 0) << asked;
        const UniqueFd map(::bpf_map_create(BPF_MAP_TYPE_ARRAY, "others", 4, 4, 1, nullptr));
        bpf_map_info info{};
        __u32 size = sizeof info;
        ASSERT_EQ(::bpf_obj_get_info_by_fd(map.get(), &info, &size), 0);
        EXPECT_EQ(as_other([&] { return status_of(::bpf_map_get_fd_by_id(info.id)); }), 0) << "somebody else's object";
        if (sealed()) {
            const UniqueFd images(::bpf_obj_get((std::string(enforce::sealed_policy) + "/images").c_str()));
            EXPECT_TRUE(images) << "the updater";
            EXPECT_EQ(as_other([] {
                          return status_of(::bpf_obj_get((std::string(enforce::sealed_policy) + "/images").c_str()));
                      }),
                      EPERM);
        } else {
            EXPECT_TRUE(names_in(enforce::unsealed_policy).contains("images"));
        }
    }
};

const Words sealing{"guard", "seal", "--updater", "cap:mac_admin"};

TEST_F(GuardSteps, ASeal) {
    const auto some = points(sealing, 9);
    unseal();
    bool was_sealed = false, was_not = false;
    for (const auto& point : some) {
        SCOPED_TRACE(fmt::format("killed at {} {}", point.first, point.second));
        // What the one before has left is the beginning of this.
        EXPECT_EQ(killed_at(sealing, point), 128 + SIGKILL);
        expect_whole();
        const bool now = sealed();
        (now ? was_sealed : was_not) = true;
        if (now) unseal();
    }
    EXPECT_TRUE(was_sealed);
    EXPECT_TRUE(was_not);
    seal();
    expect_in_force();
    EXPECT_EQ(status()["core"].size(), 8U) << "none twice";
    unseal();
    EXPECT_FALSE(is_mounted(enforce::sealed_tmpfs));
}

TEST_F(GuardSteps, TheEndOfASeal) {
    seal();
    const Words unsealing{"guard", "unseal"};
    const auto some = points(unsealing, 6);
    for (const auto& point : some) {
        SCOPED_TRACE(fmt::format("killed at {} {}", point.first, point.second));
        seal();
        EXPECT_EQ(killed_at(unsealing, point), 128 + SIGKILL);
        expect_whole();
        if (sealed()) unseal();
    }
    seal();
    expect_in_force();
}

TEST_F(GuardSteps, ChangesUnderASeal) {
    const auto others = RefusesSyslog::make();
    const char* pin = "/sys/fs/bpf/others";
    ASSERT_EQ(::bpf_obj_pin(others.link.get(), pin), 0);
    seal();
    for (const auto& [command, most] : {std::pair<Words, std::size_t>{{"guard", "protect", "--pin", pin}, 5},
                                        {{"policy", "apply", new_policy}, 8},
                                        {{"guard", "update"}, 6}}) {
        for (const auto& point : points(command, most)) {
            SCOPED_TRACE(fmt::format("{} {} killed at {} {}", command[0], command[1], point.first, point.second));
            EXPECT_EQ(killed_at(command, point), 128 + SIGKILL);
            EXPECT_TRUE(sealed());
            expect_whole();
        }
        EXPECT_EQ(run(command).status, 0);
    }
    const auto held = enforce::held_by_kernel();
    ASSERT_TRUE(held);
    const auto things = sealed_things();
    for (const auto& link : *held)
        EXPECT_TRUE(things.contains(fmt::format("link:{}", link.link))) << "left by the dead";
    EXPECT_EQ(status()["held_by_kernel"].size(), held->size());
    EXPECT_TRUE(decides("two"));
    EXPECT_EQ(as_other([&] { return status_of(::unlink(pin)); }), EPERM);
    unseal();
    EXPECT_EQ(::unlink(pin), 0);
    old_in_force();
}

}  // namespace
}  // namespace bpfwarden::test
