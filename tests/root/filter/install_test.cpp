// SPDX-License-Identifier: Apache-2.0
// Filters that were built by the library, in the kernel: what is denied is denied, and only there. Each test is a child
// process, as a filter is for good, and one without privilege, as none is needed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "base/fd.hpp"
#include "bpfwarden/filter.h"

namespace bpfwarden {
namespace {

constexpr int denied = 95;

bpfw_filter* build(const std::string& source) {
    bpfw_filter_options options{};
    options.size = sizeof options;
    options.require_proof = 1;
    return bpfw_filter_build(source.data(), source.size(), &options);
}

std::string profile(const std::string& action) {
    return R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["getppid"], )" + action + "}]}";
}
const std::string deny = profile(R"("action": "SCMP_ACT_ERRNO", "errnoRet": 95)");
const std::string ask = profile(R"("action": "SCMP_ACT_NOTIFY")");

long getppid_or_errno() {
    const long result = ::syscall(SYS_getppid);
    return result < 0 ? -errno : result;
}

// What a child says of itself: 0, or the line where it is not as it should be.
#define CHILD_CHECK(condition)             \
    do {                                   \
        if (!(condition)) return __LINE__; \
    } while (false)

template <class Body>
pid_t start(Body body) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::alarm(60);
    if (::geteuid() == 0 && (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0))
        ::_exit(1);
    // setresuid() makes a process undumpable, and its fds then cannot be taken.
    ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    const int line = body();
    // exit_group's status has 8 bits.
    if (line != 0) {
        std::fprintf(stderr, "child: line %d, errno %d: %s\n", line, errno, bpfw_error());
        ::_exit(1);
    }
    ::_exit(0);
}

template <class Body>
int status_of(Body body) {
    int status = -1;
    const pid_t pid = start(body);
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

TEST(Install, WhatIsDeniedFailsWithTheFiltersErrno) {
    EXPECT_EQ(status_of([] {
                  auto* filter = build(deny);
                  CHILD_CHECK(filter != nullptr);
                  CHILD_CHECK(getppid_or_errno() > 0);
                  CHILD_CHECK(bpfw_filter_install(filter, 0) == 0);
                  CHILD_CHECK(getppid_or_errno() == -denied);
                  CHILD_CHECK(::syscall(SYS_getpid) > 0);
                  bpfw_filter_free(filter);  // what is installed stays
                  CHILD_CHECK(getppid_or_errno() == -denied);
                  const pid_t child = ::fork();
                  if (child == 0) ::_exit(getppid_or_errno() == -denied ? 0 : 1);
                  int status = 1;
                  CHILD_CHECK(::waitpid(child, &status, 0) == child && status == 0);
                  return 0;
              }),
              0);
    // Its twin: the same, and not installed.
    EXPECT_EQ(status_of([] {
                  auto* filter = build(deny);
                  CHILD_CHECK(filter != nullptr);
                  CHILD_CHECK(getppid_or_errno() > 0);
                  CHILD_CHECK(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
                  return 0;
              }),
              0);
}

// Between the filter and the caller's next line there is no call that a strict filter would end the process for.
TEST(Install, NothingIsCalledAfterwards) {
    const std::string strict = R"({"defaultAction": "SCMP_ACT_KILL_PROCESS",
        "syscalls": [{"names": ["exit_group"], "action": "SCMP_ACT_ALLOW"}]})";
    EXPECT_EQ(status_of([&] {
                  auto* filter = build(strict);
                  CHILD_CHECK(filter != nullptr);
                  CHILD_CHECK(bpfw_filter_install(filter, 0) == 0);
                  return 0;
              }),
              0);
    const int killed = status_of([&] {
        auto* filter = build(strict);
        CHILD_CHECK(filter != nullptr);
        CHILD_CHECK(bpfw_filter_install(filter, 0) == 0);
        return getppid_or_errno() > 0 ? 0 : __LINE__;
    });
    EXPECT_TRUE(WIFSIGNALED(killed) && WTERMSIG(killed) == SIGSYS) << killed;
}

TEST(Install, FlagsThatOnlyTheKernelSees) {
    EXPECT_EQ(
        status_of([] {
            auto* filter = build(deny);
            CHILD_CHECK(filter != nullptr);
            CHILD_CHECK(bpfw_filter_install(filter, SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW) == 0);
            CHILD_CHECK(getppid_or_errno() == -denied);
            return 0;
        }),
        0);
}

