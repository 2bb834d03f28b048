// SPDX-License-Identifier: Apache-2.0
// Profiles mean what they mean with libseccomp, used as runc uses it: the program that it makes is run beside our
// function.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <stdexcept>

#include "bytecode/classic.hpp"
#include "filter/action.hpp"
#include "filter/profile.hpp"
#include "unit/filter/libseccomp.hpp"
#include "unit/filter/libseccomp_pseudo.hpp"
#include "unit/filter/rounds.hpp"

namespace bpfwarden::filter {
namespace {

using nlohmann::json;

// The newest kernel whose calls libseccomp 2.5.4, Debian 12's, knows.
constexpr Kernel library_kernel = {5, 17};

// Ours beside what libseccomp made.
class Comparison {
  public:
    // What a call of the filter's must get.
    using Oracle = std::function<std::uint32_t(Abi, const Data&)>;
    Comparison(const Profile& ours, const libseccomp::Made& theirs, Oracle oracle = {})
        : ours_(ours), theirs_(theirs), oracle_(std::move(oracle)) {
        if (!oracle_)
            oracle_ = [pseudo = libseccomp::Pseudo(theirs.pseudo_code)](Abi abi, const Data& data) {
                return normalized(pseudo.run(abi, data));
            };
    }

    void compare(const Data& data) {
        ++inputs;
        const auto mine = ours_.function.evaluate(data),
                   other = normalized(bytecode::run(theirs_.program, data.words).result);
        if (inputs % 16 == 0) explain(data, mine);
        if (mine == other) return;
        ++different;
        if (first_difference.empty()) first_difference = describe(data, mine, "libseccomp", other);
    }
    // A call of the filter's. Where the program is not what libseccomp's own pseudo code says, that is not our
    // difference.
    void compare(Abi abi, const Data& data) {
        const auto mine = ours_.function.evaluate(data), meant = oracle_(abi, data);
        if (mine != meant) {
            ++different;
            if (first_difference.empty()) first_difference = describe(data, mine, "meant is", meant);
        } else if (normalized(bytecode::run(theirs_.program, data.words).result) != meant) {
            ++inputs;
            ++miscompiled;
        } else {
            compare(data);
        }
    }

    std::size_t inputs = 0, different = 0, miscompiled = 0;
    std::string first_difference;

