// SPDX-License-Identifier: Apache-2.0
// Programs: what enters a domain, with which libraries and interpreters, and what becomes executable memory.
#include <elf.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "vm/policy_guest.hpp"

namespace bpfwarden::test {

namespace {

namespace fs = std::filesystem;

const std::string no_programs = room + "noexec/";

class PolicyPrograms : public PolicyGuest {
  protected:
    static void SetUpTestSuite() {
        PolicyGuest::SetUpTestSuite();
        if (!emulated()) return;
        apply(usual_rules + R"(
[[rule]]
domains = ["actor"]
deny = ["exec", "map_exec"]
paths = ["/run/evade/noexec/**"]
[[rule]]
domains = ["insecure"]
deny = ["map_anon_exec"]
)");
        fs::create_directories(no_programs);
        fs::copy_file("/bin/busybox", no_programs + "busybox", fs::copy_options::skip_existing);
    }
    static void TearDownTestSuite() {
        if (emulated()) apply(usual_rules);
    }
};

// --- libraries of others
// ----------------------------------------------------------------------------------------------

// 1: the library was taken.
int library_is_there(const Words& words) {
    return (text_of("/proc/self/maps").contains(words.at(0)) ? 1 : 0) | (::getauxval(AT_SECURE) ? 2 : 0);
}

TEST_F(PolicyPrograms, LibrariesFromTheEnvironment) {
    const auto library = open_place + "preload.so";
    fs::copy_file("/lib/x86_64-linux-gnu/libgcc_s.so.1", library);
    ::setenv("LD_PRELOAD", library.c_str(), 1);
    EXPECT_EQ(perform(nobody, library_is_there, {library}), 1);
    EXPECT_EQ(perform("insecure", library_is_there, {library}), 1);  // secure_exec = false
    EXPECT_EQ(perform("trusted", library_is_there, {library}), 2);
    ::unsetenv("LD_PRELOAD");
}

// --- interpreters
// -----------------------------------------------------------------------------------------------------

int execute(const Words& words) {
    std::vector<char*> argv;
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::execv(argv[0], argv.data());
        ::_exit(errno);
    }
    return wait_for(pid);
}
void write_script(const std::string& path) {
    write_file(path, "#!/bin/busybox sh\nread line < /run/evade/secret/file || exit 1\n");
    ::chmod(path.c_str(), 0755);
}

TEST_F(PolicyPrograms, AScriptHasTheDomainNotItsInterpreter) {
    write_script(room + "script");  // a way into "actor"
    write_script(open_place + "script");
    EXPECT_EQ(perform(nobody, execute, {open_place + "script"}), 0);
    EXPECT_EQ(perform(nobody, execute, {room + "script"}), 1);
    EXPECT_EQ(perform(nobody, execute, {"/bin/busybox", "sh", room + "script"}), 0) << "not executed, but read";
    fs::remove(room + "script");
}

TEST_F(PolicyPrograms, AnInterpreterNeedsToBeExecutableToo) {
    const auto script = open_place + "script";
    write_file(script, "#!/run/evade/noexec/busybox sh\nexit 0\n");
    ::chmod(script.c_str(), 0755);
    EXPECT_EQ(perform(nobody, execute, {no_programs + "busybox", "true"}), 0);
    EXPECT_EQ(perform(actor, execute, {no_programs + "busybox", "true"}), EACCES);
    EXPECT_EQ(perform(actor, execute, {script}), EACCES);
    EXPECT_EQ(perform(nobody, execute, {script}), 0);
}

TEST_F(PolicyPrograms, TheLoaderAsAProgram) {
    const auto program = open_place + "dynamic";
    fs::copy_file(room + nobody, no_programs + "dynamic", fs::copy_options::skip_existing);
    const Words words{"/lib64/ld-linux-x86-64.so.2", "--list", no_programs + "dynamic"};
    EXPECT_EQ(perform(nobody, execute, words), 0);
    EXPECT_NE(perform(actor, execute, words), 0);
}

TEST_F(PolicyPrograms, ByDescriptor) {
    for (const char* how : {"fexecve", "proc", "empty path"})
        for (const char* who : {actor, nobody})
            EXPECT_EQ(perform(who,
                              [](const Words& words) -> int {
                                  const int fd = ::open((no_programs + "busybox").c_str(),
                                                        words.at(0) == "proc" ? O_RDONLY : O_PATH);
                                  char* argv[] = {const_cast<char*>("true"), nullptr};
                                  if (words.at(0) == "fexecve")
                                      ::fexecve(fd, argv, environ);
                                  else if (words.at(0) == "proc")
                                      ::execv(("/proc/self/fd/" + std::to_string(fd)).c_str(), argv);
                                  else
                                      ::syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
                                  return errno;
                              },
                              {how}),
                      who == actor ? EACCES : 0)
                << how << who;
}

// --- memory
// -----------------------------------------------------------------------------------------------------------

int map_program(const Words& words) {
    const int fd = ::open((no_programs + "busybox").c_str(), O_RDONLY);
    const bool later = words.at(0) == "later";
    void* memory = ::mmap(nullptr, 4096, later ? PROT_READ : PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED) return errno;
    return later ? status_of(::mprotect(memory, 4096, PROT_READ | PROT_EXEC)) : 0;
}

TEST_F(PolicyPrograms, MappedToBeExecuted) {
    expect_refused(map_program, {"at once"});
    expect_refused(map_program, {"later"});
}

// Executable memory that is no program's, in each form that there is.
int make_executable(const Words& words) {
    const auto& how = words.at(0);
    constexpr int all = PROT_READ | PROT_WRITE | PROT_EXEC;
    void* memory = MAP_FAILED;
    bool later = false;
    if (how == "private") memory = ::mmap(nullptr, 4096, all, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (how == "shared") memory = ::mmap(nullptr, 4096, all, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (how.starts_with("memfd")) {
        const int fd = ::memfd_create("code", 0);
        if (::ftruncate(fd, 4096)) return 201;
        later = how == "memfd later";
        memory = ::mmap(nullptr, 4096, later ? PROT_READ : PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    }
    if (how == "private later" || how == "shared later") {
        later = true;
        memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                        (how == "shared later" ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
    }
    if (how == "written") {
        later = true;
        const int fd = ::open("/bin/busybox", O_RDONLY);
        memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        if (memory != MAP_FAILED) *static_cast<volatile char*>(memory) = 1;
    }
    if (how == "system v") {
        const int id = ::shmget(IPC_PRIVATE, 4096, 0700);
        memory = ::shmat(id, nullptr, SHM_EXEC);
        const int error = errno;
        ::shmctl(id, IPC_RMID, nullptr);
        errno = error;
    }
    if (memory == MAP_FAILED) return errno;
    return later ? status_of(::mprotect(memory, 4096, PROT_READ | PROT_EXEC)) : 0;
}

TEST_F(PolicyPrograms, MemoryThatIsNoProgram) {
    for (const char* how :
         {"private", "shared", "private later", "shared later", "memfd", "memfd later", "written", "system v"}) {
        SCOPED_TRACE(how);
        expect_refused(make_executable, {how}, EACCES, "insecure");
        expect_permitted(make_executable, {how});
    }
}

// The oldest way to map a library, which opens it by itself.
int use_library(const Words& words) {
    const int error = status_of(::syscall(SYS_uselib, words.at(0).c_str()));
    return error == ENOEXEC ? 0 : error;  // it was opened, and is in no form of that time
}

TEST_F(PolicyPrograms, Uselib) {
    if (perform(nobody, use_library, {secret}) == ENOSYS)
        EXPECT_EQ(perform(actor, use_library, {secret}), ENOSYS) << "nor is it there for anybody else";
    else
        expect_refused(use_library, {secret});
}

}  // namespace

}  // namespace bpfwarden::test
