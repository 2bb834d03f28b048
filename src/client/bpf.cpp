// SPDX-License-Identifier: Apache-2.0
#include "client/bpf.hpp"

#include <linux/bpf.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "client/kernel_call.hpp"
#include "wire/bpf_call.hpp"
#include "wire/commands.hpp"

namespace bpfwarden::client {

static bool gives_fd(unsigned command) {
    switch (command) {
        case BPF_MAP_CREATE:
        case BPF_PROG_LOAD:
        case BPF_BTF_LOAD:
        case BPF_LINK_CREATE:
        case BPF_RAW_TRACEPOINT_OPEN:
        case BPF_ITER_CREATE:
        case BPF_PROG_GET_FD_BY_ID:
        case BPF_MAP_GET_FD_BY_ID:
        case BPF_LINK_GET_FD_BY_ID:
            return true;
        default:
            return false;
    }
}

static Result<int> ask_broker(Session& session, unsigned command, void* attr, std::size_t size) {
    if (size > 4096) return -E2BIG;  // as the kernel, before it looks at them
    const auto request = BW_TRY(wire::BpfRequest::of(command, attr, size));
    auto exchange = BW_TRY(session.ask(wire::Type::bpf, request.body(), request.fds()));
    BW_TRY(exchange.read(wire::command_name(command)));
    const bool with_fd = !exchange.message.fds.empty();
    const int result = BW_TRY(request.take_answer(exchange.message, reinterpret_cast<std::uint64_t>(attr), size));
    // A number without an fd would be taken for one of the caller's own.
    if (result >= 0 && with_fd != gives_fd(command)) {
        if (with_fd) ::close(result);
        return fail(Error::from_errno(EPROTO, "the broker's answer is not understood: an fd too many, or none"));
    }
    exchange.finish();
    return result;
}

static int ask_kernel(unsigned command, void* attr, std::size_t size) {
    return static_cast<int>(
        kernel_call(SYS_bpf, static_cast<long>(command), reinterpret_cast<long>(attr), static_cast<long>(size)));
}

static bool is_socket(int fd) {
    struct stat info{};
    return ::fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode);
}

Result<int> bpf(Session& session, unsigned command, void* attr, std::size_t size) {
    switch (wire::route_of(command)) {
        case wire::Route::broker:
            return ask_broker(session, command, attr, size);
        case wire::Route::freeze: {
            const int result = ask_kernel(command, attr, size);
            return result == -EPERM ? ask_broker(session, command, attr, size) : result;
        }
        case wire::Route::info: {
            const int result = ask_kernel(command, attr, size);
            if (result != -EINVAL && result != -EBADF) return result;
            int fd = -1;
            if (attr != nullptr && size >= sizeof fd) std::memcpy(&fd, attr, sizeof fd);  // info.bpf_fd is its first
            if (!is_socket(fd)) return result;
            return ask_broker(session, command, attr, size);
        }
        case wire::Route::kernel:
        case wire::Route::refused:
            break;
    }
    return fail(Error::from_errno(EPERM, std::string(wire::command_name(command)) + ": not possible over a session")
                    .because(command == BPF_TOKEN_CREATE ? "a session takes the place of a token"
                                                         : "the broker does not do this command for anybody"));
}

}  // namespace bpfwarden::client
