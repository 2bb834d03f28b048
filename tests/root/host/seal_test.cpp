// SPDX-License-Identifier: Apache-2.0
// `bpfwarden guard` on a kernel without BPF LSM: nothing is sealed, and it says why.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "root/guests.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;

std::string text_of(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

TEST(SealWithoutBpfLsm, IsRefusedAndLeavesNothing) {
    // What is in the list stands between commas.
    if (("," + text_of("/sys/kernel/security/lsm") + ",").find(",bpf,") != std::string::npos || emulated())
        GTEST_SKIP() << "this kernel has BPF LSM";
    // Test programs lie in tests/SUITE/ beside bin/.
    const auto tool = fs::canonical("/proc/self/exe").parent_path().parent_path().parent_path() / "bin/bpfwarden";
    const auto said = fs::temp_directory_path() / ("host-seal-" + std::to_string(::getpid()));
    const auto run = [&](const std::string& verb) {
        const int status =
            std::system(("'" + tool.string() + "' guard " + verb + " > " + said.string() + " 2>&1").c_str());
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    };
    const auto mounts = text_of("/proc/self/mountinfo");
    for (const char* updater : {"", " --updater cap:mac_admin", " --updater domain:any"}) {
        EXPECT_EQ(run(std::string("seal") + updater), 3) << text_of(said);
        EXPECT_NE(text_of(said).find("security modules"), std::string::npos) << text_of(said);
    }
    EXPECT_EQ(run("status"), 5) << text_of(said);
    EXPECT_EQ(run("unseal"), 5) << text_of(said);
    EXPECT_EQ(run("protect --id prog:1"), 5) << text_of(said);
    EXPECT_EQ(text_of("/proc/self/mountinfo"), mounts);
    EXPECT_FALSE(fs::exists("/run/bpfwarden/sealed"));
    fs::remove(said);
}

}  // namespace
}  // namespace bpfwarden::test
