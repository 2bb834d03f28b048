// SPDX-License-Identifier: Apache-2.0
// What opening files and starting programs takes, for bench/run: the least of several batches, in ns a turn
// (instructions in a guest that counts them). Which policy it is under is the caller's affair.
//
//   policy_cost open TURNS FILE…      open() and close() of the files, in turn
//   policy_cost renamed TURNS FILE    the same of one file, after a rename beside it: nothing kept of names holds
//   policy_cost exec TURNS PROGRAM    from spawn to the end of it
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <span>
#include <string>
#include <string_view>

#include "least.hpp"

namespace {

using bpfwarden::bench::give_up;
using bpfwarden::bench::least;

void open_and_close(const char* path) {
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) give_up(path);
    ::close(file);
}

void run(char** command) {
    pid_t pid = 0;
    char* nothing[] = {nullptr};
    if (::posix_spawn(&pid, command[0], nullptr, nullptr, command, nothing) != 0) give_up(command[0]);
    int status = 0;
    if (::waitpid(pid, &status, 0) != pid || status != 0) give_up(command[0]);
}

double opens(int turns, std::span<char*> files) {
    std::size_t at = 0;
    return least(turns, [&] {
        open_and_close(files[at]);
        at = at + 1 == files.size() ? 0 : at + 1;
    });
}

double opens_after_renames(int turns, const char* path) {
    const std::string here = "/dev/shm/policy_cost.a", there = "/dev/shm/policy_cost.b";
    ::close(::open(here.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    const auto rename = [&] {
        if (::rename(here.c_str(), there.c_str()) != 0 || ::rename(there.c_str(), here.c_str()) != 0) give_up("rename");
    };
    const double both = least(turns, [&] {
        rename();
        open_and_close(path);
    });
    const double renames = least(turns, rename);
    ::unlink(here.c_str());
    return both - renames;
}

}  // namespace

int main(int argc, char** argv) {
    const std::span<char*> words(argv, static_cast<std::size_t>(argc));
    if (words.size() < 4) return 2;
    const std::string_view what = words[1];
    const int turns = std::atoi(words[2]);
    const double cost = what == "open"      ? opens(turns, words.subspan(3))
                        : what == "renamed" ? opens_after_renames(turns, words[3])
                        : what == "exec"    ? least(turns, [&] { run(argv + 3); })
                                            : -1;
    if (cost < 0 && what != "renamed") return 2;
    std::printf("%.1f\n", cost);
    return 0;
}
