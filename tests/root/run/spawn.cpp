// SPDX-License-Identifier: Apache-2.0
#include "spawn.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace bpfwarden::test {

namespace {

// The large counts of a soak take minutes.
const std::chrono::seconds patience(std::getenv("BPFWARDEN_SOAK") != nullptr ? 1800 : 20);

// Reads what is there; false at the end of the stream.
bool read_some(int fd, std::string& text) {
    char buffer[65536];
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n > 0) text.append(buffer, static_cast<std::size_t>(n));
    return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

void close_fd(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
}

std::vector<char*> pointers(const Words& words) {
    std::vector<char*> all;
    for (const auto& word : words) all.push_back(const_cast<char*>(word.c_str()));
    all.push_back(nullptr);
    return all;
}

}  // namespace

std::string Ended::text() const {
    const std::string how = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                                : "status " + std::to_string(WEXITSTATUS(status));
    return how + (late ? " (killed: it took too long)" : "") + "\n--- stdout\n" + out + "\n--- stderr\n" + err;
}

Running::Running(const Start& start) {
    int in[2], out[2], err[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) return;
    const auto argv = pointers(start.argv);
    const Words variables = start.environment.value_or(Words{});
    const auto environment = pointers(variables);
    pid_ = ::fork();
    if (pid_ == 0) {
        ::dup2(in[0], 0);
        ::dup2(out[1], 1);
        ::dup2(err[1], 2);
        ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // whatever the test itself inherited
        if (start.in_child) start.in_child();
        if (start.environment)
            ::execve(argv[0], argv.data(), environment.data());
        else
            ::execvp(argv[0], argv.data());
        std::perror(argv[0]);
        ::_exit(111);
    }
    ::close(in[0]);
    ::close(out[1]);
    ::close(err[1]);
    input_ = in[1];
    output_ = out[0];
    errors_ = err[0];
    ::fcntl(input_, F_SETFL, O_NONBLOCK);
}

Running::~Running() {
    close_fd(input_);
    close_fd(output_);
    close_fd(errors_);
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

void Running::write(const std::string& text) { (void)!::write(input_, text.data(), text.size()); }
void Running::close_input() { close_fd(input_); }

std::string Running::read_line() {
    const auto end = Clock::now() + patience;
    while (true) {
        if (const auto newline = pending_.find('\n'); newline != std::string::npos) {
            std::string line = pending_.substr(0, newline);
            pending_.erase(0, newline + 1);
            return line;
        }
        pollfd ready{output_, POLLIN, 0};
        if (Clock::now() > end) return "";
        if (::poll(&ready, 1, 100) > 0 && !read_some(output_, pending_)) return "";
    }
}

static Ended finish(pid_t pid, int& input, int& output, int& errors, std::string pending, std::string_view to_write) {
    Ended ended;
    ended.out = std::move(pending);
    const auto end = Clock::now() + patience;
    if (to_write.empty()) close_fd(input);
    while (output >= 0 || errors >= 0) {
        pollfd ready[3] = {{output, POLLIN, 0}, {errors, POLLIN, 0}, {input, POLLOUT, 0}};
        ::poll(ready, 3, 200);
        if (ready[0].revents != 0 && !read_some(output, ended.out)) close_fd(output);
        if (ready[1].revents != 0 && !read_some(errors, ended.err)) close_fd(errors);
        if (ready[2].revents != 0) {
            const ssize_t n = ::write(input, to_write.data(), to_write.size());
            if (n > 0) to_write.remove_prefix(static_cast<std::size_t>(n));
            if ((n < 0 && errno != EAGAIN) || to_write.empty()) close_fd(input);
        }
        if (Clock::now() > end && !ended.late) {
            ended.late = true;
            ::kill(pid, SIGKILL);
            break;
        }
    }
    close_fd(input);
    const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    pollfd over{process, POLLIN, 0};
    if (::poll(&over, 1, 20'000) == 0) {
        ended.late = true;
        ::kill(pid, SIGKILL);
    }
    ::close(process);
    ::waitpid(pid, &ended.status, 0);
    return ended;
}

Ended Running::wait(const std::string& input) {
    Ended ended = finish(pid_, input_, output_, errors_, std::move(pending_), input);
    pid_ = -1;
    return ended;
}

Ended run(const Start& start, const std::string& input) { return Running(start).wait(input); }

}  // namespace bpfwarden::test
