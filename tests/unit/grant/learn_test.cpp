// SPDX-License-Identifier: Apache-2.0
// Grants from what was done: they allow it, nothing of them can be left out, and they say what is dangerous.
#include <gtest/gtest.h>

#include "base/text.hpp"
#include "grant/check.hpp"
#include "grant/learn.hpp"
#include "grant/load.hpp"

namespace bpfwarden::grant {
namespace {

class NoIncludes : public Loader {
  public:
    Result<Source> include(std::string_view, const Source&) override { return fail(Code::bad_input, "none"); }
};

std::optional<Resolved> read(const std::string& text, std::string* problems = nullptr) {
    NoIncludes loader;
    auto checked = check_text({"learned.toml", "learned.toml", text}, loader);
    if (problems != nullptr)
        for (const auto& one : checked.diagnostics.all()) *problems += one.what + "\n";
    return std::move(checked.grant);
}

bool allows_all(const Resolved& grant, const std::vector<std::string>& operations) {
    for (const auto& text : operations) {
        std::vector<std::string> words;
        for (const auto word : split(text, ' ')) words.emplace_back(word);
        const auto operation = parse_operation(words);
        if (!operation || !check(grant, *operation).allowed) return false;
    }
    return true;
}

const std::vector<std::string> tracer = {
    "btf_load",
    "map_create hash",
    "map_create perf_event_array",
    "prog_load tracepoint helper=map_update_elem helper=get_current_pid_tgid feature=bpf2bpf_calls instructions=40",
    "prog_load tracepoint helper=perf_event_output instructions=90",
    "perf_event_open tracepoint=syscalls/sys_enter_openat",
    "perf_event_open tracepoint=syscalls/sys_exit_openat",
    "attach perf_event program=tracepoint",
    "perf_event_open event=software/bpf-output",
};

// Every line that is an entry of a list.
std::vector<std::string> entries_of(const std::string& text) {
    std::vector<std::string> entries;
    for (const auto line : split(text, '\n'))
        if (line.starts_with("    \"")) entries.emplace_back(line);
    return entries;
}
std::string without(std::string text, const std::string& line) { return text.erase(text.find(line), line.size() + 1); }

TEST(Learn, AllowsWhatWasDoneAndPassesTheCheck) {
    const auto learned = learn("tracer", "user = \"nobody\"", tracer);
    ASSERT_TRUE(learned) << learned.error().what();
    std::string problems;
    const auto grant = read(learned->text, &problems);
    ASSERT_TRUE(grant) << problems << learned->text;
    EXPECT_EQ(problems, "") << learned->text;
    EXPECT_TRUE(allows_all(*grant, tracer)) << learned->text;
    EXPECT_TRUE(learned->left_out.empty());
    EXPECT_TRUE(grant->subject);
}

TEST(Learn, NoEntryCanBeLeftOut) {
    const auto learned = learn("tracer", "", tracer);
    ASSERT_TRUE(learned);
    const auto entries = entries_of(learned->text);
    ASSERT_GT(entries.size(), 7U);
    for (const auto& entry : entries) {
        if (entry.contains("\"bpf\"") || entry.contains("\"perfmon\"")) continue;  // the kernel's to ask for
        const auto grant = read(without(learned->text, entry));
        EXPECT_FALSE(grant && allows_all(*grant, tracer)) << "not needed: " << entry;
    }
}

TEST(Learn, NothingElseIsAllowed) {
    const auto learned = learn("tracer", "", tracer);
    ASSERT_TRUE(learned);
    const auto grant = read(learned->text);
    ASSERT_TRUE(grant);
    for (const auto* other :
         {"map_create array_of_maps", "prog_load kprobe", "prog_load tracepoint helper=probe_write_user",
          "perf_event_open tracepoint=sched/sched_switch", "prog_load tracepoint feature=sleepable"})
        EXPECT_FALSE(allows_all(*grant, {other})) << other;
}

TEST(Learn, MarksWhatIsDangerousAndProposesShapes) {
    auto operations = tracer;
    for (const auto* name : {"read", "write", "close"})
        operations.push_back(std::string("perf_event_open tracepoint=syscalls/sys_enter_") + name);
    const auto learned = learn("tracer", "", operations);
    ASSERT_TRUE(learned);
    EXPECT_TRUE(learned->text.contains("dangerous = [\"kernel_read\"]")) << learned->text;
    EXPECT_TRUE(learned->text.contains("# DANGEROUS: kernel_read")) << learned->text;
    EXPECT_TRUE(learned->text.contains("\"syscalls/sys_enter_*\" would allow all of it")) << learned->text;
}

TEST(Learn, AttachTypesWhereThereIsAChoice) {
    const std::vector<std::string> operations = {
        "prog_load cgroup_sock_addr attach=cgroup_inet4_connect instructions=9",
        "attach cgroup_inet4_connect program=cgroup_sock_addr cgroup=/a.slice"};
    const auto learned = learn("connect", "", operations);
    ASSERT_TRUE(learned);
    const auto grant = read(learned->text);
    ASSERT_TRUE(grant) << learned->text;
    EXPECT_TRUE(allows_all(*grant, operations)) << learned->text;
    EXPECT_FALSE(allows_all(*grant, {"prog_load cgroup_sock_addr attach=cgroup_inet6_connect instructions=9"}));
    EXPECT_FALSE(allows_all(*grant, {"attach cgroup_inet4_connect program=cgroup_sock_addr cgroup=/b.slice"}));
}

// A program that made maps alone, by libbpf, which tries what the kernel has all the same.
TEST(Learn, WhatOnlyAsked) {
    const std::vector<std::string> operations = {
        "map_create hash",
        "prog_load socket_filter instructions=2 "
        "sha256=59f4a931744dcdc62944a018ed3990e666ec6444616418d3b09a82dc5c753d52",
        "prog_load kprobe instructions=2 sha256=59f4a931744dcdc62944a018ed3990e666ec6444616418d3b09a82dc5c753d52"};
    const auto learned = learn("maps", "", operations);
    ASSERT_TRUE(learned);
    EXPECT_TRUE(learned->left_out.empty());
    const auto grant = read(learned->text);
    ASSERT_TRUE(grant) << learned->text;
    EXPECT_TRUE(allows_all(*grant, operations)) << learned->text;
    EXPECT_FALSE(learned->text.contains("kprobe\",")) << learned->text;
}

TEST(Learn, WhatNoGrantAllowsIsSaid) {
    const auto learned = learn("odd", "", {"map_create hash", "command enable_stats", "map_create 999"});
    ASSERT_TRUE(learned);
    EXPECT_EQ(learned->left_out, (std::vector<std::string>{"map_create 999", "command enable_stats"}));
}

TEST(Learn, EverythingIsAGrant) {
    std::string problems;
    const auto grant = read(everything(), &problems);
    ASSERT_TRUE(grant) << problems;
    EXPECT_TRUE(allows_all(*grant, tracer));
}

}  // namespace
}  // namespace bpfwarden::grant
