// SPDX-License-Identifier: Apache-2.0
// On a terminal: keys, job control and the terminal's name work as without `run`.
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>

#include "stage.hpp"

namespace bpfwarden::test {
namespace {

// A session on a terminal of its own, with one job in the foreground, as a shell would have it.
class Terminal {
  public:
    explicit Terminal(const Words& argv) {
        int events[2], orders[2];
        EXPECT_EQ(::pipe2(events, O_CLOEXEC), 0);
        EXPECT_EQ(::pipe2(orders, O_CLOEXEC), 0);
        shell_ = ::forkpty(&master_, nullptr, nullptr, nullptr);
        if (shell_ == 0) be_the_shell(argv, events[1], orders[0]);
        ::close(events[1]);
        ::close(orders[0]);
        events_ = events[0];
        orders_ = orders[1];
    }
    ~Terminal() {
        ::close(master_);
        ::close(events_);
        ::close(orders_);
        ::kill(shell_, SIGKILL);
        ::waitpid(shell_, nullptr, 0);
    }

    void type(char key) { (void)!::write(master_, &key, 1); }
    void continue_job() { (void)!::write(orders_, "c", 1); }

    // What the job wrote, until `text` is in it.
    std::string read_until(const std::string& text) {
        while (!seen_.contains(text)) {
            pollfd ready{master_, POLLIN, 0};
            char buffer[4096];
            if (::poll(&ready, 1, 20'000) <= 0) break;
            const ssize_t n = ::read(master_, buffer, sizeof buffer);
            if (n <= 0) break;
            seen_.append(buffer, static_cast<std::size_t>(n));
        }
        return seen_;
    }

    // The job's next change of state, in words.
    std::string next_event() {
        pollfd ready{events_, POLLIN, 0};
        int status = 0;
        if (::poll(&ready, 1, 20'000) <= 0 || ::read(events_, &status, sizeof status) != sizeof status)
            return "nothing";
        if (WIFSTOPPED(status)) return std::string("stopped by SIG") + ::sigabbrev_np(WSTOPSIG(status));
        if (WIFCONTINUED(status)) return "continued";
        if (WIFSIGNALED(status)) return std::string("killed by SIG") + ::sigabbrev_np(WTERMSIG(status));
        return "exited " + std::to_string(WEXITSTATUS(status));
    }

  private:
    [[noreturn]] static void be_the_shell(const Words& argv, int events, int orders) {
        std::vector<char*> words;
        for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
        words.push_back(nullptr);
        const pid_t job = ::fork();
        if (job == 0) {
            ::setpgid(0, 0);
            ::signal(SIGTTOU, SIG_IGN);
            ::tcsetpgrp(0, ::getpid());
            ::signal(SIGTTOU, SIG_DFL);
            ::execv(words[0], words.data());
            ::_exit(111);
        }
        ::setpgid(job, job);
        while (true) {
            int status = 0;
            if (::waitpid(job, &status, WUNTRACED | WCONTINUED) < 0) break;
            (void)!::write(events, &status, sizeof status);
            if (WIFEXITED(status) || WIFSIGNALED(status)) break;
            char order;
            if (WIFSTOPPED(status) && ::read(orders, &order, 1) == 1) ::kill(-job, SIGCONT);
        }
        ::_exit(0);
    }

    pid_t shell_ = -1;
    int master_ = -1, events_ = -1, orders_ = -1;
    std::string seen_;
};

// Each with the same words without `run` as a control.
std::vector<Words> variants(const Words& command) {
    return {command, under(plain_grant(), command), under(contained_grant(), command)};
}

TEST(Terminal, ControlCReachesTheCommand) {
    BW_NEED_TOKENS();
    for (const auto& argv : variants({Stage::witness, "wait"})) {
        Terminal terminal(argv);
        ASSERT_NE(terminal.read_until("waiting").find("waiting"), std::string::npos);
        terminal.type('\x03');
        EXPECT_EQ(terminal.next_event(), "killed by SIGINT") << argv.back();
    }
}

TEST(Terminal, TheJobCanBeStoppedAndContinued) {
    BW_NEED_TOKENS();
    for (const auto& argv : variants({Stage::witness, "wait"})) {
        Terminal terminal(argv);
        ASSERT_NE(terminal.read_until("waiting").find("waiting"), std::string::npos);
        terminal.type('\x1a');
        EXPECT_EQ(terminal.next_event(), "stopped by SIGTSTP");
        terminal.continue_job();
        EXPECT_EQ(terminal.next_event(), "continued");
        terminal.type('\x03');
        EXPECT_EQ(terminal.next_event(), "killed by SIGINT");
    }
}

TEST(Terminal, IsTheCommandsOwn) {
    BW_NEED_TOKENS();
    for (const auto& argv : variants({"/bin/sh", "-c", "/run/stage/witness report; : </dev/tty && echo tty opened"})) {
        Terminal terminal(argv);
        std::string text = terminal.read_until("tty opened");
        std::erase(text, '\r');
        auto report = read_report(text);
        EXPECT_TRUE(report["tty"].starts_with("/dev/pts/")) << text;
        EXPECT_EQ(report["foreground"], report["pgrp"]);
        EXPECT_EQ(terminal.next_event(), "exited 0");
        EXPECT_NE(text.find("tty opened"), std::string::npos);
    }
}

TEST(Terminal, ControlDEndsTheInput) {
    BW_NEED_TOKENS();
    for (const auto& argv : variants({"/bin/sh", "-c", "cat; echo over"})) {
        Terminal terminal(argv);
        terminal.type('x');
        terminal.type('\n');
        terminal.type('\x04');
        EXPECT_NE(terminal.read_until("over").find("over"), std::string::npos);
        EXPECT_EQ(terminal.next_event(), "exited 0");
    }
}

}  // namespace
}  // namespace bpfwarden::test