  private:
    // The rule that is named as the one that decides has that action.
    void explain(const Data& data, std::uint32_t mine) {
        const auto last = ours_.rules->steps(data, mine).back().text;
        if (last.ends_with(filter::text(mine))) return;
        ++different;
        if (first_difference.empty()) first_difference = describe(data, mine, "explained as", 0) + ": " + last;
    }
    static std::string describe(const Data& data, std::uint32_t mine, const char* what, std::uint32_t other) {
        std::string text = "arch " + std::to_string(data[Word::arch]) + " nr " + std::to_string(data[Word::nr]);
        for (unsigned i = 0; i < 6; ++i) text += " " + std::to_string(data.arg(i));
        return text + ": ours " + filter::text(mine) + ", " + what + " " + filter::text(other);
    }
    const Profile& ours_;
    const libseccomp::Made& theirs_;
    Oracle oracle_;
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

// Of one argument of one call.
constexpr std::size_t max_values = 80;

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

void compare_on_grid(Comparison& comparison, const Profile& ours, const json& profile, std::mt19937_64& random,
                     const std::vector<std::string>& names) {
    const auto values = boundaries(profile);
    const auto pick = [&] { return values[random() % values.size()]; };
    for (const Abi abi : all_abis) {
        Data data;
        data[Word::arch] = audit_arch(abi);
        for (const std::uint32_t number : numbers_of(abi)) {
            data[Word::nr] = number;
            const auto is_of = [&](Abi one) {
                return audit_arch(one) == audit_arch(abi) && !name_of(one, number).empty();
            };
            const auto at = std::ranges::find_if(ours.abis, is_of);
            if (at != ours.abis.end())
                comparison.compare(*at, data);
            else
                comparison.compare(data);
        }
        if (std::ranges::find(ours.abis, abi) == ours.abis.end()) continue;
        // Arguments of the calls that the profile checks, and of those they are behind on i386.
        for (const auto& name : names) {
            const auto number = number_of(abi, name, library_kernel);
            if (!number) continue;
            data[Word::nr] = *number;
            for (unsigned i = 0; i < 6; ++i)
                for (std::size_t n = 0; n < std::min(values.size(), max_values); ++n) {
                    for (unsigned k = 0; k < 6; ++k) data.set_arg(k, pick());
                    data.set_arg(i, values.size() <= max_values ? values[n] : pick());
                    comparison.compare(abi, data);
                }
        }
    }
    for (const auto arch : std::initializer_list<std::uint32_t>{0, AUDIT_ARCH_ARM, AUDIT_ARCH_S390}) {
        Data data;
        data[Word::arch] = arch;
        for (const std::uint32_t number : {0U, 1U, 41U, 0xffffffffU, x32_bit}) {
            data[Word::nr] = number;
            comparison.compare(data);
        }
    }
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
    ASSERT_TRUE(bytecode::check(theirs->program));
    std::mt19937_64 random(1);
    const auto profile = json::parse(text);
    Comparison comparison(*ours, *theirs);
    compare_on_grid(comparison, *ours, profile, random, checked_names(profile));
    EXPECT_EQ(comparison.first_difference, "");
    EXPECT_EQ(comparison.miscompiled, 0U);
    EXPECT_GT(comparison.inputs, 3000U);
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

// What runc puts before a filter: numbers above the largest that the profile names for an architecture get ENOSYS.
// Where both ABIs of x86-64 are in the profile, bit 30 says which of the two is meant.
std::vector<sock_filter> runc_stub(const Profile& profile, const json& document, Kernel library) {
    std::vector<sock_filter> stub;
    for (const Abi abi : profile.abis) {
        std::uint32_t largest = 0;
        for (const auto& entry : document["syscalls"])
            for (const auto& name : entry["names"])
                if (const auto number = number_of(abi, name.get<std::string>(), library))
                    largest = std::max(largest, *number);
        const bool shared = audit_arch(abi) == AUDIT_ARCH_X86_64;
        stub.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4));
        stub.push_back(
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, audit_arch(abi), 0, static_cast<std::uint8_t>(shared ? 4 : 3)));
        stub.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0));
        if (shared && abi == Abi::x86_64) stub.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, x32_bit, 2, 0));
        if (shared && abi == Abi::x32) stub.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, x32_bit, 0, 2));
        stub.push_back(BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, largest, 0, 1));
        stub.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
    }
    return stub;
}

// --enosys above is that, but for -1, which a tracer writes to skip a call.
TEST(RuncStub, IsEnosysAbove) {
    std::ifstream file("/usr/share/containers/seccomp.json");
    ASSERT_TRUE(file) << "run tools/deps";
    auto document = json::parse(std::string{std::istreambuf_iterator<char>(file), {}});
    // Podman's default is ENOSYS itself; with Docker's it shows what the stub does.
    document.erase("defaultErrno");
    document["defaultErrnoRet"] = EPERM;
    const auto text = document.dump();
    for (const Abi native : {Abi::x86_64, Abi::aarch64}) {
        ProfileOptions options{.native = native, .same_argument = SameArgument::any};
        const auto plain = read_profile(text, options);
        options.no_rule = NoRule::enosys_above;
        const auto above = read_profile(text, options);
        ASSERT_TRUE(plain && above);
        const auto theirs = libseccomp::build(text, options, above->abis, 1);
        ASSERT_TRUE(theirs) << theirs.error();
        auto runc = runc_stub(*above, document, library_kernel);
        runc.insert(runc.end(), theirs->program.begin(), theirs->program.end());
        ASSERT_TRUE(bytecode::check(runc));
        for (const Abi abi : above->abis) {
            const std::uint32_t bit = abi == Abi::x32 ? x32_bit : 0;
            std::vector<std::uint32_t> numbers;
            for (std::uint32_t number = 0; number < 1200; ++number) numbers.push_back(bit | number);
            for (const std::uint32_t number : {5000U, 0x10000U, 0x3ffffffeU, 0x3fffffffU})
                numbers.push_back(bit | number);
            std::size_t enosys = 0;
            Data data;
            data[Word::arch] = audit_arch(abi);
            const auto runcs = [&] { return normalized(bytecode::run(runc, data.words).result); };
            const auto without = [&] { return normalized(bytecode::run(theirs->program, data.words).result); };
            for (const auto number : numbers) {
                // What the library does not know decides nothing about the profile's largest.
                if (const auto since = introduced(abi, number); since && *since > library_kernel) continue;
                data[Word::nr] = number;
                EXPECT_EQ(above->function.evaluate(data), runcs()) << filter::text(abi) << " " << number;
                EXPECT_EQ(plain->function.evaluate(data), without()) << filter::text(abi) << " " << number;
                if (runcs() == without()) continue;
                ++enosys;
                EXPECT_EQ(runcs(), error_of(ENOSYS));
                EXPECT_EQ(without(), error_of(EPERM)) << "the control";
            }
            EXPECT_GT(enosys, 500U) << filter::text(abi);
            // -1: ours is the default action; runc's stub takes it for a large number, where x32 or no bit is asked
            // for.
            data[Word::nr] = 0xffffffff;
            EXPECT_EQ(above->function.evaluate(data), error_of(EPERM));
            EXPECT_EQ(runcs(), error_of(ENOSYS));
            EXPECT_EQ(without(), error_of(EPERM));
        }
    }
}

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

