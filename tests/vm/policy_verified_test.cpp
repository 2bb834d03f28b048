// SPDX-License-Identifier: Apache-2.0
// What each program costs the kernel's verifier: it refuses a program that takes it a million instructions, and a
// policy whose programs grow there without being looked at would one day load on no kernel. Recorded by exact kernel
// version in verified.inc.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <algorithm>
#include <map>
#include <string>

#include "base/fd.hpp"
#include "vm/policy_guest.hpp"

namespace bpfwarden::test {
namespace {

struct Recorded {
    const char* kernel;
    const char* program;  // as the kernel has it: 15 characters
    unsigned instructions;
};
constexpr Recorded recorded[] = {
#include "vm/verified.inc"
};
constexpr unsigned most = 500'000;  // half of what is permitted
constexpr double margin = 1.05;

std::map<std::string, unsigned> loaded_programs() {
    std::map<std::string, unsigned> found;
    for (__u32 id = 0; ::bpf_prog_get_next_id(id, &id) == 0;) {
        const UniqueFd program(::bpf_prog_get_fd_by_id(id));
        bpf_prog_info info{};
        __u32 size = sizeof info;
        if (program && ::bpf_prog_get_info_by_fd(program.get(), &info, &size) == 0 && info.type == BPF_PROG_TYPE_LSM)
            found[info.name] = std::max(found[info.name], info.verified_insns);
    }
    return found;
}

class PolicyVerified : public PolicyGuest {};

TEST_F(PolicyVerified, NoProgramHasGrownUnseen) {
    utsname system{};
    ::uname(&system);
    std::map<std::string, unsigned> before;
    for (const auto& one : recorded)
        if (std::string_view(one.kernel) == system.release) before[one.program] = one.instructions;
    const auto now = loaded_programs();
    ASSERT_FALSE(now.empty());
    std::string table;
    bool differs = false;
    for (const auto& [name, instructions] : now) {
        EXPECT_LE(instructions, most) << name;
        const auto old = before.contains(name) ? before.at(name) : 0U;
        differs |= instructions > old * margin || old > instructions * margin;
        table += fmt::format("{{\"{}\", \"{}\", {}}},\n", system.release, name, instructions);
    }
    if (before.empty()) GTEST_LOG_(INFO) << "nothing is recorded for " << system.release << ":\n" << table;
    EXPECT_TRUE(before.empty() || !differs)
        << "tests/vm/verified.inc says otherwise; if the change is meant, it is now:\n"
        << table;
}

}  // namespace
}  // namespace bpfwarden::test
