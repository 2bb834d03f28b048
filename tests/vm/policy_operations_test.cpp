// SPDX-License-Identifier: Apache-2.0
// Each operation of the language: refused to a domain with one rule that denies it, permitted to a domain in which
// nothing is permitted but by a rule that allows it. And the facts that have no operation.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "vm/policy_guest.hpp"
#include "vm/uring.hpp"

namespace bpfwarden::test {

namespace {

namespace fs = std::filesystem;

std::string at(const std::string& name) { return open_place + name; }

// --- acts
// -------------------------------------------------------------------------------------------------------------

int open_with(int flags) { return status_of(::open(at("file").c_str(), flags, 0644)); }

int address_act(int domain, const char* address, int port, bool binds, bool sends = false) {
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    v4.sin_family = AF_INET;
    v6.sin6_family = AF_INET6;
    v4.sin_port = v6.sin6_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(domain, address, domain == AF_INET ? static_cast<void*>(&v4.sin_addr) : &v6.sin6_addr);
    const auto* target =
        domain == AF_INET ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
    const socklen_t size = domain == AF_INET ? sizeof v4 : sizeof v6;
    const int fd = ::socket(domain, SOCK_DGRAM, 0);
    if (fd < 0) return errno;
    if (binds) return status_of(::bind(fd, target, size));
    if (sends) return status_of(::sendto(fd, "x", 1, 0, target, size));
    return status_of(::connect(fd, target, size));
}

int listens(bool accepts) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | (accepts ? SOCK_NONBLOCK : 0), 0);
    if (fd < 0 || ::listen(fd, 1)) return errno;
    if (!accepts) return 0;
    const int got = ::accept(fd, nullptr, nullptr);
    return got < 0 && errno == EAGAIN ? 0 : errno;  // nobody called
}

// A process in no domain, which waits.
pid_t other_process(const Words& words) { return std::stoi(words.at(1)); }

// The operation's name, and the process id of somebody in no domain.
int do_operation(const Words& words) {
    const auto& op = words.at(0);
    const auto file = at("file");
    if (op == "read") return read_file(file);
    if (op == "write") return open_with(O_WRONLY);
    if (op == "append") return open_with(O_WRONLY | O_APPEND);
    if (op == "truncate") return status_of(::truncate(file.c_str(), 1));
    if (op == "create") return status_of(::creat(at("created").c_str(), 0644));
    if (op == "mkdir") return status_of(::mkdir(at("made").c_str(), 0755));
    if (op == "mknod") return status_of(::mknod(at("device").c_str(), S_IFCHR | 0600, makedev(1, 3)));
    if (op == "symlink") return status_of(::symlink("file", at("symbolic").c_str()));
    if (op == "delete") return status_of(::unlink(file.c_str()));
    if (op == "rename") return status_of(::rename(file.c_str(), at("renamed").c_str()));
    if (op == "link") return status_of(::link(file.c_str(), at("linked").c_str()));
    if (op == "chmod") return status_of(::chmod(file.c_str(), 0700));
    if (op == "chown") return status_of(::chown(file.c_str(), 1, 1));
    if (op == "setxattr") return status_of(::setxattr(file.c_str(), "trusted.x", "y", 1, 0));
    if (op == "exec" || op == "map_exec") {
        const auto program = at("program");
        if (op == "map_exec") {
            const int fd = ::open(program.c_str(), O_RDONLY);
            return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? errno : 0;
        }
        char* argv[] = {const_cast<char*>("true"), nullptr};
        ::execv(program.c_str(), argv);
        return errno;
    }
    if (op == "mount" || op == "umount" || op == "pivot_root" || op == "chroot") {
        if (op == "chroot") return status_of(::chroot(at("").c_str()));
        if (op == "umount") return status_of(::umount(at("mounted").c_str()));
        if (op == "mount")
            return status_of(
                ::mount(nullptr, at("mounted").c_str(), nullptr, MS_REMOUNT | MS_RDONLY | MS_BIND, nullptr));
        if (::unshare(CLONE_NEWNS) || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr)) return errno;
        return status_of(::syscall(SYS_pivot_root, at("mounted").c_str(), at("mounted").c_str()));
    }
    if (op == "socket") return status_of(::socket(AF_INET, SOCK_DGRAM, 0));
    if (op == "bind") return address_act(AF_INET, "127.0.0.1", 0, true);
    if (op == "connect") return address_act(AF_INET, "127.0.0.1", 9, false);
    if (op == "listen" || op == "accept") return listens(op == "accept");
    if (op == "ptrace") return status_of(::ptrace(PTRACE_SEIZE, other_process(words), nullptr, nullptr));
    if (op == "read_memory") {
        // Not environ: newer kernels ask nobody about a holder of CAP_PERFMON who reads memory.
        char exe[256];
        return status_of(::readlink(("/proc/" + words.at(1) + "/exe").c_str(), exe, sizeof exe));
    }
    if (op == "signal") return status_of(::kill(other_process(words), 0));
    if (op == "capable") return status_of(::sethostname("evade", 5));
    if (op == "bpf") {
        bpf_attr attr{};
        return ::syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &attr, sizeof attr) && errno != ENOENT ? errno : 0;
    }
    if (op == "perf") {
        perf_event_attr attr{};
        attr.size = sizeof attr;
        attr.type = PERF_TYPE_SOFTWARE;
        attr.config = PERF_COUNT_SW_CPU_CLOCK;
        return status_of(::syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
    }
    if (op == "module") {
        // What is no module is asked about before anybody looks at it.
        const int fd = ::open(at("program").c_str(), O_RDONLY);
        ::syscall(SYS_finit_module, fd, "", 0);
        return errno == ENOEXEC ? 0 : errno;
    }
    if (op == "userns") return status_of(::unshare(CLONE_NEWUSER));
    if (op == "io_uring") return Uring().works() ? 0 : errno;
    if (op == "map_anon_exec")
        return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno
                                                                                                              : 0;
    return 250;
}

