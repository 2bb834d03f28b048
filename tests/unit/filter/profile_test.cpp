// SPDX-License-Identifier: Apache-2.0
#include "filter/profile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "filter/action.hpp"

namespace bpfwarden::filter {
namespace {

using testing::HasSubstr;

constexpr std::uint32_t kill_process = SECCOMP_RET_KILL_PROCESS;
constexpr std::uint64_t all_ones = ~std::uint64_t{0};

std::uint32_t verdict(const Profile& profile, Abi abi, std::uint32_t number,
                      std::initializer_list<std::uint64_t> args = {}) {
    Data data;
    data[Word::nr] = number;
    data[Word::arch] = audit_arch(abi);
    unsigned index = 0;
    for (const std::uint64_t arg : args) data.set_arg(index++, arg);
    return profile.function.evaluate(data);
}
std::uint32_t verdict(const Profile& profile, Abi abi, const char* name,
                      std::initializer_list<std::uint64_t> args = {}) {
    return verdict(profile, abi, number_of(abi, name).value(), args);
}

ProfileOptions on(Abi native) { return {.native = native}; }

Profile read(const std::string& json, const ProfileOptions& options = on(Abi::x86_64)) {
    auto profile = read_profile(json, options);
    if (!profile) {
        ADD_FAILURE() << profile.error().text("") << "\n" << json;
        return std::move(*read_profile(R"({"defaultAction": "SCMP_ACT_KILL"})"));
    }
    return std::move(*profile);
}
// `rules`: the entries of syscalls; the default is ERRNO(EPERM).
std::string with_rules(const std::string& rules) {
    return R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [)" + rules + "]}";
}
std::string allow_if(const char* name, const std::string& args) {
    return std::string(R"({"names": [")") + name + R"("], "action": "SCMP_ACT_ALLOW", "args": [)" + args + "]}";
}
std::string arg(unsigned index, const char* op, std::uint64_t value, std::uint64_t second = 0) {
    return R"({"index": )" + std::to_string(index) + R"(, "op": "SCMP_CMP_)" + op + R"(", "value": )" +
           std::to_string(value) + R"(, "valueTwo": )" + std::to_string(second) + "}";
}

std::string refused(const std::string& json) {
    const auto profile = read_profile(json, on(Abi::x86_64));
    if (profile) return "taken";
    EXPECT_EQ(profile.error().code(), Code::bad_input) << json;
    return profile.error().what() + "\n" + profile.error().why() + "\n" + profile.error().hint();
}
std::string warnings(const Profile& profile) {
    std::string all;
    for (const auto& one : profile.warnings) all += one.where + ": " + one.text + "\n";
    return all;
}

TEST(Profile, NamesAndTheDefault) {
    const auto profile = read(with_rules(R"({"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
                                            {"name": "open", "action": "SCMP_ACT_KILL_PROCESS"})"));
    EXPECT_EQ(verdict(profile, Abi::x86_64, "read"), allow);
    EXPECT_EQ(verdict(profile, Abi::x86_64, "write"), allow);
    EXPECT_EQ(verdict(profile, Abi::x86_64, "open"), kill_process);
    EXPECT_EQ(verdict(profile, Abi::x86_64, "close"), error_of(EPERM));
    EXPECT_EQ(verdict(profile, Abi::x86_64, 5000U), error_of(EPERM));
    EXPECT_EQ(profile.default_action, error_of(EPERM));
    EXPECT_EQ(warnings(profile), "");
}

TEST(Profile, Actions) {
    const std::pair<const char*, std::uint32_t> actions[] = {{"KILL", SECCOMP_RET_KILL_THREAD},
                                                             {"KILL_THREAD", SECCOMP_RET_KILL_THREAD},
                                                             {"KILL_PROCESS", kill_process},
                                                             {"TRAP", SECCOMP_RET_TRAP},
                                                             {"ERRNO", error_of(EPERM)},
                                                             {"TRACE", SECCOMP_RET_TRACE | EPERM},
                                                             {"ALLOW", allow},
                                                             {"LOG", SECCOMP_RET_LOG},
                                                             {"NOTIFY", SECCOMP_RET_USER_NOTIF}};
    for (const auto& [name, value] : actions) {
        const auto action = std::string("SCMP_ACT_") + name;
        EXPECT_EQ(verdict(read(R"({"defaultAction": ")" + action + R"("})"), Abi::x86_64, "read"), value) << name;
        const auto rule = read(
            R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5, "syscalls": [{"names": ["read"], "action": ")" +
            action + R"("}]})");
        EXPECT_EQ(verdict(rule, Abi::x86_64, "read"), value) << name;
        EXPECT_EQ(verdict(rule, Abi::x86_64, "pread64"), error_of(5)) << name;
    }
    EXPECT_THAT(refused(R"({"defaultAction": "SCMP_ACT_ALOW"})"),
                testing::AllOf(HasSubstr("defaultAction"), HasSubstr("SCMP_ACT_ALLOW?")));
    EXPECT_THAT(refused(R"({"defaultAction": "ALLOW"})"), HasSubstr("defaultAction"));
    EXPECT_THAT(refused("{}"), HasSubstr("defaultAction"));
    EXPECT_THAT(refused(with_rules(R"({"names": ["read"]})")), HasSubstr("syscalls[0].action"));
}

TEST(Profile, Errnos) {
    const auto one = [](const char* fields) {
        return read(with_rules(R"({"names": ["read"], "action": "SCMP_ACT_ERRNO", )" + std::string(fields) + "}"));
    };
    EXPECT_EQ(verdict(one(R"("errnoRet": 22)"), Abi::x86_64, "read"), error_of(22));
    EXPECT_EQ(verdict(one(R"("errno": "EINVAL")"), Abi::x86_64, "read"), error_of(22));
    EXPECT_EQ(verdict(one(R"("errno": "22")"), Abi::x86_64, "read"), error_of(22));
    EXPECT_EQ(verdict(one(R"("errno": "EWOULDBLOCK")"), Abi::x86_64, "read"), error_of(EAGAIN));
    EXPECT_EQ(verdict(one(R"("errno": "EINVAL", "errnoRet": 22)"), Abi::x86_64, "read"), error_of(22));
    EXPECT_EQ(verdict(one(R"("errno": "", "errnoRet": null)"), Abi::x86_64, "read"), error_of(EPERM));
    EXPECT_EQ(verdict(one(R"("errnoRet": 0)"), Abi::x86_64, "read"), error_of(0));
    // The kernel takes larger ones for 4095.
    EXPECT_EQ(verdict(one(R"("errnoRet": 5000)"), Abi::x86_64, "read"), error_of(4095));
    const auto trace = read(R"({"defaultAction": "SCMP_ACT_TRACE", "defaultErrnoRet": 7})");
    EXPECT_EQ(verdict(trace, Abi::x86_64, "read"), SECCOMP_RET_TRACE | 7U);
    EXPECT_EQ(verdict(read(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENOSYS"})"), Abi::x86_64, "read"),
              error_of(ENOSYS));

    const auto bad = [](const char* fields) {
        return refused(with_rules(R"({"names": ["read"], "action": )" + std::string(fields) + "}"));
    };
    EXPECT_THAT(bad(R"("SCMP_ACT_ALLOW", "errnoRet": 1)"), HasSubstr("syscalls[0].errnoRet\nthe action has no errno"));
    EXPECT_THAT(bad(R"("SCMP_ACT_TRAP", "errno": "EPERM")"), HasSubstr("syscalls[0].errno\nthe action has no errno"));
    EXPECT_THAT(bad(R"("SCMP_ACT_ERRNO", "errno": "EINVAL", "errnoRet": 1)"), HasSubstr("make them agree"));
    EXPECT_THAT(bad(R"("SCMP_ACT_ERRNO", "errno": "EWHAT")"), HasSubstr(R"("EWHAT" is no errno)"));
    EXPECT_THAT(bad(R"("SCMP_ACT_ERRNO", "errnoRet": 65536)"), HasSubstr("more than 65535"));
    EXPECT_THAT(bad(R"("SCMP_ACT_ERRNO", "errnoRet": -1)"), HasSubstr("below zero"));
    EXPECT_THAT(bad(R"("SCMP_ACT_ERRNO", "errnoRet": "1")"), HasSubstr("a number is needed, and this is text"));
    EXPECT_THAT(refused(R"({"defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 1})"), HasSubstr("defaultErrnoRet"));
}

TEST(Profile, Operators) {
    struct Case {
        const char* op;
        std::uint64_t value, second;
        std::vector<std::uint64_t> holds, fails;
    };
    const std::uint64_t big = 0x500000007;
    for (const auto& one : {
             Case{"EQ", big, 0, {big}, {7, 0x500000000, big + 1, 0x600000007}},
             Case{"NE", big, 0, {7, 0x500000000, big + 1, 0x600000007}, {big}},
             Case{"LT", big, 0, {0, 8, big - 1, 0x4ffffffff}, {big, big + 1, 0x600000000, all_ones}},
             Case{"LE", big, 0, {0, 8, big - 1, big, 0x4ffffffff}, {big + 1, 0x600000000, all_ones}},
             Case{"GT", big, 0, {big + 1, 0x600000000, all_ones}, {0, 8, big - 1, big, 0x4ffffffff}},
             Case{"GE", big, 0, {big, big + 1, 0x600000000, all_ones}, {0, 8, big - 1, 0x4ffffffff}},
             Case{"MASKED_EQ",
                  0xf0000000f,
                  0x500000007,
                  {big, big + 16, 0xff000000000 | big},
                  {7, 0x500000000, big + 1}},
             Case{"MASKED_EQ", 0x7e020000, 0, {0, 17, all_ones & ~0x7e020000ULL}, {0x20000, 0x10000000, all_ones}},
         }) {
        const auto profile = read(with_rules(allow_if("mmap", arg(5, one.op, one.value, one.second))));
        for (const std::uint64_t value : one.holds)
            EXPECT_EQ(verdict(profile, Abi::x86_64, "mmap", {9, 9, 9, 9, 9, value}), allow) << one.op << " " << value;
        for (const std::uint64_t value : one.fails)
            EXPECT_EQ(verdict(profile, Abi::x86_64, "mmap", {9, 9, 9, 9, 9, value}), error_of(EPERM))
                << one.op << " " << value;
        // The same value in another argument means nothing.
        EXPECT_EQ(verdict(profile, Abi::x86_64, "mmap", {one.holds[0], 0, 0, 0, 0, one.fails[0]}), error_of(EPERM))
            << one.op;
    }
    EXPECT_THAT(refused(with_rules(allow_if("mmap", arg(0, "EG", 1)))), HasSubstr("syscalls[0].args[0].op"));
    EXPECT_THAT(refused(with_rules(allow_if("mmap", arg(6, "EQ", 1)))),
                HasSubstr("syscalls[0].args[0].index\n6 is more than 5"));
    EXPECT_THAT(refused(with_rules(allow_if("mmap", R"({"index": 0, "op": "SCMP_CMP_EQ"})"))),
                HasSubstr("args[0].value\nit is missing"));
    EXPECT_THAT(refused(with_rules(allow_if("mmap", R"({"value": 0, "op": "SCMP_CMP_EQ"})"))),
                HasSubstr("args[0].index\nit is missing"));
    EXPECT_THAT(refused(with_rules(allow_if("mmap", R"({"index": 0, "value": 1})"))),
                HasSubstr("args[0].op\nit is missing"));
}

TEST(Profile, MaskedValues) {
    // libseccomp masks the value too; a mask of nothing always holds.
    const auto outside = read(with_rules(allow_if("mmap", arg(1, "MASKED_EQ", 0xf, 0x13))));
    EXPECT_EQ(verdict(outside, Abi::x86_64, "mmap", {0, 0x23}), allow);
    EXPECT_EQ(verdict(outside, Abi::x86_64, "mmap", {0, 0x24}), error_of(EPERM));
    EXPECT_THAT(warnings(outside), HasSubstr("bits outside of the mask"));
    const auto nothing = read(with_rules(allow_if("mmap", arg(1, "MASKED_EQ", 0, 5))));
    EXPECT_EQ(verdict(nothing, Abi::x86_64, "mmap", {0, 1}), allow);
}

TEST(Profile, ConditionsOnDifferentArgumentsMustAllHold) {
    const auto profile = read(with_rules(allow_if("socket", arg(0, "EQ", 1) + "," + arg(1, "EQ", 2))));
    EXPECT_EQ(verdict(profile, Abi::x86_64, "socket", {1, 2}), allow);
    EXPECT_EQ(verdict(profile, Abi::x86_64, "socket", {1, 3}), error_of(EPERM));
    EXPECT_EQ(verdict(profile, Abi::x86_64, "socket", {2, 2}), error_of(EPERM));
}

TEST(Profile, ConditionsOnOneArgument) {
    const auto json = with_rules(allow_if("mmap", arg(1, "GE", 10) + "," + arg(1, "LE", 20) + "," + arg(0, "EQ", 7)));
    const auto all = read(json);
    EXPECT_EQ(verdict(all, Abi::x86_64, "mmap", {7, 15}), allow);
    EXPECT_EQ(verdict(all, Abi::x86_64, "mmap", {7, 21}), error_of(EPERM));
    EXPECT_EQ(verdict(all, Abi::x86_64, "mmap", {7, 9}), error_of(EPERM));
    EXPECT_EQ(verdict(all, Abi::x86_64, "mmap", {8, 15}), error_of(EPERM));
    // runc makes three rules of it, and one of them is enough.
    auto options = on(Abi::x86_64);
    options.same_argument = SameArgument::any;
    const auto any = read(json, options);
    EXPECT_EQ(verdict(any, Abi::x86_64, "mmap", {8, 9}), allow);
    EXPECT_EQ(verdict(any, Abi::x86_64, "mmap", {7, 21}), allow);
    // Which changes nothing where each argument is there once.
    const auto once = read(with_rules(allow_if("mmap", arg(1, "GE", 10) + "," + arg(0, "EQ", 7))), options);
    EXPECT_EQ(verdict(once, Abi::x86_64, "mmap", {8, 15}), error_of(EPERM));
    EXPECT_EQ(verdict(once, Abi::x86_64, "mmap", {7, 15}), allow);
}

TEST(Profile, WithoutConditionsBeatsWithThem) {
    const std::string some = R"({"names": ["socket"], "action": "SCMP_ACT_KILL", "args": [)" + arg(0, "EQ", 16) + "]}";
    const std::string whole = R"({"names": ["socket"], "action": "SCMP_ACT_ALLOW"})";
    for (const auto& rules : {some + "," + whole, whole + "," + some}) {
        const auto profile = read(with_rules(rules));
        EXPECT_EQ(verdict(profile, Abi::x86_64, "socket", {16}), allow);
        EXPECT_THAT(warnings(profile), HasSubstr("this rule does not count"));
    }
    // Of two without, the first.
    const auto two = read(with_rules(whole + R"(, {"names": ["socket"], "action": "SCMP_ACT_KILL"})"));
    EXPECT_EQ(verdict(two, Abi::x86_64, "socket"), allow);
    EXPECT_THAT(warnings(two), HasSubstr("syscalls[1]"));
}

TEST(Profile, OrderOfRulesThatOverlap) {
    const auto act = [](const char* action, const std::string& args) {
        return std::string(R"({"names": ["mmap"], "action": "SCMP_ACT_)") + action + R"(", "args": [)" + args + "]}";
    };
    const auto both_ways = [&](const std::string& one, const std::string& other,
                               std::initializer_list<std::uint64_t> args) {
        const auto first = verdict(read(with_rules(one + "," + other)), Abi::x86_64, "mmap", args);
        EXPECT_EQ(verdict(read(with_rules(other + "," + one)), Abi::x86_64, "mmap", args), first);
        return first;
    };
    EXPECT_EQ(both_ways(act("ALLOW", arg(0, "EQ", 1)), act("KILL", arg(2, "EQ", 1)), {1, 0, 1}),
              std::uint32_t{SECCOMP_RET_KILL});
    EXPECT_EQ(both_ways(act("ALLOW", arg(0, "GT", 1)), act("KILL", arg(0, "EQ", 5)), {5}),
              std::uint32_t{SECCOMP_RET_KILL});
    EXPECT_EQ(both_ways(act("ALLOW", arg(0, "GT", 1)), act("KILL", arg(0, "LT", 9)), {5}),
              std::uint32_t{SECCOMP_RET_KILL});
    EXPECT_EQ(both_ways(act("ALLOW", arg(0, "GT", 1)), act("KILL", arg(0, "GT", 3)), {5}),
              std::uint32_t{SECCOMP_RET_KILL});
    EXPECT_EQ(both_ways(act("ALLOW", arg(0, "GT", 1)), act("KILL", arg(0, "GT", 3)), {2}), allow);
    EXPECT_EQ(both_ways(act("ALLOW", arg(0, "LT", 9)), act("KILL", arg(0, "LT", 7)), {5}),
              std::uint32_t{SECCOMP_RET_KILL});
    EXPECT_EQ(both_ways(act("ALLOW", arg(0, "LT", 9)), act("KILL", arg(0, "LT", 7)), {8}), allow);
    EXPECT_EQ(both_ways(act("ALLOW", arg(0, "EQ", 1)), act("KILL", arg(0, "EQ", 1) + "," + arg(1, "EQ", 2)), {1, 2}),
              allow);
    // The same conditions, whatever their order in the rule.
    EXPECT_THAT(refused(with_rules(act("ALLOW", arg(0, "EQ", 1) + "," + arg(1, "EQ", 2)) + "," +
                                   act("KILL", arg(1, "EQ", 2) + "," + arg(0, "EQ", 1)))),
                testing::AllOf(HasSubstr("syscalls[1]"), HasSubstr("syscalls[0] has the same conditions")));
    // Twice the same rule is no contradiction.
    read(with_rules(act("ALLOW", arg(0, "EQ", 1)) + "," + act("ALLOW", arg(0, "EQ", 1))));
}

TEST(Profile, ARuleWithTheDefaultActionDoesNotCount) {
    const auto profile = read(with_rules(R"({"names": ["mmap"], "action": "SCMP_ACT_ERRNO", "args": [)" +
                                         arg(0, "EQ", 1) + "]}," + allow_if("mmap", arg(1, "EQ", 2))));
    EXPECT_EQ(verdict(profile, Abi::x86_64, "mmap", {1, 2}), allow);
    EXPECT_EQ(verdict(profile, Abi::x86_64, "mmap", {1, 3}), error_of(EPERM));
    EXPECT_THAT(warnings(profile), HasSubstr("syscalls[0]: the action for mmap is the default action"));
}

TEST(Profile, NamesThatAnArchitectureLacks) {
    auto options = on(Abi::x86_64);
    options.abis = {Abi::x86_64, Abi::i386, Abi::aarch64};
    const auto profile =
        read(with_rules(R"({"names": ["open", "_llseek", "sync_file_range2", "opne"], "action": "SCMP_ACT_ALLOW"})"),
             options);
    EXPECT_EQ(verdict(profile, Abi::x86_64, "open"), allow);
    EXPECT_EQ(verdict(profile, Abi::i386, "_llseek"), allow);
    for (const std::uint32_t number : all_numbers(Abi::aarch64))
        EXPECT_EQ(verdict(profile, Abi::aarch64, number), error_of(EPERM));
    EXPECT_THAT(warnings(profile), HasSubstr(R"(no architecture has a system call "opne")"));
    EXPECT_THAT(warnings(profile), testing::Not(HasSubstr("sync_file_range2")));
}

TEST(Profile, Architectures) {
    const std::string rules = R"("syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]})";
    const std::string map = R"({"defaultAction": "SCMP_ACT_ERRNO", "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null}], )" +
                            rules;
    const auto on_x86 = read(map), on_arm = read(map, on(Abi::aarch64));
    EXPECT_THAT(on_x86.abis, testing::ElementsAre(Abi::x86_64, Abi::i386, Abi::x32));
    for (const Abi abi : on_x86.abis) {
        EXPECT_EQ(verdict(on_x86, abi, "read"), allow);
        EXPECT_EQ(verdict(on_x86, abi, "dup"), error_of(EPERM));
    }
    EXPECT_EQ(verdict(on_x86, Abi::aarch64, "read"), kill_process);
    EXPECT_THAT(on_arm.abis, testing::ElementsAre(Abi::aarch64));
    EXPECT_EQ(verdict(on_arm, Abi::aarch64, "read"), allow);
    EXPECT_EQ(verdict(on_arm, Abi::x86_64, "read"), kill_process);
    EXPECT_THAT(warnings(on_arm), HasSubstr("SCMP_ARCH_ARM is not supported: its calls get KILL_PROCESS"));

    // A list is in beside the native one.
    const auto list = read(R"({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"], )" + rules);
    EXPECT_THAT(list.abis, testing::ElementsAre(Abi::x86_64, Abi::i386));
    auto options = on(Abi::x86_64);
    options.abis = {Abi::i386};
    options.bad_arch = SECCOMP_RET_LOG;
    const auto only = read(map, options);
    EXPECT_EQ(verdict(only, Abi::i386, "read"), allow);
    EXPECT_EQ(verdict(only, Abi::x86_64, "read"), std::uint32_t{SECCOMP_RET_LOG});

    EXPECT_THAT(
        refused(
            R"({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86"}]})"),
        HasSubstr("archMap"));
    EXPECT_THAT(refused(R"({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X68"]})"),
                HasSubstr("architectures[0]"));
    EXPECT_THAT(refused(R"({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["amd64"]})"),
                HasSubstr("architectures[0]"));
}