// A wrong flag is found before anything has changed.
TEST(Install, WrongFlagsLeaveNothingBehind) {
    for (const unsigned flags :
         {1U << 30, unsigned{SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV}, unsigned{SECCOMP_FILTER_FLAG_TSYNC_ESRCH}})
        EXPECT_EQ(status_of([flags] {
                      auto* filter = build(deny);
                      CHILD_CHECK(filter != nullptr);
                      CHILD_CHECK(bpfw_filter_install(filter, flags) == -1 && errno == EINVAL);
                      CHILD_CHECK(std::strstr(bpfw_error(), "FLAG") != nullptr ||
                                  std::strstr(bpfw_error(), "flag") != nullptr);
                      CHILD_CHECK(getppid_or_errno() > 0);
                      CHILD_CHECK(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
                      return 0;
                  }),
                  0);
}

TEST(Install, TheKernelsRefusalsAreSaid) {
    EXPECT_EQ(status_of([] {
                  auto* filter = build(ask);
                  CHILD_CHECK(filter != nullptr);
                  CHILD_CHECK(bpfw_filter_install(filter, SECCOMP_FILTER_FLAG_NEW_LISTENER) >= 0);
                  CHILD_CHECK(bpfw_filter_install(filter, SECCOMP_FILTER_FLAG_NEW_LISTENER) == -1 && errno == EBUSY);
                  CHILD_CHECK(std::strstr(bpfw_error(), "listener") != nullptr);
                  return 0;
              }),
              0);
    // As many as there is room for.
    EXPECT_EQ(status_of([] {
                  std::string longest;
                  const sock_filter load{0x20, 0, 0, 0}, allow{0x06, 0, 0, SECCOMP_RET_ALLOW};
                  for (int i = 0; i < 4095; ++i) longest.append(reinterpret_cast<const char*>(&load), sizeof load);
                  longest.append(reinterpret_cast<const char*>(&allow), sizeof allow);
                  auto* filter = build(longest);
                  CHILD_CHECK(filter != nullptr);
                  int installed = 0;
                  while (installed < 100 && bpfw_filter_install(filter, 0) == 0) ++installed;
                  CHILD_CHECK(installed > 0 && installed < 100 && errno == ENOMEM);
                  CHILD_CHECK(std::strstr(bpfw_error(), "32768") != nullptr);
                  return 0;
              }),
              0);
}

// A thread that says what it sees whenever it is asked.
class Witness {
  public:
    explicit Witness(bpfw_filter* own = nullptr)
        : thread_([this, own] {
              if (own != nullptr) installed_ = bpfw_filter_install(own, 0);
              ready_ = true;
              ready_.notify_all();
              asked_.wait(false);
              seen_ = getppid_or_errno();
          }) {
        ready_.wait(false);
    }
    int installed() const { return installed_; }
    long ask() {
        asked_ = true;
        asked_.notify_all();
        thread_.join();
        return seen_;
    }

  private:
    std::atomic<bool> ready_ = false, asked_ = false;
    int installed_ = -1;
    long seen_ = 0;
    std::thread thread_;
};

TEST(Install, TsyncIsForEveryThread) {
    EXPECT_EQ(status_of([] {
                  auto* filter = build(deny);
                  CHILD_CHECK(filter != nullptr);
                  Witness witness;
                  CHILD_CHECK(bpfw_filter_install(filter, SECCOMP_FILTER_FLAG_TSYNC) == 0);
                  CHILD_CHECK(witness.ask() == -denied);
                  CHILD_CHECK(getppid_or_errno() == -denied);
                  return 0;
              }),
              0);
    // Its twin: only the thread that asks.
    EXPECT_EQ(status_of([] {
                  auto* filter = build(deny);
                  CHILD_CHECK(filter != nullptr);
                  Witness witness;
                  CHILD_CHECK(bpfw_filter_install(filter, 0) == 0);
                  CHILD_CHECK(witness.ask() > 0);
                  CHILD_CHECK(getppid_or_errno() == -denied);
                  return 0;
              }),
              0);
}

TEST(Install, TsyncIsForAllThreadsOrForNone) {
    for (const unsigned more : {0U, unsigned{SECCOMP_FILTER_FLAG_NEW_LISTENER}})
        EXPECT_EQ(
            status_of([more] {
                auto *filter = build(deny), *other = build(profile(R"("action": "SCMP_ACT_LOG")"));
                CHILD_CHECK(filter != nullptr && other != nullptr);
                Witness witness(other);
                const int before = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
                CHILD_CHECK(witness.installed() == 0 && before >= 0);
                ::close(before);
                CHILD_CHECK(bpfw_filter_install(filter, SECCOMP_FILTER_FLAG_TSYNC | more) == -1 && errno == ESRCH);
                CHILD_CHECK(std::strstr(bpfw_error(), "thread") != nullptr);
                CHILD_CHECK(getppid_or_errno() > 0);
                CHILD_CHECK(witness.ask() > 0);
                // No fd was left open.
                CHILD_CHECK(::open("/dev/null", O_RDONLY | O_CLOEXEC) == before);
                return 0;
            }),
            0);
}

// The fd of that number in the child.
UniqueFd take(pid_t pid, int number) {
    const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), number, 0)));
}