// A profile whose rules all have one action, read word for word: the action if a rule fits.
std::uint32_t plain_reading(const json& profile, Abi abi, const Data& data) {
    const auto fits = [&](const json& arg) {
        const std::uint64_t cut = abi == Abi::x86_64 || abi == Abi::aarch64 ? ~std::uint64_t{0} : 0xffffffff;
        const auto have = data.arg(arg["index"].get<unsigned>()) & cut, value = arg["value"].get<std::uint64_t>() & cut;
        const auto op = arg["op"].get<std::string>().substr(9);
        if (op == "NE") return have != value;
        if (op == "EQ") return have == value;
        if (op == "LT") return have < value;
        if (op == "LE") return have <= value;
        if (op == "GT") return have > value;
        if (op == "GE") return have >= value;
        return (have & value) == (arg["valueTwo"].get<std::uint64_t>() & value);
    };
    // `behind`: the call is behind another one, with a selector as argument 0.
    const auto rule_fits = [&](const json& args, bool behind) {
        const auto one = [&](const json& arg) { return (behind && arg["index"] == 0) || fits(arg); };
        std::set<unsigned> indices;
        for (const auto& arg : args) indices.insert(arg["index"].get<unsigned>());
        return indices.size() < args.size() ? std::any_of(args.begin(), args.end(), one)
                                            : std::all_of(args.begin(), args.end(), one);
    };
    for (const auto& entry : profile["syscalls"])
        for (const auto& name : entry["names"]) {
            const auto args = entry.value("args", json::array());
            const auto number = number_of(abi, name.get<std::string>());
            if (number && *number == data[Word::nr] && rule_fits(args, false))
                return libseccomp::action(entry["action"], entry, "errnoRet");
            const auto through = multiplexed(abi, name.get<std::string>());
            if (through && through->number == data[Word::nr] && through->selector == data[Word::arg0_low] &&
                rule_fits(args, true))
                return libseccomp::action(entry["action"], entry, "errnoRet");
        }
    return libseccomp::action(profile["defaultAction"], profile, "defaultErrnoRet");
}

// Of all rules for that number.
std::set<std::uint32_t> actions_of(const json& profile, Abi abi, std::uint32_t number) {
    std::set<std::uint32_t> actions;
    for (const auto& entry : profile["syscalls"])
        for (const auto& name : entry["names"]) {
            const auto direct = number_of(abi, name.get<std::string>());
            const auto through = multiplexed(abi, name.get<std::string>());
            if ((direct && *direct == number) || (through && through->number == number))
                actions.insert(libseccomp::action(entry["action"], entry, "errnoRet"));
        }
    return actions;
}

struct Tally {
    std::size_t compared = 0, refused = 0, endless = 0, inputs = 0, miscompiled = 0, undecided = 0;
};

