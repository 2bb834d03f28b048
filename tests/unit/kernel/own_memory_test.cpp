// SPDX-License-Identifier: Apache-2.0
// Whoever writes to a file that a process has mapped changes the process, unless it keeps its own memory.
#include "kernel/own_memory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "base/fd.hpp"

namespace bpfwarden::kernel {
namespace {

constexpr std::size_t size = 3 * 4096;

// What the process reads of a mapping after somebody has written to the file: 'a' what it was, 'b' what was written.
char seen_after_a_write(int protection, bool keep) {
    std::string path = ::testing::TempDir() + "own-memory-XXXXXX";
    const UniqueFd file(::mkstemp(path.data()));
    const std::string before(size, 'a'), after(size, 'b');
    EXPECT_EQ(::pwrite(file.get(), before.data(), size, 0), static_cast<ssize_t>(size));
    const pid_t pid = ::fork();
    if (pid == 0) {
        const UniqueFd own(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        void* const mapped = ::mmap(nullptr, size, protection, MAP_PRIVATE, own.get(), 0);
        if (mapped == MAP_FAILED) ::_exit(1);
        const auto* text = static_cast<const volatile char*>(mapped);
        if (text[2 * 4096] != 'a') ::_exit(2);
        if (keep) (void)keep_own_memory();  // the last of it, locking, takes a privilege
        if (::pwrite(file.get(), after.data(), size, 0) != static_cast<ssize_t>(size)) ::_exit(4);
        for (std::size_t i = 0; i < size; i += 4095)
            if (text[i] != text[0]) ::_exit(5);
        ::_exit(text[0]);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    ::unlink(path.c_str());
    return WIFEXITED(status) ? static_cast<char>(WEXITSTATUS(status)) : '?';
}

TEST(OwnMemory, IsNotChangedByWhoWritesToItsFiles) {
    for (const int protection : {PROT_READ, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE}) {
        EXPECT_EQ(seen_after_a_write(protection, false), 'b') << "control: " << protection;
        EXPECT_EQ(seen_after_a_write(protection, true), 'a') << protection;
    }
}

TEST(OwnMemory, GetsNoCodeBesides) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        const auto map = [](int protection) {
            return ::mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        };
        if (map(PROT_READ | PROT_EXEC) == MAP_FAILED) ::_exit(1);  // control
        if (!refuse_new_code()) ::_exit(2);
        void* const plain = map(PROT_READ | PROT_WRITE);
        if (plain == MAP_FAILED || ::mprotect(plain, 4096, PROT_READ)) ::_exit(3);
        if (map(PROT_READ | PROT_EXEC) != MAP_FAILED || errno != EPERM) ::_exit(4);
        if (!::mprotect(plain, 4096, PROT_READ | PROT_EXEC) || errno != EPERM) ::_exit(5);
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace bpfwarden::kernel