TEST(Profile, X32AndNoCall) {
    const auto json = [](const char* archs) {
        return std::string(R"({"defaultAction": "SCMP_ACT_ERRNO", "architectures": [)") + archs +
               R"(], "syscalls": [{"names": ["read", "ioctl"], "action": "SCMP_ACT_ALLOW"}]})";
    };
    const auto without = read(json(""));
    EXPECT_EQ(verdict(without, Abi::x86_64, x32_bit), kill_process);
    EXPECT_EQ(verdict(without, Abi::x86_64, 0xfffffffe), kill_process);
    EXPECT_EQ(verdict(without, Abi::x86_64, 0xffffffff), error_of(EPERM));
    EXPECT_EQ(verdict(without, Abi::x86_64, x32_bit - 1), error_of(EPERM));
    const auto with = read(json(R"("SCMP_ARCH_X32")"));
    EXPECT_EQ(verdict(with, Abi::x86_64, x32_bit), allow);
    EXPECT_EQ(verdict(with, Abi::x86_64, x32_bit | 514), allow);
    EXPECT_EQ(verdict(with, Abi::x86_64, x32_bit | 16), error_of(EPERM));
    EXPECT_EQ(verdict(with, Abi::x86_64, 514U), error_of(EPERM));
    EXPECT_EQ(verdict(with, Abi::x86_64, 0xffffffff), error_of(EPERM));
    auto options = on(Abi::x86_64);
    options.abis = {Abi::x32};
    const auto only = read(json(""), options);
    EXPECT_EQ(verdict(only, Abi::x86_64, "read"), kill_process);
    EXPECT_EQ(verdict(only, Abi::x32, "read"), allow);
    EXPECT_EQ(verdict(only, Abi::x86_64, 0xffffffff), error_of(EPERM));
}

