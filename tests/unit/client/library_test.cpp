// SPDX-License-Identifier: Apache-2.0
// The shared libraries: what they show, and that a process with the preload library is as one without it.
#include <dlfcn.h>
#include <gmock/gmock.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <sstream>
#include <string>

using testing::ElementsAre;
using testing::HasSubstr;

static std::string output(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "re"), ::pclose);
    std::string all;
    std::array<char, 4096> part;
    while (const auto n = std::fread(part.data(), 1, part.size(), pipe.get())) all.append(part.data(), n);
    return all;
}

// Names without their version; "A" is the version itself.
static std::set<std::string> symbols_of(const char* library) {
    std::istringstream lines(output(std::string("nm -D --defined-only ") + library));
    std::set<std::string> names;
    std::string address, kind, name;
    while (lines >> address >> kind >> name)
        if (kind != "A") names.insert(name.substr(0, name.find('@')));
    return names;
}

TEST(Library, ShowsItsFunctionsAndNothingElse) {
    const auto names = symbols_of(CLIENT_LIBRARY);
    EXPECT_GT(names.size(), 15U);
    for (const auto& name : names) EXPECT_EQ(name.substr(0, 5), "bpfw_");
    for (const auto* wanted : {"bpfw_open", "bpfw_bpf", "bpfw_sys_bpf", "bpfw_error", "bpfw_free_description",
                               "bpfw_filter_build", "bpfw_filter_install", "bpfw_filter_compare"})
        EXPECT_TRUE(names.contains(wanted)) << wanted;
}

TEST(Library, HasANameWithItsVersion) {
    EXPECT_THAT(output(std::string("readelf -d ") + CLIENT_LIBRARY), HasSubstr("soname: [libbpfwarden.so.0]"));
    void* library = ::dlopen(CLIENT_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << ::dlerror();
    EXPECT_NE(::dlvsym(library, "bpfw_open", "BPFWARDEN_0"), nullptr);
    EXPECT_EQ(::dlsym(library, "syscall"), ::dlsym(RTLD_DEFAULT, "syscall"));
}

TEST(Preload, TakesThePlaceOfTheseAlone) {
    EXPECT_THAT(symbols_of(PRELOAD_LIBRARY),
                ElementsAre("__open64_2", "__open_2", "__openat64_2", "__openat_2", "fopen", "fopen64", "open",
                            "open64", "openat", "openat64", "syscall"));
    // No compiler is in it.
    EXPECT_LT(std::filesystem::file_size(PRELOAD_LIBRARY) * 2, std::filesystem::file_size(CLIENT_LIBRARY));
    // Nothing comes with it into a program that has no C++.
    EXPECT_THAT(output(std::string("readelf -d ") + PRELOAD_LIBRARY), testing::Not(HasSubstr("libstdc++")));
}

// Results and errnos of calls that are not for us, and of those that would be if there were a session.
static const char script[] = R"(
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(function, *arguments):
    ctypes.set_errno(0)
    result = function(*arguments)
    return (result, errno.errorcode.get(ctypes.get_errno(), 0))
syscall, L = libc.syscall, ctypes.c_long
syscall.restype = L
print(call(syscall, L(39))[0] == os.getpid())
print(call(syscall, L(-1)), call(syscall, L(100000)))
print(call(syscall, L(3), L(-1)))
# mmap: the only common call with six arguments
print(call(syscall, L(9), L(0), L(4096), L(3), L(0x22), L(-1), L(0))[1], call(syscall, L(9), L(0), L(0), L(3), L(0x22), L(-1), L(0)))
print(call(syscall, L(9), L(0), L(4096), L(1), L(2), L(-1), L(0)), call(syscall, L(9), L(0), L(4096), L(3), L(0x22), L(-1), L(1)))
# bpf: an unknown command, attributes that are no address, elements of no map; perf_event_open without attributes
print(call(syscall, L(321), L(100), L(0), L(0)), call(syscall, L(321), L(5), L(0), L(8)), call(syscall, L(321), L(1), L(1), L(8)))
print(call(syscall, L(298), L(0), L(0), L(0), L(-1), L(0)))
libc.open.argtypes = [ctypes.c_char_p, ctypes.c_int]
for path in (b"/no/such", b"/etc/shadow/x", b"/sys/kernel/tracing/events/no/such/id", b"/sys/kernel/tracing/events/no"):
    print(call(libc.open, path, 0), call(libc.open, path, 1), call(libc.open64, path, 0), call(libc.openat, -1, path, 0))
libc.open.argtypes = None
print(call(libc.open, L(1), 0), call(libc.openat, -1, b"x", 0), call(libc.open, b"/dev/null", 0)[0] > 2)
libc.fopen.restype = L
print(call(libc.fopen, b"/no/such", b"r"), call(libc.fopen, b"/no/such", b"w"), call(libc.fopen, b"/dev/null", b"?"))
name = b"/tmp/bpfw-preload-%d" % os.getpid()
fd = libc.open(name, os.O_CREAT | os.O_WRONLY, 0o640)
print(oct(os.fstat(fd).st_mode), os.get_inheritable(fd)); os.unlink(name)
print(os.waitstatus_to_exitcode(os.waitpid(os.fork() or os._exit(7), 0)[1]))
)";

TEST(Preload, LeavesAProcessWithoutASessionAsItWas) {
    ::setenv("SCRIPT", script, 1);
    const auto without = output("env -u BPFWARDEN_GRANT -u BPFWARDEN_SESSION_FD python3 -c \"$SCRIPT\" 2>&1");
    const auto with = output("env -u BPFWARDEN_GRANT -u BPFWARDEN_SESSION_FD LD_PRELOAD=" PRELOAD_LIBRARY
                             " python3 -c \"$SCRIPT\" 2>&1");
    EXPECT_EQ(without, with);
    EXPECT_THAT(without, HasSubstr("EFAULT"));
    EXPECT_THAT(without, testing::EndsWith("7\n"));  // it came to its end
}

// With a session that cannot be opened only BPF is different, and that in words.
TEST(Preload, SaysWhyThereIsNoSession) {
    const std::string with = "env BPFWARDEN_RUN=/no/such LD_PRELOAD=" PRELOAD_LIBRARY " ";
    EXPECT_EQ(output(with + "BPFWARDEN_GRANT=x sh -c 'echo fine' 2>&1"), "fine\n");
    const char* create =
        "import ctypes; l = ctypes.CDLL(None, use_errno=True); a = ctypes.create_string_buffer(128);"
        "r = l.syscall(321, 0, a, 128); print(r, ctypes.get_errno())";
    ::setenv("SCRIPT", create, 1);
    const auto said = output(with + "BPFWARDEN_GRANT=x python3 -c \"$SCRIPT\" 2>&1");
    EXPECT_THAT(said, HasSubstr("libbpfwarden-preload: opening the grant 'x'"));
    EXPECT_THAT(said, HasSubstr("-1 2\n"));
    EXPECT_THAT(output(with + "BPFWARDEN_SESSION_FD=0 python3 -c \"$SCRIPT\" 2>&1 </dev/null"), HasSubstr("-1 88\n"));
    EXPECT_THAT(output(with + "BPFWARDEN_SESSION_FD=none python3 -c \"$SCRIPT\" 2>&1"), HasSubstr("-1 9\n"));
}
