// SPDX-License-Identifier: Apache-2.0
#include "intercept/launch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "kernel/capability.hpp"
#include "kernel/file.hpp"
#include "kernel/namespace.hpp"
#include "kernel/process.hpp"
#include "kernel/seccomp_filter.hpp"

namespace bpfwarden::intercept {

namespace {

// ---- the command's side

// One user and one group, under their own numbers or as root.
Result<> enter_user_namespace(bool map_root, bool with_mounts) {
    const auto uid = ::getuid();
    const auto gid = ::getgid();
    // A change of the user has made the process's own files in /proc root's.
    if (::prctl(PR_SET_DUMPABLE, 1) != 0) return fail_errno("prctl(PR_SET_DUMPABLE)");
    if (auto made = kernel::unshare(CLONE_NEWUSER | (with_mounts ? CLONE_NEWNS : 0)); !made)
        return fail(std::move(made.error())
                        .within("making a user namespace for the command's own /sys/kernel/tracing")
                        .advise("this machine may not let users make them (user.max_user_namespaces, "
                                "kernel.apparmor_restrict_unprivileged_userns): root needs none, with --user"));
    const UniqueFd own(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!own) return fail_errno("opening /proc/self");
    BW_TRY(kernel::write_file_at(own, "setgroups", "deny"));
    BW_TRY(kernel::write_file_at(own, "uid_map", fmt::format("{} {} 1", map_root ? 0 : uid, uid)));
    return kernel::write_file_at(own, "gid_map", fmt::format("{} {} 1", map_root ? 0 : gid, gid));
}

Result<> mount_events(const std::vector<EventFile>& events) {
    // What is mounted on the machine later appears in here; what is mounted in here does not there.
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return fail_errno("separating the mounts");
    return mount_event_files(events);
}

Result<> prepare(const LaunchRequest& request) {
    const bool privileged = ::geteuid() == 0;
    const bool own_mounts = !request.events.empty();
    if (privileged && own_mounts) {
        BW_TRY(kernel::unshare(CLONE_NEWNS));
        BW_TRY(mount_events(request.events));
    }
    if (request.become) BW_TRY(kernel::become(*request.become, 0));
    const bool mounts_left = own_mounts && !privileged;
    if (request.map_root || mounts_left) BW_TRY(enter_user_namespace(request.map_root, mounts_left));
    if (mounts_left) BW_TRY(mount_events(request.events));
    BW_TRY(kernel::pass_on_fds(request.keep_fds));
    const auto code = filter(request.caught);
    const auto listener = BW_TRY(kernel::install_filter(code, {.new_listener = true, .wait_killable = true}));
    return request.supervise(listener);
}

// Until it is another program. Its status if it does not come to be one.
int be_command(const LaunchRequest& request, const kernel::Channel& report, pid_t parent, const sigset_t& signals) {
    auto ready = prepare(request);
    // A change of the user clears it.
    if (ready) ready = kernel::die_with_parent(parent);
    if (ready) ::sigprocmask(SIG_SETMASK, &signals, nullptr);
    const auto failed = ready ? kernel::execute(request.command) : kernel::NotExecuted{std::move(ready).error()};
    (void)report.send("not started");
    (void)report.send_error(failed.error);
    return failed.status;
}

// ---- the caller's side

volatile sig_atomic_t command_pid = 0;
void pass_on(int number) {
    if (command_pid > 0) ::kill(command_pid, number);
}

// What is sent to this process is meant for the command. What a terminal sends comes to both, so it is only not to end
// this one.
class PassedSignals {
  public:
    PassedSignals() {
        for (const int number : passed_) set(number, &pass_on);
        for (const int number : of_terminal_) set(number, SIG_IGN);
        // Where it is ignored, an ended command cannot be waited for.
        set(SIGCHLD, SIG_DFL);
    }
    PassedSignals(const PassedSignals&) = delete;
    ~PassedSignals() {
        for (std::size_t i = 0; i < before_.size(); ++i) ::sigaction(number(i), &before_[i], nullptr);
        command_pid = 0;
    }
    // Those that the caller ignores stay ignored.
    static void restore_in_child(const PassedSignals& of) {
        for (std::size_t i = 0; i < of.before_.size(); ++i) ::sigaction(number(i), &of.before_[i], nullptr);
    }

  private:
    static constexpr std::array passed_ = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};
    static constexpr std::array of_terminal_ = {SIGINT, SIGQUIT};
    static int number(std::size_t i) {
        if (i < passed_.size()) return passed_[i];
        i -= passed_.size();
        return i < of_terminal_.size() ? of_terminal_[i] : SIGCHLD;
    }
    void set(int number, void (*handler)(int)) {
        struct sigaction action{};
        action.sa_handler = handler;
        action.sa_flags = SA_RESTART;
        ::sigaction(number, &action, &before_[count_++]);
    }
    std::array<struct sigaction, passed_.size() + of_terminal_.size() + 1> before_{};
    std::size_t count_ = 0;
};

}  // namespace

Result<Ended> launch(const LaunchRequest& request) {
    auto [here, there] = BW_TRY(kernel::Channel::pair());
    const pid_t self = ::getpid();
    // Held back until there is somebody to pass them on to.
    sigset_t all, before;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before);
    const PassedSignals signals;
    auto command = kernel::Child::fork([&, &report = there, &other = here]() -> int {
        other.close();
        PassedSignals::restore_in_child(signals);
        return be_command(request, report, self, before);
    });
    if (command) command_pid = command->pid();
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    if (!command) return fail(std::move(command).error());
    there.close();
    Ended ended;
    // Closed by exec without a word, where all went well.
    if (here.receive()) ended.error = here.receive().error();
    ended.status = BW_TRY(command->wait());
    return ended;
}

}  // namespace bpfwarden::intercept
