// SPDX-License-Identifier: Apache-2.0
#include "vm/maker.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

namespace bpfwarden::test {

namespace fs = std::filesystem;

std::string policy_of(const std::string& domain, const std::string& refused) {
    return fmt::format(R"(format = 1
name = "{0}"
mode = "enforce"
[[domain]]
name = "{0}"
enter = [ {{ exe = "{1}{0}" }} ]
[[rule]]
domains = ["{0}"]
deny = ["mkdir"]
paths = ["{1}{2}/*"]
)",
                       domain, place, refused);
}

// A copy of this program, in the domain that is called like it. For each line it makes the directory that is in it, and
// answers with errno.
__attribute__((constructor)) static void be_the_maker() {
    if (!std::getenv("BW_MAKER")) return;
    char line[256];
    while (std::fgets(line, sizeof line, stdin)) {
        line[std::string(line).find('\n')] = 0;
        std::printf("%d\n", ::mkdir(line, 0755) == 0 ? 0 : errno);
        std::fflush(stdout);
    }
    ::_exit(0);
}

Maker::Maker(const std::string& domain) {
    fs::copy_file("/proc/self/exe", place + domain, fs::copy_options::skip_existing);
    int in[2], out[2];
    if (::pipe2(in, O_CLOEXEC) || ::pipe2(out, O_CLOEXEC)) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
        ::dup2(in[0], 0);
        ::dup2(out[1], 1);
        ::setenv("BW_MAKER", "1", 1);
        ::execl((place + domain).c_str(), domain.c_str(), nullptr);
        ::_exit(126);
    }
    ::close(in[0]);
    ::close(out[1]);
    to_ = ::fdopen(in[1], "w");
    from_ = ::fdopen(out[0], "r");
}

Maker::~Maker() {
    std::fclose(to_);
    std::fclose(from_);
    ::waitpid(pid_, nullptr, 0);
}

int Maker::make(const std::string& directory) {
    int answer = -1;
    std::fprintf(to_, "%s%s\n", place.c_str(), directory.c_str());
    std::fflush(to_);
    return std::fscanf(from_, "%d", &answer) == 1 ? answer : -1;
}

}  // namespace bpfwarden::test
