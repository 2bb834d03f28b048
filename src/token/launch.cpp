// SPDX-License-Identifier: Apache-2.0
#include "token/launch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernel/file.hpp"
#include "kernel/mount.hpp"
#include "kernel/namespace.hpp"
#include "kernel/process.hpp"
#include "token/bpffs.hpp"

namespace bpfwarden::token {

using kernel::Channel;
using kernel::Child;

namespace {

// A caller who ignores SIGCHLD hands that down, and then ended children cannot be waited for. The command gets it back.
class WaitableChildren {
  public:
    WaitableChildren() {
        struct sigaction normal{};
        normal.sa_handler = SIG_DFL;
        ::sigaction(SIGCHLD, &normal, &inherited_);
    }
    ~WaitableChildren() { ::sigaction(SIGCHLD, &inherited_, nullptr); }
    WaitableChildren(const WaitableChildren&) = delete;
    WaitableChildren& operator=(const WaitableChildren&) = delete;

  private:
    struct sigaction inherited_{};
};

Result<> make_mounts_private() {
    // Otherwise what is mounted on the host later would appear in here, uncovered.
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        return fail_errno("making the mounts private");
    return {};
}

// The privileged half: a child that stays in the initial namespaces.
Result<> serve(const Channel& channel, PidRef command, pid_t pid, const LaunchRequest& request) {
    BW_TRY(channel.receive());  // the command is in its namespaces
    const UniqueFd proc(::open(fmt::format("/proc/{}", pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!proc) return fail_errno(fmt::format("opening /proc/{}", pid));
    if (!kernel::is_alive(command)) return fail(Code::failed, "the command's process has ended");
    auto gids = request.ids.groups;
    gids.push_back(request.ids.gid);
    BW_TRY(kernel::write_file_at(proc, "uid_map", BW_TRY(kernel::identity_map({request.ids.uid}))));
    BW_TRY(kernel::write_file_at(proc, "gid_map", BW_TRY(kernel::identity_map({gids.begin(), gids.end()}))));
    const auto mounted = BW_TRY_WITHIN(mount_delegating_bpffs(command, pid,
                                                              {.delegation = request.delegation,
                                                               .uid = request.ids.uid,
                                                               .gid = request.ids.gid,
                                                               .path = request.token_path}),
                                       "giving the command its bpffs");
    return channel.send(std::to_string(mounted.device));
}

Result<> bring_loopback_up() {
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno("socket");
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return fail_errno("reading the flags of lo");
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return fail_errno("bringing lo up");
    return {};
}

Result<> check_mounted(const LaunchRequest& request, std::string_view device) {
    struct stat info{};
    const UniqueFd top(::open(request.token_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!top || ::fstat(top.get(), &info) != 0) return fail_errno("opening " + request.token_path);
    if (std::to_string(info.st_dev) != device)
        return fail(Error(Code::failed, request.token_path + " does not lead to the bpffs of this grant")
                        .because("something else is mounted over it, or the path was changed meanwhile"));
    return {};
}

// What execve() could add. Read back, since the loop that drops them ends where reading fails.
Result<> check_bounding_set(kernel::CapabilityMask expected) {
    for (int number = 0; number < 64; ++number) {
        const int bounded = ::prctl(PR_CAPBSET_READ, number, 0, 0, 0);
        if (bounded < 0 && errno != EINVAL) return fail_errno("prctl(PR_CAPBSET_READ)");
        if (bounded == 1 && (expected >> number & 1) == 0)
            return fail(Code::failed,
                        kernel::capability_name(static_cast<unsigned>(number)) + " is still in the bounding set");
    }
    return {};
}

}  // namespace

Result<> enter(const LaunchRequest& request) {
    const WaitableChildren waitable;
    std::vector<int> inherited{0, 1, 2};
    inherited.insert(inherited.end(), request.keep_fds.begin(), request.keep_fds.end());
    BW_TRY(check_inherited_fds(inherited, request.containment));

    const pid_t self = ::getpid();
    const auto self_fd = BW_TRY(kernel::open_process(self));
    auto [here, there] = BW_TRY(Channel::pair());
    auto helper = BW_TRY(Child::fork([&]() -> int {
        here.close();
        if (const auto done = serve(there, self_fd, self, request); !done) {
            (void)there.send_error(done.error());
            return 1;
        }
        return 0;
    }));
    there.close();

    char* working_directory = nullptr;
    std::string own_cgroup_path;
    if (request.containment) {
        working_directory = ::get_current_dir_name();
        if (working_directory == nullptr) return fail_errno("reading the current directory");
        if (request.containment.cgroups) BW_TRY(enter_own_cgroup());
        // In a mount namespace of the initial user namespace first: the next unshare then locks the covers.
        BW_TRY(kernel::unshare(CLONE_NEWNS));
        BW_TRY(make_mounts_private());
        own_cgroup_path = BW_TRY(cover_targets(request.containment));
    }
    BW_TRY(kernel::unshare(CLONE_NEWUSER | CLONE_NEWNS | (request.private_network ? CLONE_NEWNET : 0) |
                           (request.containment.cgroups ? CLONE_NEWCGROUP : 0)));
    BW_TRY(make_mounts_private());
    BW_TRY(here.send("in the namespaces"));
    const auto device = BW_TRY(here.receive());
    BW_TRY(helper.wait());
    BW_TRY(check_mounted(request, device.text));

    if (request.private_network) BW_TRY(bring_loopback_up());
    if (!own_cgroup_path.empty()) BW_TRY(mount_own_cgroup(own_cgroup_path));
    // The old current directory is an fd in all but name: look it up again, under the covers.
    if (working_directory != nullptr && ::chdir(working_directory) != 0)
        return fail_errno(std::string("entering ") + working_directory);
    std::free(working_directory);
    // Only the namespace's power is at stake here.
    BW_TRY(kernel::become(request.ids, request.capabilities));
    BW_TRY(check_bounding_set(request.capabilities));
    return kernel::pass_on_fds(request.keep_fds);
}

kernel::NotExecuted launch(const LaunchRequest& request) {
    if (auto ready = enter(request); !ready) return {std::move(ready).error()};
    return kernel::execute(request.command);
}

}  // namespace bpfwarden::token
