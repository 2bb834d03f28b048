// SPDX-License-Identifier: Apache-2.0
// Runs the built bpfwarden: $BPFWARDEN_BIN, or ../../bin/bpfwarden seen from the test program.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace bpfwarden {

inline std::string program() {
    if (const char* given = std::getenv("BPFWARDEN_BIN")) return given;
    return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "../../bin/bpfwarden").lexically_normal();
}

struct Outcome {
    int status = -1;
    std::string out, err;
};

inline std::string read_back(std::FILE* file) {
    std::rewind(file);
    std::string text;
    std::array<char, 4096> buffer{};
    for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), file)) > 0;) text.append(buffer.data(), n);
    std::fclose(file);
    return text;
}

// No shell: arguments are passed as they are.
inline Outcome bpfwarden_run(std::vector<std::string> args, const std::string& input = "",
                             const std::string& folder = ".") {
    std::FILE* in = std::tmpfile();
    std::FILE* out = std::tmpfile();
    std::FILE* err = std::tmpfile();
    if (!in || !out || !err) std::abort();
    std::fwrite(input.data(), 1, input.size(), in);
    std::rewind(in);
    const std::string path = program();
    args.insert(args.begin(), path);
    std::vector<char*> argv;
    for (auto& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(fileno(in), 0);
        ::dup2(fileno(out), 1);
        ::dup2(fileno(err), 2);
        if (::chdir(folder.c_str()) == 0) ::execv(path.c_str(), argv.data());
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    std::fclose(in);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_back(out), read_back(err)};
}

}  // namespace bpfwarden
