// SPDX-License-Identifier: Apache-2.0
// The whole report: every fact is whole, an unprivileged user's report does not contradict root's, and nothing of it
// is left behind.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "kernel/host.hpp"
#include "kernel/process.hpp"

namespace bpfwarden::kernel {
namespace {

std::string text_of(const char* path) {
    std::ifstream file(path);
    std::ostringstream all;
    all << file.rdbuf();
    return all.str();
}

TEST(HostCheck, EveryFactIsWhole) {
    const auto start = std::chrono::steady_clock::now();
    const auto facts = check_host();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf("%zu facts in %.3f s\n", facts.size(), took.count());
    EXPECT_LT(took.count(), 60.0);  // 0.1 s on the development machine; this only notices what hangs
    EXPECT_EQ(facts.size(), host_fact_ids().size());
    for (const auto& fact : facts)
        for (const auto* text : {&fact.id, &fact.title, &fact.how, &fact.detail, &fact.needed_by, &fact.remedy})
            EXPECT_FALSE(text->empty()) << fact.id;
}

TEST(HostCheck, LooksOnlyAtWhatIsAsked) {
    const std::string ids[] = {"openat2", "token", "no_such_fact"};
    std::vector<std::string> order;
    const auto facts = check_host(ids, [&](std::string_view id) { order.emplace_back(id); });
    ASSERT_EQ(facts.size(), 2U);
    EXPECT_EQ(order, (std::vector<std::string>{facts[0].id, facts[1].id}));
}

using States = std::map<std::string, Presence>;

States states_as_nobody() {
    auto [ours, theirs] = Channel::pair().value();
    auto child = Child::fork([&, &other = theirs] {
        if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0) return 1;
        std::string all;
        for (const auto& fact : check_host())
            all += fact.id + " " + std::to_string(static_cast<int>(fact.state)) +
                   (fact.how.empty() || fact.detail.empty() ? " empty\n" : " whole\n");
        return other.send(all) ? 0 : 2;
    });
    EXPECT_TRUE(child);
    theirs.close();
    const auto message = ours.receive();
    EXPECT_TRUE(message) << message.error().text("");
    States states;
    std::istringstream lines(message ? message->text : "");
    std::string id, whole;
    for (int state = 0; lines >> id >> state >> whole;) {
        EXPECT_EQ(whole, "whole") << id;
        states[id] = static_cast<Presence>(state);
    }
    return states;
}

TEST(HostCheck, AnotherUsersReportDoesNotContradictRoots) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, and this is uid " << ::geteuid();
    // These are about the user who asks.
    const std::set<std::string> personal{"user_namespaces", "world_writable_bpffs", "kernel_config"};
    const auto other = states_as_nobody();
    for (const auto& fact : check_host()) {
        ASSERT_TRUE(other.contains(fact.id)) << fact.id;
        const auto seen = other.at(fact.id);
        if (!personal.contains(fact.id) && seen != Presence::unknown) {
            EXPECT_EQ(word(seen), word(fact.state)) << fact.id;
        }
    }
    // What takes privilege to try is unknown, not absent.
    for (const char* id : {"token_info", "bpf_lsm_works", "arena", "cgroup_sysctl", "program_types_load"})
        EXPECT_NE(other.at(id), Presence::present) << id;
}

void add_ids(int (*next)(std::uint32_t, std::uint32_t*), char kind, std::set<std::string>& into) {
    for (std::uint32_t id = 0; next(id, &id) == 0;) into.insert(kind + std::to_string(id));
}

std::set<std::string> bpf_objects() {
    std::set<std::string> all;
    add_ids(::bpf_prog_get_next_id, 'p', all);
    add_ids(::bpf_map_get_next_id, 'm', all);
    add_ids(::bpf_link_get_next_id, 'l', all);
    add_ids(::bpf_btf_get_next_id, 'b', all);
    return all;
}

std::size_t open_fds() {
    const std::filesystem::directory_iterator it("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(it), end(it)));
}

TEST(HostCheck, LeavesNothingBehind) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, and this is uid " << ::geteuid();
    (void)check_host();  // libbpf keeps some answers for the life of the process
    const auto mounts = text_of("/proc/self/mountinfo");
    const auto status = text_of("/proc/self/status");
    const auto fds = open_fds();
    struct rlimit memlock_before{}, memlock_after{};
    ::getrlimit(RLIMIT_MEMLOCK, &memlock_before);
    const auto objects = bpf_objects();

    (void)check_host();

    EXPECT_EQ(text_of("/proc/self/mountinfo"), mounts);
    EXPECT_EQ(open_fds(), fds);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
    ::getrlimit(RLIMIT_MEMLOCK, &memlock_after);
    EXPECT_EQ(memlock_after.rlim_cur, memlock_before.rlim_cur);
    const auto line = [](const std::string& text, const char* key) {
        const auto at = text.find(key);
        return at == std::string::npos ? std::string() : text.substr(at, text.find('\n', at) - at);
    };
    const auto status_after = text_of("/proc/self/status");
    for (const char* key : {"Uid:", "Gid:", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:", "Seccomp_filters:"})
        EXPECT_EQ(line(status_after, key), line(status, key));
    // Programs and maps are freed after an RCU grace period; and other people's may come and go meanwhile.
    std::set<std::string> left;
    for (int turn = 0; turn < 100; ++turn) {
        left.clear();
        for (const auto& object : bpf_objects())
            if (!objects.contains(object)) left.insert(object);
        if (left.empty()) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    EXPECT_TRUE(left.empty()) << left.size() << " objects, first " << *left.begin();
}

}  // namespace
}  // namespace bpfwarden::kernel
