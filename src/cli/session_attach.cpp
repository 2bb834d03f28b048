// SPDX-License-Identifier: Apache-2.0
// `bpfwarden session attach`
#include <bpfwarden/bpfwarden.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/text.hpp"
#include "cli/session.hpp"

namespace bpfwarden::cli {

// Beside this program's own build, or where it was installed.
static std::string preload_library() {
    std::error_code problem;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", problem).parent_path();
    for (const auto& path :
         {self / "../lib/libbpfwarden-preload.so", std::filesystem::path(BPFWARDEN_LIBDIR) / "libbpfwarden-preload.so"})
        if (std::filesystem::exists(path, problem)) return std::filesystem::canonical(path, problem).string();
    return {};
}

Result<int> session_attach(const Args& args) {
    const auto name = args.value("--grant").value_or("");
    const auto& command = args.positional("COMMAND");
    if (command.empty())
        return fail(
            Error(Code::usage, "COMMAND is missing").advise("bpfwarden session attach --help shows how it is called"));
    auto* session = ::bpfw_open(name.c_str());
    if (session == nullptr) {
        const int error = errno;
        return fail(Error::from_errno(error, "cannot open a session of " + bpfwarden::quoted(name))
                        .with_code(error == EACCES || error == EPERM ? Code::denied : Code::no_daemon)
                        .because(::bpfw_error()));
    }
    // The command gets the fd itself; everything else of the session here ends with exec.
    const int fd = ::fcntl(::bpfw_fd(session), F_DUPFD, 3);
    if (fd < 0) return fail_errno("handing over the session");
    ::setenv("BPFWARDEN_SESSION_FD", std::to_string(fd).c_str(), 1);
    if (!args.has("--no-preload")) {
        const auto library = preload_library();
        if (library.empty())
            return fail(Error(Code::failed, "libbpfwarden-preload.so is not installed")
                            .advise("install it, or use --no-preload with a program that knows libbpfwarden"));
        const char* others = std::getenv("LD_PRELOAD");
        ::setenv("LD_PRELOAD", (others != nullptr && *others != '\0' ? library + ":" + others : library).c_str(), 1);
    }
    std::vector<char*> argv;
    // execvp takes char* for historical reasons and changes nothing.
    for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    const int error = errno;
    fmt::print(stderr, "{}\n",
               Error::from_errno(error, fmt::format("cannot run {}", bpfwarden::quoted(argv[0])))
                   .text("bpfwarden session attach"));
    return error == ENOENT ? 127 : 126;
}

}  // namespace bpfwarden::cli
