// SPDX-License-Identifier: Apache-2.0
// Other ways to a file that a rule refuses: descriptors, handles, io_uring, memory, threads.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/fd.hpp"
#include "vm/policy_guest.hpp"
#include "vm/uring.hpp"

namespace bpfwarden::test {

namespace {

namespace fs = std::filesystem;

class PolicyDescriptors : public PolicyGuest {};

int read_it(const Words& words) { return read_file(words.at(0)); }
std::string self(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

TEST_F(PolicyDescriptors, ReopenedFromOneThatOnlyNames) {
    expect_refused([](const Words&) {
        const int fd = ::open(secret.c_str(), O_PATH);
        return fd < 0 ? 200 : read_file(self(fd));
    });
}

TEST_F(PolicyDescriptors, DeletedThenReopened) {
    const UniqueFd fd(::open(secret.c_str(), O_PATH));  // inherited
    fs::remove(secret);
    expect_refused(read_it, {self(fd.get())});
    // A deleted file has the name that it had, and the place is still refused.
    fs::remove_all(room + "secret");
    expect_refused(read_it, {self(fd.get())});
}

// States a fact: what is open is not asked about again. What was given away is given away; a new open of it is refused.
TEST_F(PolicyDescriptors, PassedFromOutside) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    const UniqueFd theirs(ends[0]), ours(ends[1]);
    const UniqueFd fd(::open(secret.c_str(), O_RDONLY | O_CLOEXEC));
    const auto pass = [&] {
        char byte = 0, room_for[CMSG_SPACE(sizeof(int))]{};
        iovec part{&byte, 1};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = room_for;
        message.msg_controllen = sizeof room_for;
        auto* head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        const int number = fd.get();
        std::memcpy(CMSG_DATA(head), &number, sizeof number);
        ASSERT_EQ(::sendmsg(ours.get(), &message, 0), 1);
    };
    const Act take = [](const Words& words) {
        char byte = 0, room_for[CMSG_SPACE(sizeof(int))]{};
        iovec part{&byte, 1};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = room_for;
        message.msg_controllen = sizeof room_for;
        if (::recvmsg(std::stoi(words.at(0)), &message, 0) != 1) return 200;
        int got = -1;
        std::memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof got);
        if (words.at(1) == "again") return read_file(self(got));
        return ::pread(got, &byte, 1, 0) == 1 ? 0 : errno;
    };
    pass();
    EXPECT_EQ(perform(actor, take, {std::to_string(theirs.get()), "read"}), 0);
    pass(), pass();
    expect_refused(take, {std::to_string(theirs.get()), "again"});
}

// --- handles
// ----------------------------------------------------------------------------------------------------------

struct Handle {
    unsigned bytes = sizeof data;
    int type = 0;
    unsigned char data[128];
    file_handle* get() { return static_cast<file_handle*>(static_cast<void*>(this)); }
};
int open_handle(const Words& words) {
    const UniqueFd mount(::open(words.at(0).c_str(), O_RDONLY | O_DIRECTORY));
    Handle handle{};
    handle.type = std::stoi(words.at(1));
    handle.bytes = static_cast<unsigned>(words.at(2).size() / 2);
    for (std::size_t i = 0; i < handle.bytes; ++i)
        handle.data[i] = static_cast<unsigned char>(std::stoi(words.at(2).substr(2 * i, 2), nullptr, 16));
    const int fd = ::open_by_handle_at(mount.get(), handle.get(), O_RDONLY);
    char byte;
    return fd < 0 ? errno : ::read(fd, &byte, 1) == 1 ? 0 : 200;
}
Words handle_of(const std::string& mount, const std::string& path) {
    Handle handle{};
    int id = 0;
    EXPECT_EQ(::name_to_handle_at(AT_FDCWD, path.c_str(), handle.get(), &id, 0), 0) << path;
    std::string hex;
    for (unsigned i = 0; i < handle.bytes; ++i) {
        static constexpr char digits[] = "0123456789abcdef";
        hex += digits[handle.data[i] >> 4];
        hex += digits[handle.data[i] & 15];
    }
    return {mount, std::to_string(handle.type), hex};
}

TEST_F(PolicyDescriptors, OpenedByHandle) {
    fs::create_directories("/bpfwarden/evade/secret");
    write_file("/bpfwarden/evade/secret/file", "secret\n");
    const auto words = handle_of("/bpfwarden", "/bpfwarden/evade/secret/file");
    expect_refused(open_handle, words);
    // A file that nobody knows the name of at this moment: it could be one that is denied.
    ::sync();
    write_file("/proc/sys/vm/drop_caches", "2");
    const auto before = blind();
    EXPECT_EQ(perform(actor, open_handle, words), EACCES);
    EXPECT_GT(blind(), before) << "the kernel still knew the name, so this was the same as before";
    fs::remove_all("/bpfwarden/evade");
}

// --- programs without a name
// ------------------------------------------------------------------------------------------

// A copy of busybox that "cats" the word, run from a descriptor. 1: cat failed.
int run_from_memory(const Words& words) {
    const int memory = ::memfd_create("program", 0);
    const int from = ::open("/bin/busybox", O_RDONLY);
    char buffer[65536];
    for (ssize_t n; (n = ::read(from, buffer, sizeof buffer)) > 0;)
        if (::write(memory, buffer, static_cast<std::size_t>(n)) != n) return 201;
    char* argv[] = {const_cast<char*>("cat"), const_cast<char*>(words.at(0).c_str()), nullptr};
    if (words.at(1) == "proc")
        ::execv(self(memory).c_str(), argv);
    else
        ::fexecve(memory, argv, environ);
    return errno;
}

TEST_F(PolicyDescriptors, ProgramInMemory) {
    for (const char* how : {"proc", "descriptor"}) {
        expect_refused(run_from_memory, {secret, how}, 1);  // the domain stays
        expect_permitted(run_from_memory, {open_place + "file", how});
    }
    apply(usual_rules + R"(
[[rule]]
domains = ["actor"]
deny = ["exec"]
paths = ["tmpfs:/memfd:*"]
)");
    expect_refused(run_from_memory, {open_place + "file", "proc"});
    expect_refused(run_from_memory, {open_place + "file", "descriptor"});
    apply(usual_rules);
}

int run_deleted(const Words& words) {
    const auto copy = open_place + "program";
    fs::copy_file("/bin/busybox", copy, fs::copy_options::overwrite_existing);
    const int fd = ::open(copy.c_str(), O_RDONLY);
    fs::remove(copy);
    char* argv[] = {const_cast<char*>("cat"), const_cast<char*>(words.at(0).c_str()), nullptr};
    ::execv(self(fd).c_str(), argv);
    return errno;
}
TEST_F(PolicyDescriptors, DeletedProgram) {
    expect_refused(run_deleted, {secret}, 1);
    expect_permitted(run_deleted, {open_place + "file"});
}

// --- tasks
// ------------------------------------------------------------------------------------------------------------

TEST_F(PolicyDescriptors, ThreadsAndChildren) {
    expect_refused([](const Words&) {
        int error = 200;
        std::thread([&] { error = read_file(secret); }).join();
        return error;
    });
    expect_refused([](const Words&) {
        const pid_t pid = ::vfork();
        if (pid == 0) ::_exit(read_file(secret));
        return wait_for(pid);
    });
    expect_refused([](const Words&) {
        const auto pid =
            static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD | CLONE_PARENT_SETTID, nullptr, nullptr, nullptr, 0));
        if (pid == 0) ::_exit(read_file(secret));
        return wait_for(pid);
    });
}