TEST(Profile, ThirtyTwoBits) {
    auto options = on(Abi::x86_64);
    options.abis = {Abi::x86_64, Abi::x32, Abi::i386};
    const auto profile =
        read(with_rules(allow_if("mmap", arg(0, "EQ", all_ones)) + "," + allow_if("mmap2", arg(0, "EQ", all_ones))),
             options);
    EXPECT_EQ(verdict(profile, Abi::i386, "mmap", {0xffffffff}), allow);
    EXPECT_EQ(verdict(profile, Abi::i386, "mmap", {1}), error_of(EPERM));
    EXPECT_EQ(verdict(profile, Abi::x32, "mmap", {0xffffffff}), allow);
    EXPECT_EQ(verdict(profile, Abi::x86_64, "mmap", {0xffffffff}), error_of(EPERM));
    EXPECT_EQ(verdict(profile, Abi::x86_64, "mmap", {all_ones}), allow);
}

TEST(Profile, CallsBehindSocketcall) {
    auto options = on(Abi::x86_64);
    options.abis = {Abi::i386};
    const auto profile = read(with_rules(R"({"names": ["socket", "semop"], "action": "SCMP_ACT_ALLOW"})"), options);
    EXPECT_EQ(verdict(profile, Abi::i386, "socket", {9}), allow);
    EXPECT_EQ(verdict(profile, Abi::i386, "socketcall", {1}), allow);
    EXPECT_EQ(verdict(profile, Abi::i386, "socketcall", {2}), error_of(EPERM));
    EXPECT_EQ(verdict(profile, Abi::i386, "ipc", {1}), allow);
    EXPECT_EQ(verdict(profile, Abi::i386, "ipc", {2}), error_of(EPERM));
    EXPECT_EQ(warnings(profile), "");
    const auto checked = read(with_rules(allow_if("socket", arg(0, "EQ", 1))), options);
    EXPECT_EQ(verdict(checked, Abi::i386, "socket", {2}), error_of(EPERM));
    EXPECT_EQ(verdict(checked, Abi::i386, "socketcall", {1}), allow);
    EXPECT_EQ(verdict(checked, Abi::i386, "socketcall", {2}), error_of(EPERM));
    EXPECT_THAT(warnings(checked), HasSubstr("i386 has socket behind socketcall too"));
}