Tally compare_random(bool agree, std::uint64_t seed, std::size_t count) {
    Tally tally;
    for (std::size_t i = 0; i < count; ++i) {
        RandomProfile maker(seed + i, agree);
        const auto profile = maker.make();
        const auto text = profile.dump();
        ProfileOptions options{.native = Abi::x86_64, .same_argument = SameArgument::any};
        if ((seed + i) % 3 != 0) options.abis = {Abi::x86_64, Abi::i386, Abi::aarch64};
        if ((seed + i) % 3 == 1) options.abis.push_back(Abi::x32);
        const auto abis = options.abis.empty() ? std::vector{Abi::x86_64} : options.abis;
        const int level = (seed + i) % 2 + 1;
        const auto ours = read_profile(text, options);
        if (!libseccomp::build_ends(text, options, abis, level, 2)) {
            ++tally.endless;
            EXPECT_TRUE(ours) << text;
            continue;
        }
        const auto theirs = libseccomp::build(text, options, abis, level);
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
        Comparison::Oracle oracle;
        // Where a call's rules all have one action it is beyond doubt what they mean, and libseccomp's pseudo code is
        // not always that: it loses a rule beside others with fewer conditions.
        oracle = [&, pseudo = libseccomp::Pseudo(theirs->pseudo_code),
                  alike = std::map<std::pair<Abi, std::uint32_t>, bool>()](Abi abi, const Data& data) mutable {
            if (!agree) {
                const auto [at, is_new] = alike.try_emplace({abi, data[Word::nr]}, false);
                if (is_new) at->second = actions_of(profile, abi, data[Word::nr]).size() == 1;
                if (!at->second) return normalized(pseudo.run(abi, data));
            }
            return plain_reading(profile, abi, data);
        };
        Comparison comparison(*ours, *theirs, oracle);
        compare_on_grid(comparison, *ours, profile, maker.random(), checked_names(profile));
        tally.inputs += comparison.inputs;
        tally.miscompiled += comparison.miscompiled > 0 ? 1 : 0;
        const auto is_overlap = [](const Warning& one) { return one.text.contains("comes first here"); };
        if (comparison.different > 0 && std::ranges::any_of(ours->warnings, is_overlap))
            ++tally.undecided;
        else if (comparison.different > 0)
            ADD_FAILURE() << "seed " << seed + i << ": " << comparison.first_difference << "\n" << text;
    }
    return tally;
}

TEST(RandomProfiles, AreWhatLibseccompMakesOfThem) {
    const auto seed = first_seed(1), count = rounds(300);
    const auto tally = compare_random(true, seed, count);
    EXPECT_EQ(tally.compared + tally.endless, count);
    EXPECT_LE(tally.endless, count / 100);
    EXPECT_EQ(tally.undecided, 0U);
    RecordProperty("inputs", static_cast<int>(tally.inputs));
    RecordProperty("programs that libseccomp got wrong", static_cast<int>(tally.miscompiled));
}

TEST(RandomProfiles, ThatContradictThemselves) {
    const auto seed = first_seed(1), count = rounds(100);
    const auto tally = compare_random(false, seed, count);
    EXPECT_GE(tally.compared, count / 2) << tally.refused;
    // Our order is not quite the library's; the warning is there.
    EXPECT_LE(tally.undecided, count / 20 + 1);
}

// What libseccomp has got wrong, or does still: our function, and as a control that the case is one, Debian 12's
// library.
class KnownBugs : public testing::Test {
  protected:
    struct Verdicts {
        std::uint32_t ours, theirs;
    };
    // `rules`: (action, argument 0, operator, value), for prctl; the default is ERRNO(EPERM).
    struct Rule {
        const char* action;
        unsigned index;
        const char* op;
        std::uint64_t value;
    };
    static Verdicts verdicts(std::initializer_list<Rule> rules, std::initializer_list<std::uint64_t> args) {
        json profile = {{"defaultAction", "SCMP_ACT_ERRNO"}, {"syscalls", json::array()}};
        for (const auto& rule : rules)
            profile["syscalls"].push_back(
                {{"names", {"prctl"}},
                 {"action", std::string("SCMP_ACT_") + rule.action},
                 {"args",
                  {{{"index", rule.index}, {"value", rule.value}, {"op", std::string("SCMP_CMP_") + rule.op}}}}});
        const auto text = profile.dump();
        const ProfileOptions options{.native = Abi::x86_64};
        const auto ours = read_profile(text, options);
        const auto theirs = libseccomp::build(text, options, {Abi::x86_64}, 1);
        if (!ours || !theirs) throw std::runtime_error("refused");
        Data data;
        data[Word::arch] = audit_arch(Abi::x86_64);
        data[Word::nr] = number_of(Abi::x86_64, "prctl").value();
        unsigned index = 0;
        for (const std::uint64_t value : args) data.set_arg(index++, value);
        return {ours->function.evaluate(data), normalized(bytecode::run(theirs->program, data.words).result)};
    }
    static bool is_debian_12s_library() {
        return seccomp_version()->major == 2 && seccomp_version()->minor == 5 && seccomp_version()->micro == 4;
    }
};

