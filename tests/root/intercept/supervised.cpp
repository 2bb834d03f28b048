// SPDX-License-Identifier: Apache-2.0
#include "supervised.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "raw.hpp"

namespace bpfwarden::test {

namespace fs = std::filesystem;

static fs::path build() { return fs::read_symlink("/proc/self/exe").parent_path() / "../.."; }

std::string acts_path(const Daemon& daemon) {
    // Where the user can get at it: the build may be where only its owner can.
    const auto path = daemon.directory() + "/acts";
    if (!fs::exists(path)) {
        fs::copy_file(build() / "tests/helpers/intercept_acts", path);
        fs::permissions(path, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                                  fs::perms::others_read | fs::perms::others_exec);
    }
    return path;
}

static void become(uid_t uid) {
    if (uid == 0) return;
    if (::setgroups(0, nullptr) != 0 || ::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0)
        ::_exit(120);
    ::prctl(PR_SET_DUMPABLE, 1);
}

Start supervised_command(uid_t uid, const std::string& grant, const Words& command, const Words& options) {
    // Opened before the user is another, who may not be able to.
    static const int tool = ::open((build() / "bin/bpfwarden").c_str(), O_PATH | O_CLOEXEC);
    Words argv{"/proc/self/fd/" + std::to_string(tool), "run", "--grant", grant};
    if (std::ranges::find(options, "--via") == options.end()) argv.insert(argv.end(), {"--via", "intercept"});
    argv.insert(argv.end(), options.begin(), options.end());
    argv.emplace_back("--");
    argv.insert(argv.end(), command.begin(), command.end());
    (void)test_user();
    return {.argv = std::move(argv), .environment = {}, .in_child = [uid] { become(uid); }};
}

Start supervised_as(uid_t uid, const Daemon& daemon, const std::string& grant, const Words& act, const Words& options) {
    Words command{acts_path(daemon)};
    command.insert(command.end(), act.begin(), act.end());
    return supervised_command(uid, grant, command, options);
}

Start supervised(const Daemon& daemon, const std::string& grant, const Words& act, const Words& options) {
    return supervised_as(test_user(), daemon, grant, act, options);
}

static std::string said(const Ended& ended) { return ended.exited(0) && !ended.late ? ended.out : ended.text(); }

std::string act(const Daemon& daemon, const std::string& grant, const Words& words) {
    return said(run(supervised(daemon, grant, words)));
}

static Start start_as(uid_t uid, const Daemon& daemon, const Words& words) {
    Words argv{acts_path(daemon)};
    argv.insert(argv.end(), words.begin(), words.end());
    return {.argv = std::move(argv), .environment = {}, .in_child = [uid] { become(uid); }};
}
Start start_of_root(const Daemon& daemon, const Words& words) { return start_as(0, daemon, words); }
std::string act_of_root(const Daemon& daemon, const Words& words) { return said(run(start_as(0, daemon, words))); }
std::string act_of_user(const Daemon& daemon, const Words& words) {
    return said(run(start_as(test_user(), daemon, words)));
}

OfOthers::OfOthers() : map_(raw::create_map()), program_(raw::load()) {}
OfOthers::~OfOthers() {
    ::close(map_);
    ::close(program_);
}
std::uint32_t OfOthers::map() const { return raw::map_info(map_).id; }
std::uint32_t OfOthers::program() const { return raw::program_info(program_).id; }

}  // namespace bpfwarden::test