TEST(Profile, Capabilities) {
    const auto json = with_rules(R"(
        {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF", "CAP_SYS_ADMIN"]}},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}})");
    const auto allows = [&](std::vector<std::string> capabilities, const char* name) {
        auto options = on(Abi::x86_64);
        options.capabilities = std::move(capabilities);
        return verdict(read(json, options), Abi::x86_64, name) == allow;
    };
    EXPECT_FALSE(allows({}, "bpf"));
    EXPECT_FALSE(allows({"CAP_BPF"}, "bpf"));
    EXPECT_TRUE(allows({"CAP_BPF", "CAP_SYS_ADMIN"}, "bpf"));
    EXPECT_TRUE(allows({"bpf", "cap_sys_admin"}, "bpf"));
    EXPECT_TRUE(allows({}, "clone"));
    EXPECT_TRUE(allows({"CAP_CHOWN"}, "clone"));
    EXPECT_FALSE(allows({"CAP_BPF"}, "clone"));
}

TEST(Profile, ArchesOfARule) {
    const auto json = with_rules(R"(
        {"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32", "s390x"]}},
        {"names": ["write"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}})");
    EXPECT_EQ(verdict(read(json), Abi::x86_64, "read"), allow);
    EXPECT_EQ(verdict(read(json), Abi::x86_64, "write"), error_of(EPERM));
    EXPECT_EQ(verdict(read(json, on(Abi::aarch64)), Abi::aarch64, "read"), error_of(EPERM));
    EXPECT_EQ(verdict(read(json, on(Abi::aarch64)), Abi::aarch64, "write"), allow);
    EXPECT_THAT(warnings(read(with_rules(
                    R"({"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["am64"]}})"))),
                HasSubstr(R"("am64" is no architecture)"));
}