void answer_one(const UniqueFd& listener, pid_t pid, long value) {
    pollfd ready{listener.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 30'000), 1);
    seccomp_notif asked{};
    ASSERT_EQ(::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &asked), 0) << std::strerror(errno);
    EXPECT_EQ(asked.pid, static_cast<__u32>(pid));
    EXPECT_EQ(asked.data.nr, SYS_getppid);
    seccomp_notif_resp answer{};
    answer.id = asked.id;
    answer.val = value;
    ASSERT_EQ(::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer), 0) << std::strerror(errno);
}

TEST(Install, AListenersOwnerAnswers) {
    for (const unsigned more :
         {0U, unsigned{SECCOMP_FILTER_FLAG_TSYNC}, unsigned{SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV}}) {
        int numbers[2];
        ASSERT_EQ(::pipe2(numbers, O_CLOEXEC), 0);
        const UniqueFd from(numbers[0]);
        UniqueFd to(numbers[1]);
        const pid_t pid = start([&to, more] {
            auto* filter = build(ask);
            CHILD_CHECK(filter != nullptr);
            CHILD_CHECK(bpfw_filter_flags(filter) == SECCOMP_FILTER_FLAG_NEW_LISTENER);
            const int listener = bpfw_filter_install(filter, bpfw_filter_flags(filter) | more);
            CHILD_CHECK(listener >= 0);
            CHILD_CHECK((::fcntl(listener, F_GETFD) & FD_CLOEXEC) != 0);
            CHILD_CHECK(::write(to.get(), &listener, sizeof listener) == sizeof listener);
            CHILD_CHECK(getppid_or_errno() == 4242);
            return 0;
        });
        to = UniqueFd();
        int number = -1;
        ASSERT_EQ(::read(from.get(), &number, sizeof number), static_cast<ssize_t>(sizeof number));
        const auto listener = take(pid, number);
        ASSERT_TRUE(listener) << std::strerror(errno);
        answer_one(listener, pid, 4242);
        int status = -1;
        EXPECT_EQ(::waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0) << "with flags " << more;
    }
    // Its twin: nobody to ask.
    EXPECT_EQ(status_of([] {
                  auto* filter = build(ask);
                  CHILD_CHECK(filter != nullptr);
                  CHILD_CHECK(bpfw_filter_install(filter, 0) == 0);
                  CHILD_CHECK(getppid_or_errno() == -ENOSYS);
                  return 0;
              }),
              0);
}

TEST(Install, ThreadsHaveFiltersOfTheirOwnAtOnce) {
    EXPECT_EQ(status_of([] {
                  auto *first = build(deny), *second = build(profile(R"("action": "SCMP_ACT_ERRNO", "errnoRet": 77)"));
                  CHILD_CHECK(first != nullptr && second != nullptr);
                  Witness one(first), other(second);
                  CHILD_CHECK(one.installed() == 0 && other.installed() == 0);
                  CHILD_CHECK(getppid_or_errno() > 0);
                  CHILD_CHECK(one.ask() == -denied);
                  CHILD_CHECK(other.ask() == -77);
                  return 0;
              }),
              0);
}

}  // namespace
}  // namespace bpfwarden