// CVE-2019-9893: 64-bit <, <=, >, >= from comparisons of the halves. Mended in 2.4.
TEST_F(KnownBugs, HalvesOfRanges) {
    const std::uint64_t value = 0x500000007;
    for (const std::uint64_t arg : {0ULL, 7ULL, 8ULL, 0x500000006ULL, 0x500000007ULL, 0x500000008ULL, 0x400000009ULL,
                                    0x600000000ULL, 0x4ffffffffULL, ~0ULL}) {
        const std::pair<const char*, bool> operators[] = {
            {"LT", arg < value}, {"LE", arg <= value}, {"GT", arg > value}, {"GE", arg >= value}};
        for (const auto& [op, holds] : operators) {
            const auto [ours, theirs] = verdicts({{"ALLOW", 0, op, value}}, {arg});
            EXPECT_EQ(ours, holds ? allow : error_of(EPERM)) << op << arg;
            EXPECT_EQ(ours, theirs);
        }
    }
}

// GHSA-4q85-33p6-j5g6: of two <, the first rule's action is left for values whose upper half is smaller.
TEST_F(KnownBugs, OverlappingRanges) {
    const auto [ours, theirs] =
        verdicts({{"ALLOW", 0, "LT", 0x100000010}, {"KILL_PROCESS", 0, "LT", 0x100000005}}, {3});
    EXPECT_EQ(ours, std::uint32_t{SECCOMP_RET_KILL_PROCESS});
    if (is_debian_12s_library()) {
        EXPECT_EQ(theirs, allow);
    }
}

// A comparison of the upper half is reached with the lower half in the accumulator: 3 is taken for a large number.
TEST_F(KnownBugs, AccumulatorOfAnotherHalf) {
    const auto [ours, theirs] = verdicts({{"ALLOW", 0, "GT", 0x200000002}, {"ALLOW", 0, "LT", 2}}, {3});
    EXPECT_EQ(ours, error_of(EPERM));
    if (is_debian_12s_library()) {
        EXPECT_EQ(theirs, allow);
    }
}

// A conditional denial of the default action beside what allows is dropped by runtimes; ours says so.
TEST_F(KnownBugs, DenialThatIsDropped) {
    const auto [ours, theirs] = verdicts({{"ERRNO", 0, "EQ", 1}, {"ALLOW", 1, "EQ", 2}}, {1, 2});
    EXPECT_EQ(ours, allow);
    EXPECT_EQ(theirs, allow);
}

// A chain of one call's comparisons becomes a circle, which the library follows for ever.
TEST_F(KnownBugs, NoEnd) {
    const auto text = RandomProfile(1679, true).make().dump();
    const ProfileOptions options{
        .native = Abi::x86_64, .abis = {Abi::x86_64, Abi::i386, Abi::aarch64}, .same_argument = SameArgument::any};
    EXPECT_TRUE(read_profile(text, options));
    if (is_debian_12s_library()) {
        EXPECT_FALSE(libseccomp::build_ends(text, options, options.abis, 2, 1));
    }
}

// The library takes them for one architecture only.
TEST(ExactRules, Agree) {
    const auto profile = json::parse(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read", "prctl", "openat"], "action": "SCMP_ACT_ALLOW"}]})");
    const ProfileOptions options{.native = Abi::x86_64, .abis = {Abi::x86_64}};
    const auto ours = read_profile(profile.dump(), options);
    const auto theirs = libseccomp::build(profile.dump(), options, options.abis, 1, true);
    ASSERT_TRUE(ours && theirs);
    Comparison comparison(*ours, *theirs);
    std::mt19937_64 random(1);
    compare_on_grid(comparison, *ours, profile, random, {"read", "prctl"});
    EXPECT_EQ(comparison.first_difference, "");
    EXPECT_EQ(comparison.miscompiled, 0U);
}

}  // namespace
}  // namespace bpfwarden::filter