struct Operation {
    const char* name;
    const char* object = "";  // keys of its rule
    int refused = EACCES;
};
constexpr const char* in_open = R"(paths = ["/run/evade/open{,/**}"])";
constexpr Operation operations[] = {
    {"read", in_open},
    {"write", in_open},
    {"append", in_open},
    {"truncate", in_open},
    {"create", in_open},
    {"mkdir", in_open},
    {"mknod", in_open},
    {"symlink", in_open},
    {"delete", in_open},
    {"rename", in_open},
    {"link", in_open},
    {"chmod", in_open},
    {"chown", in_open},
    {"setxattr", in_open},
    {"exec", in_open},
    {"map_exec", in_open},
    {"mount", in_open},
    {"umount", in_open},
    {"pivot_root", in_open},
    {"chroot", in_open},
    {"socket"},
    {"bind"},
    {"connect"},
    {"listen"},
    {"accept"},
    {"ptrace"},
    {"read_memory"},
    {"signal"},
    {"capable", R"(capabilities = ["sys_admin"])", EPERM},
    {"bpf"},
    {"perf"},
    {"module"},
    {"userns"},
    {"io_uring"},
    {"map_anon_exec"},
};

std::string twin(const Operation& operation) {
    std::string name = operation.name;
    for (auto& byte : name)
        if (byte == '_') byte = '-';
    return "no-" + name;
}

std::string table_policy() {
    std::string text = usual_rules, paths, others;
    for (const auto& operation : operations) {
        const auto name = twin(operation);
        text += "[[domain]]\nname = \"" + name + "\"\nenter = [ { exe = \"" + room + name + "\" } ]\n";
        text +=
            "[[rule]]\ndomains = [\"" + name + "\"]\ndeny = [\"" + operation.name + "\"]\n" + operation.object + "\n";
        if (operation.object == in_open)
            paths += "\"" + std::string(operation.name) + "\", ";
        else
            others += "[[rule]]\ndomains = [\"every\"]\nallow = [\"" + std::string(operation.name) + "\"]\n";
    }
    return text + "[[domain]]\nname = \"every\"\nenter = [ { exe = \"/run/evade/every\" } ]\ndefault = \"deny\"\n" +
           "[[rule]]\ndomains = [\"every\"]\nallow = [" + paths + "]\npaths = [\"/**\", \"/\"]\n" + others;
}

class PolicyOperations : public PolicyGuest {
  protected:
    void SetUp() override {
        PolicyGuest::SetUp();
        if (IsSkipped()) return;
        fs::copy_file("/bin/busybox", at("program"));
        fs::create_directory(at("mounted"));
        ASSERT_EQ(::mount(at("mounted").c_str(), at("mounted").c_str(), nullptr, MS_BIND, nullptr), 0);
    }
    void TearDown() override {
        ::umount2(at("mounted").c_str(), MNT_DETACH);
        PolicyGuest::TearDown();
    }
    void again() { PolicyOperations::TearDown(), PolicyOperations::SetUp(); }
};

TEST_F(PolicyOperations, EachIsRefusedAndEachIsPermitted) {
    apply(table_policy());
    for (const auto& operation : operations) fs::create_hard_link(room + actor, room + twin(operation));
    fs::create_hard_link(room + actor, room + "every");
    const pid_t other = start(nobody, [](const Words&) { return ::pause(); });
    for (const auto& operation : operations) {
        SCOPED_TRACE(operation.name);
        const Words words{operation.name, std::to_string(other)};
        again();
        const int without = perform(nobody, do_operation, words);
        if (without == ENOSYS || without == EOPNOTSUPP) continue;  // not on this kernel
        EXPECT_EQ(without, 0);
        again();
        EXPECT_EQ(perform(twin(operation).c_str(), do_operation, words), operation.refused);
        again();
        EXPECT_EQ(perform("every", do_operation, words), without);
    }
    ::kill(other, SIGKILL);
    wait_for(other);
    apply(usual_rules);
}

// --- one operation in other forms
// ---------------------------------------------------------------------------------------

int change_by_descriptor(const Words& words) {
    const int fd = ::open(at("file").c_str(), O_RDWR);
    const auto& how = words.at(0);
    if (how == "fchmod") return status_of(::fchmod(fd, 0700));
    if (how == "fchown") return status_of(::fchown(fd, 1, 1));
    if (how == "fsetxattr") return status_of(::fsetxattr(fd, "trusted.x", "y", 1, 0));
    if (how == "ftruncate") return status_of(::ftruncate(fd, 1));
    if (how == "creat") return status_of(::creat(at("file").c_str(), 0644));
    if (how == "read and truncate") return status_of(::open(at("file").c_str(), O_RDONLY | O_TRUNC));
    if (how == "unnamed") return status_of(::open(at("").c_str(), O_TMPFILE | O_RDWR, 0644));
    if (how == "unlinkat") return status_of(::unlinkat(::open(at("").c_str(), O_RDONLY), "file", 0));
    if (how == "replace") return write_file(at("new"), ""), status_of(::rename(at("new").c_str(), at("file").c_str()));
    return how == "utimens" ? status_of(::futimens(fd, nullptr)) : 250;
}

TEST_F(PolicyOperations, ByDescriptorAndByAnotherCall) {
    apply(usual_rules + R"(
[[rule]]
domains = ["actor"]
deny = ["chmod", "chown", "setxattr", "truncate", "delete"]
paths = ["/run/evade/open/file"]
[[rule]]
domains = ["actor"]
deny = ["create"]
paths = ["/run/evade/open/#*"]
)");
    for (const char* how : {"fchmod", "fchown", "fsetxattr", "ftruncate", "creat", "read and truncate", "unlinkat",
                            "replace", "unnamed"}) {
        SCOPED_TRACE(how);
        again();
        expect_refused(change_by_descriptor, {how});
    }
    again();
    // States a fact: times have no operation.
    expect_permitted(change_by_descriptor, {"utimens"});
    apply(usual_rules);
}

// The one who is to have a file's signals, and which: no operation is asked about that.
int signal_by_file(const Words& words) {
    const pid_t other = std::stoi(words.at(0));
    int ends[2];
    if (::kill(other, 0) == 0 || errno != EACCES) return 200;
    if (::pipe(ends) || ::fcntl(ends[0], F_SETOWN, other) || ::fcntl(ends[0], F_SETSIG, SIGTERM) ||
        ::fcntl(ends[0], F_SETFL, O_ASYNC))
        return errno;
    return ::write(ends[1], "x", 1) == 1 ? 0 : errno;
}

TEST_F(PolicyOperations, FactSignalsOfFilesAreNoSignals) {
    apply(usual_rules + "[[rule]]\ndomains = [\"actor\"]\ndeny = [\"signal\"]\n");
    const pid_t other = start(nobody, [](const Words&) { return ::pause(); });
    expect_permitted(signal_by_file, {std::to_string(other)});
    int status = 0;
    ASSERT_EQ(::waitpid(other, &status, 0), other);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    apply(usual_rules);
}

int contact(const Words& words) {
    return address_act(words.at(0) == "6" ? AF_INET6 : AF_INET, words.at(1).c_str(), 9, false, words.at(2) == "send");
}

TEST_F(PolicyOperations, OneAddressInAllItsForms) {
    apply(usual_rules + R"(
[[rule]]
domains = ["actor"]
deny = ["connect"]
net = [{ family = "inet", address = "127.0.0.1" }, { family = "inet6", address = "::1" }]
)");
    for (const char* how : {"connect", "send"}) {
        for (const auto& [family, address] : {std::pair{"4", "127.0.0.1"},
                                              {"4", "0.0.0.0"},
                                              {"6", "::ffff:127.0.0.1"},
                                              {"6", "::ffff:0.0.0.0"},
                                              {"6", "::1"},
                                              {"6", "::"}}) {
            SCOPED_TRACE(address);
            expect_refused(contact, {family, address, how});
        }
        expect_permitted(contact, {"4", "127.0.0.2", how});
    }
    apply(usual_rules);
}

constexpr int sctp = 132, sctp_bindx_add = 100;

int by_sctp(const Words& words) {
    const int fd = ::socket(AF_INET, SOCK_SEQPACKET | SOCK_NONBLOCK, sctp);
    if (fd < 0) return errno;
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(9);
    const auto* address = reinterpret_cast<const sockaddr*>(&to);
    const auto& how = words.at(0);
    const int error = status_of(how == "bind"      ? ::bind(fd, address, sizeof to)
                                : how == "bindx"   ? ::setsockopt(fd, sctp, sctp_bindx_add, &to, sizeof to)
                                : how == "connect" ? ::connect(fd, address, sizeof to)
                                                   : ::sendto(fd, "x", 1, 0, address, sizeof to));
    return error == EINPROGRESS ? 0 : error;
}

TEST_F(PolicyOperations, Sctp) {
    (void)!std::system("modprobe sctp 2>/dev/null");
    if (perform(nobody, by_sctp, {"bind"}) == EPROTONOSUPPORT) GTEST_SKIP() << "this kernel has no SCTP";
    apply(usual_rules + R"(
[[rule]]
domains = ["actor"]
deny = ["bind", "connect"]
net = [{ family = "inet", address = "127.0.0.1" }]
)");
    for (const char* how : {"bind", "connect", "send"}) {
        SCOPED_TRACE(how);
        expect_refused(by_sctp, {how});
    }
    // States a fact: its own calls for several addresses are not asked about.
    expect_permitted(by_sctp, {"bindx"});
    apply(usual_rules + "[[rule]]\ndomains = [\"actor\"]\ndeny = [\"socket\"]\n");
    expect_refused(by_sctp, {"bindx"});
    apply(usual_rules);
}

}  // namespace

}  // namespace bpfwarden::test
