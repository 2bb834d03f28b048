// SPDX-License-Identifier: Apache-2.0
// `bpfwarden filter run`
#include <fmt/format.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.hpp"
#include "bytecode/classic.hpp"
#include "cli/filter.hpp"
#include "filter/action.hpp"
#include "kernel/seccomp_filter.hpp"

namespace bpfwarden::cli {

namespace {

Result<UniqueFd> connect_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail(Error(Code::usage, "--new-listener: the path is too long for a socket"));
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return fail_errno("socket");
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail_errno("cannot connect to " + bpfwarden::quoted(path));
    return fd;
}

Result<> send_listener(FdRef socket, FdRef listener) {
    char byte = 'L';
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = listener.get();
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    return ::sendmsg(socket.get(), &message, MSG_NOSIGNAL) == 1 ? Result<>() : fail_errno("sending the listener");
}

// What would end this process before the command has begun, or the command at its first step.
Result<> must_let_through(const std::vector<sock_filter>& program) {
    const auto abi = filter::native_abi();
    if (!abi) return {};
    filter::Data data;
    data[filter::Word::arch] = filter::audit_arch(*abi);
    data[filter::Word::nr] = filter::number_of(*abi, "execve").value_or(0);
    const auto result = bytecode::run(program, data.words).result;
    if (result == filter::allow || (result & filter::action_mask) == SECCOMP_RET_LOG ||
        (result & filter::action_mask) == SECCOMP_RET_USER_NOTIF || (result & filter::action_mask) == SECCOMP_RET_TRACE)
        return {};
    return fail(Error(Code::bad_input, "the filter does not let the command start")
                    .because("execve gets " + filter::text(result))
                    .advise("allow execve"));
}

}  // namespace

Result<int> filter_run(const Args& args) {
    const auto& command = args.positional("COMMAND");
    if (command.empty())
        return fail(
            Error(Code::usage, "COMMAND is missing").advise("bpfwarden filter run --help shows how it is called"));
    if (args.json)
        return fail(
            Error(Code::usage, "filter run has nothing to say as JSON")
                .because("it becomes the command: what is printed is the command's")
                .advise("give --json to `bpfwarden filter check` or `filter stats`, or to the command after --"));
    const auto source = BW_TRY(open_source(args.only("SOURCE"), args));
    const auto built = BW_TRY(build_source(source, args));
    BW_TRY(must_let_through(built.program));
    const auto listener_socket = args.value("--new-listener");
    UniqueFd socket;
    if (listener_socket) socket = BW_TRY(connect_to(*listener_socket));
    if ((source.flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0 && !listener_socket)
        return fail(Error(Code::usage, "the filter asks a supervisor about some calls, and there is none")
                        .advise("give the socket of one with --new-listener"));
    std::vector<char*> argv;
    // execvp takes char* for historical reasons and changes nothing.
    for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const auto listener = BW_TRY(kernel::install_filter(
        built.program,
        {.all_threads = args.has("--tsync") || (source.flags & SECCOMP_FILTER_FLAG_TSYNC) != 0,
         .log = args.has("--log") || (source.flags & SECCOMP_FILTER_FLAG_LOG) != 0,
         .speculate = args.has("--spec-allow") || (source.flags & SECCOMP_FILTER_FLAG_SPEC_ALLOW) != 0,
         .new_listener = listener_socket.has_value(),
         .wait_killable = listener_socket && (source.flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) != 0}));
    // From here on every call is the filter's to decide.
    if (listener) BW_TRY(send_listener(socket, listener));
    ::execvp(argv[0], argv.data());
    const int error = errno;
    fmt::print(stderr, "{}\n",
               Error::from_errno(error, fmt::format("cannot run {}", bpfwarden::quoted(argv[0])))
                   .text("bpfwarden filter run"));
    return error == ENOENT ? 127 : 126;
}

}  // namespace bpfwarden::cli
