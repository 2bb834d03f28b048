// SPDX-License-Identifier: Apache-2.0
// Profiles mean what they mean with libseccomp, used as runc uses it: the program that it makes is run beside our
// function.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "bytecode/classic.hpp"
#include "filter/action.hpp"
#include "filter/libseccomp.hpp"
#include "filter/profile.hpp"

namespace bpfwarden::filter {
namespace {

using nlohmann::json;

// The newest kernel whose calls libseccomp 2.5.4, Debian 12's, knows.
constexpr Kernel library_kernel = {5, 17};

struct Grid {
    std::vector<std::uint64_t> values;
    std::size_t inputs = 0;       // looked at
    std::string difference = {};  // the first
};

// Each value that the profile compares with, and what is near it or has another upper half.
std::vector<std::uint64_t> boundaries(const json& profile) {
    std::set<std::uint64_t> values = {0, 1, 0xffffffff, 0x100000000, ~std::uint64_t{0}};
    for (const auto& entry : profile.value("syscalls", json::array())) {
        if (!entry.contains("args") || entry["args"].is_null()) continue;
        for (const auto& arg : entry["args"])
            for (const char* key : {"value", "valueTwo"}) {
                const auto value = arg.value(key, std::uint64_t{0});
                for (const std::uint64_t one : {value, value - 1, value + 1, value ^ 0x100000000,
                                                value << 32 | value >> 32, value & 0xffffffff, ~value})
                    values.insert(one);
            }
    }
    return {values.begin(), values.end()};
}

void compare(const Profile& ours, const std::vector<sock_filter>& theirs, const Data& data, Grid& grid) {
    ++grid.inputs;
    const auto mine = ours.function.evaluate(data), other = normalized(bytecode::run(theirs, data.words).result);
    if (mine == other || !grid.difference.empty()) return;
    grid.difference = "arch " + std::to_string(data[Word::arch]) + " nr " + std::to_string(data[Word::nr]);
    for (unsigned i = 0; i < 6; ++i) grid.difference += " " + std::to_string(data.arg(i));
    grid.difference += ": ours " + text(mine) + ", libseccomp " + text(other);
}

// Every number of the tables and their neighbours, and what is no call.
std::vector<std::uint32_t> numbers_of(Abi abi) {
    std::set<std::uint32_t> numbers = {0xffffffff, 0xfffffffe, 0x80000000, x32_bit - 1, x32_bit, 0x7fffffff, 5000};
    for (const std::uint32_t number : all_numbers(abi)) {
        // The library does not know it, or not on this architecture.
        if (introduced(abi, number).value() > library_kernel) continue;
        for (const std::uint32_t near : {number, number + 1, number ^ x32_bit})
            if (const auto since = introduced(abi, near); !since || *since <= library_kernel) numbers.insert(near);
    }
    return {numbers.begin(), numbers.end()};
}

Grid compare_on_grid(const Profile& ours, const std::vector<sock_filter>& theirs, const json& profile,
                     std::mt19937_64& random, const std::vector<std::string>& names) {
    Grid grid{boundaries(profile)};
    const auto pick = [&] { return grid.values[random() % grid.values.size()]; };
    std::set<std::uint32_t> arches = {0, AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM};
    for (const Abi abi : all_abis) {
        Data data;
        data[Word::arch] = audit_arch(abi);
        for (const std::uint32_t number : numbers_of(abi)) {
            data[Word::nr] = number;
            for (unsigned i = 0; i < 6; ++i) data.set_arg(i, random() % 2 == 0 ? 0 : pick());
            compare(ours, theirs, data, grid);
        }
        // Arguments of the calls that the profile checks, and of those they are behind on i386.
        for (const auto& name : names) {
            const auto number = number_of(abi, name, library_kernel);
            if (!number) continue;
            data[Word::nr] = *number;
            for (unsigned i = 0; i < 6; ++i)
                for (const std::uint64_t value : grid.values) {
                    for (unsigned k = 0; k < 6; ++k) data.set_arg(k, pick());
                    data.set_arg(i, value);
                    compare(ours, theirs, data, grid);
                    if (abi == Abi::i386) {
                        // As the kernel sees it: no upper halves.
                        for (unsigned k = 0; k < 6; ++k) data.set_arg(k, data.arg(k) & 0xffffffff);
                        compare(ours, theirs, data, grid);
                    }
                }
        }
    }
    for (const std::uint32_t arch : arches) {
        Data data;
        data[Word::arch] = arch;
        for (const std::uint32_t number : {0U, 1U, 41U, 0xffffffffU, x32_bit}) {
            data[Word::nr] = number;
            compare(ours, theirs, data, grid);
        }
    }
    return grid;
}

std::vector<std::string> checked_names(const json& profile) {
    std::set<std::string> names;
    for (const auto& entry : profile.value("syscalls", json::array()))
        if (entry.contains("args") && !entry["args"].is_null() && !entry["args"].empty())
            for (const auto& name : entry["names"]) {
                names.insert(name.get<std::string>());
                if (const auto through = multiplexed(Abi::i386, name.get<std::string>()))
                    names.insert(std::string(name_of(Abi::i386, through->number)));
            }
    return {names.begin(), names.end()};
}

struct Case {
    std::string name;
    Abi native = Abi::x86_64;
    std::vector<std::string> capabilities;
    int level = 1;
};

// Debian's golang-github-containers-common: what Podman and Buildah use when nothing else is given.
class ContainerDefault : public testing::TestWithParam<Case> {};

TEST_P(ContainerDefault, IsWhatLibseccompMakesOfIt) {
    std::ifstream file("/usr/share/containers/seccomp.json");
    ASSERT_TRUE(file) << "run tools/deps";
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    ProfileOptions options{.native = GetParam().native, .capabilities = GetParam().capabilities};
    options.same_argument = SameArgument::any;
    const auto ours = read_profile(text, options);
    ASSERT_TRUE(ours) << ours.error().text("");
    EXPECT_EQ(ours->abis.size(), options.native == Abi::x86_64 ? 3U : 1U);
    const auto theirs = libseccomp::build(text, options, ours->abis, GetParam().level);
    ASSERT_TRUE(theirs) << theirs.error();
    ASSERT_TRUE(bytecode::check(*theirs));
    std::mt19937_64 random(1);
    const auto profile = json::parse(text);
    const auto grid = compare_on_grid(*ours, *theirs, profile, random, checked_names(profile));
    EXPECT_EQ(grid.difference, "");
    EXPECT_GT(grid.inputs, 5000U);
}

INSTANTIATE_TEST_SUITE_P(
    All, ContainerDefault,
    testing::Values(Case{"plain"}, Case{.name = "plain_tree", .level = 2},
                    Case{.name = "audit", .capabilities = {"CAP_AUDIT_WRITE"}},
                    Case{.name = "admin_tree",
                         .capabilities = {"CAP_SYS_ADMIN", "CAP_BPF", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE"},
                         .level = 2},
                    Case{"arm", Abi::aarch64}, Case{.name = "arm_tree", .native = Abi::aarch64, .level = 2}),
    [](const auto& one) { return one.param.name; });

// Profiles at random. In `agree`, each call's rules with conditions have one action: what a profile means is then
// beyond doubt. Else they overlap and contradict each other.
class RandomProfile {
  public:
    RandomProfile(std::uint64_t seed, bool agree) : random_(seed), agree_(agree) {}

    json make() {
        json profile = {
            {"defaultAction", pick({"SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_ALLOW", "SCMP_ACT_TRACE"})},
            {"syscalls", json::array()}};
        const auto rules = 1 + random_() % 12;
        for (std::size_t i = 0; i < rules; ++i) profile["syscalls"].push_back(rule());
        return profile;
    }
    std::mt19937_64& random() { return random_; }

  private:
    template <class T>
    T pick(std::initializer_list<T> list) {
        return *(list.begin() + random_() % list.size());
    }
    std::uint64_t value() {
        switch (random_() % 4) {
            case 0:
                return random_() % 4;
            case 1:
                return pick<std::uint64_t>(
                    {0xffffffff, 0x100000000, 0x100000001, 0x80000000, 0x7fffffff, ~std::uint64_t{0}, 0x200000000});
            case 2:
                return (random_() % 3) << 32 | random_() % 3;
            default:
                return random_();
        }
    }
    std::string name() {
        return pick({"socket", "personality", "clone", "read", "ioctl", "prctl", "semop", "msgctl", "accept4", "mmap",
                     "openat", "socketcall", "ipc", "_llseek", "rt_sigaction", "arch_prctl", "recv", "open"});
    }
    json rule() {
        json made = {{"names", json::array({name()})}};
        if (random_() % 4 == 0) made["names"].push_back(name());
        std::string action =
            pick({"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"});
        if (agree_) action = action_;
        made["action"] = action;
        if (action == "SCMP_ACT_ERRNO") made["errnoRet"] = agree_ ? 7 : static_cast<int>(random_() % 3 + 2);
        if (random_() % 8 == 0) return made;
        made["args"] = json::array();
        const auto count = 1 + random_() % 3;
        for (std::size_t i = 0; i < count; ++i) made["args"].push_back(argument());
        return made;
    }
    json argument() {
        json made = {{"index", random_() % 3 == 0 ? random_() % 6 : random_() % 2}, {"value", value()}};
        made["op"] = pick({"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",
                           "SCMP_CMP_MASKED_EQ"});
        if (made["op"] == "SCMP_CMP_MASKED_EQ") made["valueTwo"] = value();
        return made;
    }
    std::mt19937_64 random_;
    bool agree_;
    std::string action_ = "SCMP_ACT_ERRNO";
};

std::size_t count_from(const char* name, std::size_t otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? static_cast<std::size_t>(std::strtoul(text, nullptr, 10)) : otherwise;
}

struct Tally {
    std::size_t compared = 0, refused = 0, different = 0;
};

Tally compare_random(bool agree, std::uint64_t seed, std::size_t count, bool report) {
    Tally tally;
    for (std::size_t i = 0; i < count; ++i) {
        RandomProfile maker(seed + i, agree);
        const auto profile = maker.make();
        const auto text = profile.dump();
        ProfileOptions options{.native = Abi::x86_64, .same_argument = SameArgument::any};
        if (i % 3 != 0) options.abis = {Abi::x86_64, Abi::i386, Abi::aarch64};
        if (i % 3 == 1) options.abis.push_back(Abi::x32);
        const auto ours = read_profile(text, options);
        const auto theirs = libseccomp::build(
            text, options, options.abis.empty() ? std::vector{Abi::x86_64} : options.abis, i % 2 == 0 ? 1 : 2);
        if (!ours || !theirs) {
            ++tally.refused;
            if (agree)
                ADD_FAILURE() << "refused: "
                              << (ours ? "by libseccomp " + std::to_string(theirs.error()) : ours.error().text(""))
                              << "\n"
                              << text;
            continue;
        }
        ++tally.compared;
        const auto grid = compare_on_grid(*ours, *theirs, profile, maker.random(), checked_names(profile));
        if (grid.difference.empty()) continue;
        ++tally.different;
        if (report) ADD_FAILURE() << "seed " << seed + i << ": " << grid.difference << "\n" << text;
    }
    return tally;
}

TEST(RandomProfiles, AreWhatLibseccompMakesOfThem) {
    const auto seed = count_from("BPFWARDEN_PROFILE_SEED", 1), count = count_from("BPFWARDEN_PROFILES", 300);
    const auto tally = compare_random(true, seed, count, true);
    EXPECT_GE(tally.compared, count);
}

TEST(RandomProfiles, ThatContradictThemselves) {
    const auto seed = count_from("BPFWARDEN_PROFILE_SEED", 1), count = count_from("BPFWARDEN_PROFILES", 300);
    const auto tally = compare_random(false, seed, count, true);
    EXPECT_GE(tally.compared, count / 3) << tally.refused;
}

}  // namespace
}  // namespace bpfwarden::filter
