// SPDX-License-Identifier: Apache-2.0
#include "vm/guard_guest.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "trust/digest.hpp"

namespace bpfwarden::test {

namespace fs = std::filesystem;

std::ostream& operator<<(std::ostream& out, const Ran& ran) {
    return out << "status " << ran.status << "\n" << ran.out << ran.err;
}

static int status_in(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

static std::string text_in(const UniqueFd& file) {
    std::string text;
    char buffer[4096];
    ::lseek(file.get(), 0, SEEK_SET);
    for (ssize_t n; (n = ::read(file.get(), buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(n));
    return text;
}

// A copy of env, which executes what it is told to.
static const std::string updater_itself = place + "updater";

Ran run(const Words& words, const std::function<bool()>& prepare, const std::string& program) {
    const UniqueFd out(::memfd_create("out", MFD_CLOEXEC)), err(::memfd_create("err", MFD_CLOEXEC));
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    if (program == updater)
        for (const auto* word : {&updater_itself, &tool}) argv.push_back(const_cast<char*>(word->c_str()));
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::dup2(out.get(), 1);
        ::dup2(err.get(), 2);
        if (prepare && !prepare()) ::_exit(126);
        ::execv(program.c_str(), argv.data());
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return {status_in(status), text_in(out), text_in(err)};
}

int in_child(const std::function<int()>& act) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(act());
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool without_mac_admin() {
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (::prctl(PR_CAPBSET_DROP, CAP_MAC_ADMIN) || ::syscall(SYS_capget, &head, data)) return false;
    const auto keep = ~(1U << (CAP_MAC_ADMIN - 32));
    data[1].effective &= keep;
    data[1].permitted &= keep;
    data[1].inheritable &= keep;
    return ::syscall(SYS_capset, &head, data) == 0;
}

bool in_user_namespace() {
    if (::unshare(CLONE_NEWUSER)) return false;
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", "0 0 1");
    write_file("/proc/self/gid_map", "0 0 1");
    return ::setuid(0) == 0;
}

bool eventually(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
}

std::string text_of(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::set<std::string> names_in(const std::string& directory) {
    std::set<std::string> names;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(directory, none)) names.insert(entry.path().filename());
    return names;
}

bool is_mounted(const std::string& path) { return text_of("/proc/mounts").contains(" " + path + " "); }

std::ostream& operator<<(std::ostream& out, const InKernel& ids) {
    return out << fmt::format("maps {}, programs {}, links {}", fmt::join(ids.maps, " "), fmt::join(ids.programs, " "),
                              fmt::join(ids.links, " "));
}

InKernel in_kernel() {
    const auto all = [](int (*next)(__u32, __u32*)) {
        std::set<std::uint32_t> ids;
        for (__u32 id = 0; next(id, &id) == 0;) ids.insert(id);
        return ids;
    };
    return {all(::bpf_map_get_next_id), all(::bpf_prog_get_next_id), all(::bpf_link_get_next_id)};
}

std::set<std::string> new_names(const InKernel& now, const InKernel& before) {
    std::set<std::string> names;
    const auto add = [&](const char* kind, const auto& ids, const auto& old) {
        for (const auto id : ids)
            if (!old.contains(id)) names.insert(fmt::format("{}:{}", kind, id));
    };
    add("map", now.maps, before.maps);
    add("prog", now.programs, before.programs);
    add("link", now.links, before.links);
    return names;
}

void expect_three_parts(const Ran& ran) { EXPECT_EQ(std::ranges::count(ran.err, '\n'), 3) << ran; }

static bool in_force = false;

static std::unique_ptr<Maker>& maker() {
    static std::unique_ptr<Maker> one;
    return one;
}

void GuardGuest::SetUpTestSuite() {
    if (!emulated() || in_force) return;
    for (const char* folder : {"one", "two", "both"}) fs::create_directories(place + folder);
    for (const auto& copy : {updater, updater_itself})
        fs::copy_file("/usr/bin/env", copy, fs::copy_options::skip_existing);
    const UniqueFd file(::open(updater_itself.c_str(), O_RDONLY | O_CLOEXEC));
    const auto digest = trust::sha256_of_file(file);
    ASSERT_TRUE(digest);
    const auto domain = fmt::format(
        "[[domain]]\nname = \"gate\"\nenter = [ {{ exe = \"{}\" }} ]\n"
        "[[domain]]\nname = \"updater\"\nenter = [ {{ ima = \"sha256:{}\", from = [\"gate\"] }} ]\n",
        updater, *digest);
    write_file(old_policy, policy_of("maker", "{one,both}") + domain);
    write_file(new_policy, policy_of("maker", "{two,both}") + domain);
    in_force = true;
    old_in_force();
    new_maker();
}

void GuardGuest::new_maker() { maker() = std::make_unique<Maker>("maker"); }

void GuardGuest::SetUp() {
    if (!emulated()) GTEST_SKIP() << "BPF LSM decides in guests of tools/lab only";
    ASSERT_FALSE(sealed());
    expect_in_force();
}

void GuardGuest::TearDown() {
    if (!emulated()) return;
    if (sealed()) unseal();
    if (!decides("one")) old_in_force();
}

void GuardGuest::old_in_force() {
    const auto applied = run({"policy", "apply", old_policy});
    ASSERT_EQ(applied.status, 0) << applied;
}

void GuardGuest::seal(const Words& options) {
    Words words{"guard", "seal"};
    words.insert(words.end(), options.begin(), options.end());
    const auto done = run(words);
    ASSERT_EQ(done.status, 0) << done;
}

void GuardGuest::unseal() {
    // In the domain, and with the capability.
    const auto done = run({"guard", "unseal"}, {}, updater);
    ASSERT_EQ(done.status, 0) << done;
}

nlohmann::json GuardGuest::status() {
    const auto said = run({"guard", "status", "--json"});
    const auto parsed = nlohmann::json::parse(said.out, nullptr, false);
    EXPECT_TRUE(parsed.is_object()) << said;
    EXPECT_EQ(said.status, parsed.value("armed", false) ? 0 : 5) << said;
    return parsed;
}

bool GuardGuest::sealed() { return status().value("armed", false); }

std::set<std::string> GuardGuest::sealed_things() {
    const auto things = status()["sealed"];
    return {things.begin(), things.end()};
}

bool GuardGuest::decides(const char* folder) {
    static int number = 0;
    return maker()->make(fmt::format("{}/{}-{}", folder, ::getpid(), ++number)) == EACCES;
}

void GuardGuest::expect_in_force() {
    EXPECT_TRUE(decides("one"));
    EXPECT_TRUE(decides("both"));
    EXPECT_FALSE(decides("two")) << "control";
}

// Nothing stays attached, but under a seal that only a start of the machine ends.
class TakeAway : public ::testing::Environment {
    void TearDown() override {
        if (!in_force) return;
        maker().reset();
        const auto removed = run({"policy", "remove"});
        EXPECT_TRUE(removed.status == 0 || removed.status == 4) << removed;
    }
};
static const auto* const take_away = ::testing::AddGlobalTestEnvironment(new TakeAway);

}  // namespace bpfwarden::test