TEST(Profile, MinimumKernel) {
    const auto json = with_rules(R"(
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
        {"names": ["kcmp"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}})");
    for (const Kernel kernel : {Kernel{3, 99}, Kernel{4, 7}, Kernel{4, 8}, Kernel{4, 10}, Kernel{5, 0}}) {
        auto options = on(Abi::x86_64);
        options.kernel = kernel;
        const bool at_least = kernel >= Kernel{4, 8};
        const auto profile = read(json, options);
        EXPECT_EQ(verdict(profile, Abi::x86_64, "ptrace") == allow, at_least) << text(kernel);
        EXPECT_EQ(verdict(profile, Abi::x86_64, "kcmp") == allow, !at_least) << text(kernel);
    }
    for (const auto* wrong : {R"("4")", R"("4.8.1")", R"("4.8-rc1")", R"("04.8")", R"("x")", "4.8", "4"})
        EXPECT_THAT(refused(with_rules(R"({"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": )" +
                                       std::string(wrong) + "}}")),
                    HasSubstr("syscalls[0].includes.minKernel"))
            << wrong;
}

TEST(Profile, NumbersWithoutARule) {
    const auto json =
        R"({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X32", "SCMP_ARCH_X86"], "syscalls": [
        {"names": ["read", "close_range"], "action": "SCMP_ACT_ALLOW"}, {"names": ["openat2"], "action": "SCMP_ACT_ERRNO"}]})";
    auto options = on(Abi::x86_64);
    options.no_rule = NoRule::enosys_above;
    const auto above = read(json, options);  // openat2 is 437
    for (const Abi abi : above.abis) {
        const std::uint32_t bit = abi == Abi::x32 ? x32_bit : 0;
        EXPECT_EQ(verdict(above, abi, bit | 437), error_of(EPERM));
        EXPECT_EQ(verdict(above, abi, bit | 438), error_of(ENOSYS));
        EXPECT_EQ(verdict(above, abi, bit | 0x3ffffff0), error_of(ENOSYS));
        EXPECT_EQ(verdict(above, abi, "read"), allow);
        EXPECT_EQ(verdict(above, abi, 0xffffffff), error_of(EPERM));
    }
    EXPECT_EQ(verdict(above, Abi::x86_64, 400U), error_of(EPERM));

    options.no_rule = NoRule::enosys_unknown;
    options.kernel = {5, 10};
    const auto unknown = read(json, options);
    EXPECT_EQ(verdict(unknown, Abi::x86_64, 400U), error_of(ENOSYS));
    EXPECT_EQ(verdict(unknown, Abi::x86_64, "process_madvise"), error_of(EPERM));
    EXPECT_EQ(verdict(unknown, Abi::x86_64, "epoll_pwait2"), error_of(ENOSYS));
    EXPECT_EQ(verdict(unknown, Abi::x86_64, "read"), allow);
    EXPECT_EQ(verdict(unknown, Abi::x32, x32_bit | 16), error_of(ENOSYS));
    EXPECT_EQ(verdict(unknown, Abi::x86_64, 0xffffffff), error_of(EPERM));

    // Where everything else is let through, what is new is too.
    const auto open =
        read(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL"}]})",
             options);
    EXPECT_EQ(verdict(open, Abi::x86_64, "epoll_pwait2"), allow);
}

