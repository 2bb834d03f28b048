// SPDX-License-Identifier: Apache-2.0
// The memory, file descriptors and files of another process: a forked child, which has its own by then.
#include "intercept/caller.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <thread>

#include "kernel/process.hpp"

namespace bpfwarden::intercept {
namespace {

constexpr std::size_t page = 4096;

std::uint64_t address_of(const void* at) { return reinterpret_cast<std::uint64_t>(at); }

// A child that has done `prepare`, and waits. What `prepare` returns is told as `said`.
class Other {
  public:
    explicit Other(const std::function<long()>& prepare) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return;
        const UniqueFd from(ends[0]);
        UniqueFd to(ends[1]);
        auto child = kernel::Child::fork([&] {
            const long said = prepare();
            (void)!::write(to.get(), &said, sizeof said);
            for (;;) ::pause();
            return 0;
        });
        to.reset();
        EXPECT_TRUE(child);
        child_.emplace(std::move(*child));
        EXPECT_EQ(::read(from.get(), &said_, sizeof said_), static_cast<ssize_t>(sizeof said_));
    }
    pid_t pid() const { return child_->pid(); }
    long said() const { return said_; }
    void end() { child_.reset(); }

  private:
    std::optional<kernel::Child> child_;
    long said_ = -1;
};

template <class T>
int error_of(const Result<T>& result) {
    return result ? 0 : result.error().number();
}

// Two pages, of which the second is gone; the same address in every child made from here on.
class Pages {
  public:
    Pages()
        : at_(static_cast<char*>(
              ::mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
    ~Pages() { ::munmap(at_, 2 * page); }
    Pages(const Pages&) = delete;
    char* begin() const { return at_; }
    char* end_of_first() const { return at_ + page; }
    void take_second() const { ::mprotect(at_ + page, page, PROT_NONE); }

  private:
    char* at_;
};

TEST(Caller, ReadsAndWritesItsOwnMemory) {
    static volatile std::uint64_t value = 1;
    const Other other([] {
        value = 2;
        return 0L;
    });
    const Caller caller(other.pid());
    std::uint64_t there = 0;
    const auto bytes = std::as_writable_bytes(std::span(&there, 1));
    ASSERT_TRUE(caller.read(address_of(const_cast<const std::uint64_t*>(&value)), bytes));
    EXPECT_EQ(there, 2U);
    there = 3;
    ASSERT_TRUE(caller.write(address_of(const_cast<const std::uint64_t*>(&value)), bytes));
    there = 0;
    ASSERT_TRUE(caller.read(address_of(const_cast<const std::uint64_t*>(&value)), bytes));
    EXPECT_EQ(there, 3U);
    EXPECT_EQ(value, 1U) << "this process's own";
}

TEST(Caller, SaysWhatIsNotThere) {
    const Pages pages;
    pages.take_second();
    const Other other([] { return 0L; });
    const Caller caller(other.pid());
    std::array<std::byte, 16> some{};
    EXPECT_EQ(error_of(caller.read(0, some)), EFAULT);
    EXPECT_EQ(error_of(caller.write(0, some)), EFAULT);
    EXPECT_EQ(error_of(caller.read(address_of(pages.end_of_first()), some)), EFAULT);
    // Half of it is there: all or nothing.
    EXPECT_EQ(error_of(caller.read(address_of(pages.end_of_first() - 8), some)), EFAULT);
    EXPECT_EQ(error_of(caller.write(address_of(pages.end_of_first() - 8), some)), EFAULT);
    EXPECT_EQ(error_of(caller.read(address_of(pages.end_of_first() - 16), some)), 0);
    for (const std::uint64_t wild : {~std::uint64_t{0}, ~std::uint64_t{0} - 8, std::uint64_t{1} << 63})
        EXPECT_EQ(error_of(caller.read(wild, some)), EFAULT) << wild;
    // Nothing is to be read, so nothing is looked at.
    EXPECT_EQ(error_of(caller.read(0, {})), 0);
    EXPECT_EQ(error_of(caller.write(0, {})), 0);
}

// Unlike a debugger's way (/proc/PID/mem), which writes through.
TEST(Caller, DoesNotWriteWhatIsReadOnly) {
    const Pages pages;
    const Other other([&] {
        std::memset(pages.begin(), 'a', page);
        return static_cast<long>(::mprotect(pages.begin(), page, PROT_READ));
    });
    ASSERT_EQ(other.said(), 0);
    const Caller caller(other.pid());
    std::array<std::byte, 4> some{};
    EXPECT_EQ(error_of(caller.write(address_of(pages.begin()), some)), EFAULT);
    ASSERT_TRUE(caller.read(address_of(pages.begin()), some));
    EXPECT_EQ(some[0], std::byte{'a'});
}

TEST(Caller, ReadsTextsToTheirEnds) {
    const Pages pages;
    std::memset(pages.begin(), 'x', 2 * page);
    char* const across = pages.end_of_first() - 3;
    std::memcpy(across, "across", 7);
    const auto text = [&](const Other& other, const char* at, std::size_t most = 128) {
        return Caller(other.pid()).text(address_of(at), most);
    };
    {
        const Other other([] { return 0L; });
        EXPECT_EQ(text(other, across).value(), "across");
        EXPECT_EQ(text(other, across, 4).value(), "acro") << "at most";
        EXPECT_EQ(text(other, across + 6).value(), "");
        EXPECT_EQ(text(other, across, 0).value(), "");
    }
    // What stands behind the text need not be there, but the text must end before.
    pages.end_of_first()[-1] = '\0';
    pages.take_second();
    const Other other([] { return 0L; });
    EXPECT_EQ(text(other, across).value(), "ac");
    EXPECT_EQ(text(other, across, page).value(), "ac");
    EXPECT_EQ(text(other, pages.begin(), page).value(), std::string(page - 4, 'x') + "xac");
    const Other without_end([&] {
        pages.end_of_first()[-1] = 'x';
        return 0L;
    });
    EXPECT_EQ(error_of(text(without_end, across)), EFAULT);
    EXPECT_EQ(text(without_end, across, 3).value(), "acx");
    EXPECT_EQ(error_of(text(without_end, nullptr)), EFAULT);
}

// `file` is the very same one.
void expect_same(const Result<UniqueFd>& file, long inode) {
    ASSERT_TRUE(file) << file.error().what();
    struct stat info{};
    ASSERT_EQ(::fstat(file->get(), &info), 0);
    EXPECT_EQ(info.st_ino, static_cast<ino_t>(inode));
    EXPECT_NE(::fcntl(file->get(), F_GETFD) & FD_CLOEXEC, 0);
}
long inode_of(int fd) {
    struct stat info{};
    return ::fstat(fd, &info) == 0 ? static_cast<long>(info.st_ino) : -1;
}
constexpr int its_number = 700;
long new_file() {
    const UniqueFd file(::memfd_create("test", 0));
    return ::dup2(file.get(), its_number) == its_number ? inode_of(its_number) : -1;
}

TEST(Caller, TakesItsFileDescriptors) {
    const Other other(new_file);
    Caller caller(other.pid());
    expect_same(caller.fd(its_number), other.said());
    for (const int number : {-1, its_number + 1, 1'000'000, INT_MIN})
        EXPECT_EQ(error_of(caller.fd(number)), EBADF) << number;
}

// A thread that is not its process's first, with the file descriptors of them all, and with its own.
struct Thread {
    pid_t id = 0;
    long file = 0;
};
Thread* shared_thread() {
    static auto* const at = static_cast<Thread*>(
        ::mmap(nullptr, sizeof(Thread), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    return at;
}
long start_thread(bool own_files) {
    const long of_all = new_file();
    std::array<int, 2> ready{};
    if (::pipe(ready.data()) != 0) return -1;
    std::thread([=] {
        *shared_thread() = {.id = static_cast<pid_t>(::syscall(SYS_gettid)), .file = of_all};
        if (own_files && ::unshare(CLONE_FILES) == 0) shared_thread()->file = new_file();
        (void)!::write(ready[1], "", 1);
        for (;;) ::pause();
    }).detach();
    char byte = 0;
    (void)!::read(ready[0], &byte, 1);
    return of_all;
}

TEST(Caller, TakesThoseOfAThread) {
    (void)shared_thread();
    const Other other([] { return start_thread(false); });
    ASSERT_NE(shared_thread()->id, other.pid());
    Caller caller(shared_thread()->id);
    expect_same(caller.fd(its_number), other.said());
    EXPECT_EQ(error_of(caller.fd(its_number + 1)), EBADF);
    EXPECT_EQ(caller.identity()->uid, ::getuid());
}

TEST(Caller, DoesNotTakeThoseOfAnotherThread) {
    (void)shared_thread();
    const Other other([] { return start_thread(true); });
    ASSERT_NE(shared_thread()->file, other.said()) << "the thread has its own";
    Caller caller(shared_thread()->id);
    const auto file = caller.fd(its_number);
    // Where pidfds are of processes only (before 6.9) it cannot be had, and the leader's must not come in its place.
    if (!file)
        EXPECT_EQ(error_of(file), EPERM);
    else
        expect_same(file, shared_thread()->file);
}

TEST(Caller, OpensFilesWhereItIs) {
    char name[] = "/tmp/bpfwarden-caller.XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    const std::string folder = name;
    const UniqueFd made(::open((folder + "/file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    const Other other([&] { return static_cast<long>(::chdir(folder.c_str())); });
    const Caller caller(other.pid());
    for (const auto& path :
         std::vector<std::string>{"file", "./file", folder + "/file", folder + "/../" + folder.substr(5) + "/file"}) {
        const auto file = caller.file(path);
        ASSERT_TRUE(file) << path;
        EXPECT_EQ(inode_of(file->get()), inode_of(made.get())) << path;
        // For reading nothing.
        char byte = 0;
        EXPECT_EQ(::read(file->get(), &byte, 1), -1);
        EXPECT_EQ(errno, EBADF);
    }
    for (const auto& path : {std::string(), std::string("other"), folder + "/other", folder + "/file/below"})
        EXPECT_NE(error_of(caller.file(path)), 0) << path;
    EXPECT_EQ(error_of(caller.file("other")), ENOENT);
    ::unlink((folder + "/file").c_str());
    ::rmdir(name);
}

TEST(Caller, IsNobodyOnceItHasEnded) {
    Other other(new_file);
    Caller caller(other.pid()), known(other.pid());
    EXPECT_TRUE(caller.shares_pids());
    EXPECT_TRUE(known.fd(its_number));
    other.end();
    std::array<std::byte, 4> some{};
    EXPECT_EQ(error_of(caller.read(address_of(&other), some)), ESRCH);
    EXPECT_EQ(error_of(caller.write(address_of(&other), some)), ESRCH);
    EXPECT_EQ(error_of(caller.fd(its_number)), ESRCH);
    EXPECT_EQ(error_of(known.fd(its_number)), ESRCH);
    EXPECT_FALSE(caller.identity());
    EXPECT_FALSE(caller.shares_pids());
    EXPECT_FALSE(caller.file("/"));
}

}  // namespace
}  // namespace bpfwarden::intercept
