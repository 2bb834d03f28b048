// SPDX-License-Identifier: Apache-2.0
// Where these tests play: a mount namespace with a /tmp and a /run of its own, a control group of its own, and this
// process as the reaper of all that is left behind. Other tests on the same machine neither see it nor disturb it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "spawn.hpp"

#include "../guests.hpp"

namespace bpfwarden::test {

// Made before the first test and unmade after the last.
struct Stage {
    static constexpr const char* tool = "/run/stage/bpfwarden";
    static constexpr const char* witness = "/run/stage/witness";
    static constexpr const char* examples = "/run/stage/examples";
    static constexpr const char* grants = "/run/stage/grants";  // see write_grant()
    static constexpr const char* folder = "/run/stage";         // on a tmpfs that lets file capabilities be
    static const std::string& cgroup();                         // its directory; empty without cgroup2
};

// All of a list, or every n-th of it in such a guest: for what is the same code on every kernel.
template <class List>
auto sampled(const List& list, std::size_t step) {
    std::vector<std::remove_cvref_t<decltype(*std::begin(list))>> some;
    for (std::size_t i = 0; i < std::size(list); i += emulated() ? step : 1) some.push_back(list[i]);
    return some;
}

// A user that nobody else on this machine has, and different from test program to test program.
uid_t test_user();

struct GrantText {
    std::string top = "subject = [ { uid = TEST_USER } ]\n";  // TEST_USER is replaced
    std::string allow =
        "program_types = [\"xdp\"]\n"
        "map_types = [\"array\"]\n"
        "capabilities = [\"bpf\", \"net_admin\"]\n";
    std::string open = "helpers = [\"any\"]\nkfuncs = [\"any\"]\nverifier = [\"any\"]\n";
    std::string rest;
};
// The path of a grant with this text.
std::string write_grant(const GrantText& text);
std::string write_file(const std::string& name, const std::string& text);
// XDP programs and arrays; needs no containment.
const std::string& plain_grant();
// connect() programs of control groups; contained.
const std::string& contained_grant();

// bpfwarden run --grant GRANT [options…] -- command…
Words under(const std::string& grant, const Words& command, const Words& options = {});
// What the witness reports: key → value.
std::map<std::string, std::string> read_report(const std::string& text);

// Whether the running kernel has tokens, as the kernel says, not the tool.
bool kernel_has_tokens();
#define BW_NEED_TOKENS() \
    if (!::bpfwarden::test::kernel_has_tokens()) GTEST_SKIP() << "this kernel has no BPF token (needs 6.9)"

// What a run could leave behind.
struct Traces {
    std::set<std::string> mounts;      // in this mount namespace, and what is ours in that of process 1
    std::set<std::string> cgroups;     // below the stage's
    std::set<std::string> files;       // in /tmp and /run
    std::set<int> processes;           // descendants, orphaned ones included, and whatever runs the tool
    std::set<std::uint32_t> programs;  // BPF programs that the test user loaded
    std::set<std::string> namespaces;  // of any process that is one of those
    bool operator==(const Traces&) const = default;
};
Traces traces_now();
// Empty when all is as before, at most two seconds from now; else what is more.
std::string left_behind(const Traces& before);

}  // namespace bpfwarden::test