TEST_F(PolicyDescriptors, AThreadExecutesAnotherProgram) {
    // The thread becomes the process; threads that run at the same time go away.
    expect_refused(
        [](const Words&) -> int {
            std::thread([] {
                char* argv[] = {const_cast<char*>("cat"), const_cast<char*>(secret.c_str()), nullptr};
                ::execv("/bin/busybox", argv);
            }).detach();
            for (;;) ::pause();
        },
        {}, 1);
}

// --- io_uring
// ---------------------------------------------------------------------------------------------------------

#define SKIP_WITHOUT_IO_URING() \
    if (!Uring().works()) GTEST_SKIP() << "this kernel has no io_uring"

int uring_open(const Words& words) {
    Uring ring(words.at(1) == "by a thread" ? IORING_SETUP_SQPOLL : 0);
    const auto flags = static_cast<__u8>(words.at(1) == "async" ? IOSQE_ASYNC : 0);
    const int fd = ring.open(words.at(0), flags);
    return fd < 0 ? -fd : 0;
}

TEST_F(PolicyDescriptors, IoUring) {
    SKIP_WITHOUT_IO_URING();
    for (const char* how : {"at once", "async", "by a thread"}) {
        expect_refused(uring_open, {secret, how});
        expect_permitted(uring_open, {open_place + "file", how});
    }
}

// A worker that is older than the task's credentials works with others than its own, as the kernel itself does for an
// overlay; and so does the task with a request that waited. Neither may pass for the kernel.
int uring_after_new_credentials(const Words& words) {
    Uring ring;
    if (const int first = ring.open("/proc/self/exe", IOSQE_ASYNC); first < 0) return 201;
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (::syscall(SYS_capget, &head, data) || ::syscall(SYS_capset, &head, data)) return 202;
    const int fd = ring.open(words.at(0), IOSQE_ASYNC);
    return fd < 0 ? -fd : 0;
}
int uring_that_waited(const Words& words) {
    Uring ring;
    int ends[2];
    if (::pipe(ends)) return 201;
    ring.read_then_open(ends[0], words.at(0));
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (::syscall(SYS_capget, &head, data) || ::syscall(SYS_capset, &head, data)) return 202;
    if (::write(ends[1], "x", 1) != 1) return 203;
    const int fd = ring.second();
    return fd < 0 ? -fd : 0;
}

TEST_F(PolicyDescriptors, IoUringWithOlderCredentials) {
    SKIP_WITHOUT_IO_URING();
    for (const Act act : {Act{uring_after_new_credentials}, Act{uring_that_waited}}) {
        expect_refused(act, {secret}, EACCES, strict);
        expect_permitted(act, {open_place + "file"}, strict);
    }
}

}  // namespace

}  // namespace bpfwarden::test