TEST(Profile, Flags) {
    const auto profile =
        read(R"({"defaultAction": "SCMP_ACT_ERRNO", "flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]})");
    EXPECT_EQ(profile.flags, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW |
                                 SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    EXPECT_TRUE(profile.has_flags);
    EXPECT_TRUE(read(R"({"defaultAction": "SCMP_ACT_ERRNO", "flags": []})").has_flags);
    EXPECT_FALSE(read(R"({"defaultAction": "SCMP_ACT_ERRNO"})").has_flags);
    EXPECT_THAT(refused(R"({"defaultAction": "SCMP_ACT_ERRNO", "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]})"),
                HasSubstr("flags[0]"));
}

TEST(Profile, Listener) {
    const auto profile =
        read(R"({"defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "/run/a.sock", "listenerMetadata": "x=1",
        "syscalls": [{"names": ["mknod"], "action": "SCMP_ACT_NOTIFY"}]})");
    EXPECT_EQ(profile.listener_path, "/run/a.sock");
    EXPECT_EQ(profile.listener_metadata, "x=1");
    EXPECT_EQ(profile.flags, SECCOMP_FILTER_FLAG_NEW_LISTENER);
    EXPECT_EQ(verdict(profile, Abi::x86_64, "mknod"), std::uint32_t{SECCOMP_RET_USER_NOTIF});
    const auto write = read(with_rules(R"({"names": ["write"], "action": "SCMP_ACT_NOTIFY"})"));
    EXPECT_THAT(warnings(write), testing::AllOf(HasSubstr("runc refuses"), HasSubstr("there is no listener")));
    EXPECT_THAT(refused(R"({"defaultAction": "SCMP_ACT_ERRNO", "listenerMetadata": "x"})"),
                HasSubstr("listenerMetadata"));
}

