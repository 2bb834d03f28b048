// SPDX-License-Identifier: Apache-2.0
#include "broker/protocol.hpp"

#include <poll.h>

namespace bpfwarden::broker {

Error with_errno(const Error& error) {
    if (error.number() != 0) return error;
    const int number = error.code() == Code::denied      ? EACCES
                       : error.code() == Code::bad_input ? EINVAL
                       : error.code() == Code::not_found ? ENOENT
                                                         : EIO;
    return Error::from_errno(number, error.what()).with_code(error.code()).because(error.why()).advise(error.hint());
}

Result<wire::Message> ask(FdRef socket, wire::Receiver& receiver, Internal kind, wire::Bytes body,
                          std::span<const int> fds, int timeout_ms) {
    static std::uint32_t last = 0;
    const auto id = ++last;
    BW_TRY(wire::send(socket, as_type(kind), id, body, fds));
    while (true) {
        pollfd wait{socket.get(), POLLIN, 0};
        const int ready = ::poll(&wait, 1, timeout_ms);
        if (ready < 0 && errno == EINTR) continue;
        if (ready < 0) return fail_errno("poll");
        if (ready == 0) return fail(Error::from_errno(ETIMEDOUT, "a process of bpfwarden does not answer"));
        auto answer = BW_TRY(receiver.receive(socket));
        if (!answer) return fail(Error::from_errno(ECONNRESET, "a process of bpfwarden has ended"));
        // An answer that came after its asker had given up.
        if (answer->id != id) continue;
        return std::move(*answer);
    }
}

}  // namespace bpfwarden::broker