TEST(Profile, WarnsOfIntArguments) {
    const auto warned = [](const char* name, const std::string& args) {
        return warnings(read(with_rules(allow_if(name, args))));
    };
    EXPECT_THAT(
        warned("socket", arg(0, "NE", 16)),
        HasSubstr("syscalls[0].args[0]: argument 0 of socket is an int, and this compares 64 bits: it can be evaded"));
    EXPECT_THAT(warned("socket", arg(0, "GT", 40)), HasSubstr("it can be evaded"));
    EXPECT_THAT(warned("personality", arg(0, "EQ", 0)), HasSubstr("does not fit, though the kernel drops that half"));
    const std::string deny =
        R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_KILL", "args": [)";
    EXPECT_THAT(warnings(read(deny + arg(0, "EQ", 8) + "]}]}")), HasSubstr("it can be evaded"));
    EXPECT_THAT(warnings(read(deny + arg(0, "NE", 8) + "]}]}")), HasSubstr("does not fit, though"));
    EXPECT_THAT(warned("ioctl", arg(1, "EQ", 0xffffffff00005401)), HasSubstr("no value that the kernel acts on"));
    // Here is what it is about: a domain that the rule takes for none, and the kernel for AF_NETLINK.
    EXPECT_EQ(verdict(read(with_rules(allow_if("socket", arg(0, "NE", 16)))), Abi::x86_64, "socket", {0x100000010}),
              allow);
    EXPECT_EQ(warned("clone", arg(0, "EQ", 17)), "");
    EXPECT_EQ(warned("ioctl", arg(2, "EQ", 17)), "");
    EXPECT_EQ(warned("socket", arg(0, "MASKED_EQ", 0xffffffff, 16)), "");
}

TEST(Profile, OtherKeys) {
    const auto profile = read(R"({"defaultAction": "SCMP_ACT_ERRNO", "x-vendor": 1, "comment": "a", "archmap": [],
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "note": 1}]})");
    EXPECT_THAT(warnings(profile), testing::AllOf(HasSubstr("x-vendor: this key is not known"),
                                                  HasSubstr("archmap: this key is not known; did you mean archMap"),
                                                  HasSubstr("archMap[0].note")));
    // A condition that is not seen lets more through.
    EXPECT_THAT(refused(with_rules(R"({"names": ["read"], "action": "SCMP_ACT_ALLOW", "agrs": []})")),
                testing::AllOf(HasSubstr("syscalls[0].agrs"), HasSubstr("did you mean args?")));
    EXPECT_THAT(refused(with_rules(R"({"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"cap": ["X"]}})")),
                HasSubstr("syscalls[0].includes.cap"));
    EXPECT_THAT(refused(with_rules(allow_if("read", R"({"index": 0, "value": 1, "op": "SCMP_CMP_EQ", "Value2": 1})"))),
                HasSubstr("args[0].Value2"));
    EXPECT_THAT(refused(R"({"ociVersion": "1.0.2", "defaultAction": "SCMP_ACT_ERRNO"})"), HasSubstr("linux.seccomp"));
    const auto empty = read(with_rules(
        R"({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": null, "comment": "", "includes": {}, "excludes": null})"));
    EXPECT_EQ(verdict(empty, Abi::x86_64, "read"), allow);
}

TEST(Profile, WhatIsNoProfile) {
    for (const auto& [json, why] : std::vector<std::pair<std::string, std::string>>{
             {"", "not JSON"},
             {"{", "not JSON"},
             {"[]", "an object is needed"},
             {"null", "an object is needed"},
             {R"({"defaultAction": "SCMP_ACT_ERRNO"} x)", "not JSON"},
             {R"({"defaultAction": "SCMP_ACT_ERRNO", /* */ })", "not JSON"},
             {R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultAction": "SCMP_ACT_ALLOW"})",
              "defaultAction\nthis key is there twice"},
             {with_rules(R"({"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "index": 1}]})"),
              "syscalls[0].args[0].index\nthis key is there twice"},
             {with_rules("3"), "syscalls[0]\nan object is needed, and this is a number"},
             {with_rules("null"), "syscalls[0]\nan object is needed, and this is null"},
             {R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": {}})", "syscalls\na list is needed"},
             {R"({"defaultAction": 1})", "defaultAction\ntext is needed"},
             {with_rules(R"({"action": "SCMP_ACT_ALLOW"})"), "syscalls[0].names\nno system call is named"},
             {with_rules(R"({"names": [], "action": "SCMP_ACT_ALLOW"})"), "syscalls[0].names"},
             {with_rules(R"({"names": [""], "action": "SCMP_ACT_ALLOW"})"), "syscalls[0].names[0]"},
             {with_rules(R"({"names": [7], "action": "SCMP_ACT_ALLOW"})"), "syscalls[0].names[0]\ntext is needed"},
             {with_rules(R"({"names": ["a"], "name": "b", "action": "SCMP_ACT_ALLOW"})"), "syscalls[0].name\n"},
             {with_rules(allow_if("read", R"({"index": 0, "op": "SCMP_CMP_EQ", "value": 18446744073709551616})")),
              "args[0].value\n\"18446744073709551616\" is not a whole number"},
             {with_rules(allow_if("read", R"({"index": 0, "op": "SCMP_CMP_EQ", "value": 1e3})")),
              "args[0].value\n\"1e3\" is not a whole number"},
             {with_rules(allow_if("read", R"({"index": 0, "op": "SCMP_CMP_EQ", "value": 1e999})")), ""},
             {with_rules(allow_if("read", R"({"index": 0, "op": "SCMP_CMP_EQ", "value": -1})")),
              "args[0].value\n-1 is below zero"},
             {with_rules(allow_if("read", R"({"index": -1, "op": "SCMP_CMP_EQ", "value": 1})")), "args[0].index"},
             {std::string(100000, '['), "nested more than 16 deep"},
             {R"({"a":)" + std::string(17, '[') + std::string(17, ']') + "}", "a[0]"},
             {std::string(max_profile_bytes + 1, ' '), "bytes, more than"},
             {"{\"defaultAction\": \"SCMP_ACT_\xff\"}", "not JSON"},
         }) {
        const auto error = refused(json);
        EXPECT_NE(error, "taken") << json.substr(0, 200);
        EXPECT_THAT(error, HasSubstr(why)) << json.substr(0, 200);
    }
    std::string many;
    for (int i = 0; i < 65; ++i) many += (i > 0 ? "," : "") + arg(0, "NE", static_cast<std::uint64_t>(i));
    EXPECT_THAT(refused(with_rules(allow_if("read", many))), HasSubstr("syscalls[0].args\nthere are 65 conditions"));
}

}  // namespace
}  // namespace bpfwarden::filter
