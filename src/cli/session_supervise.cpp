// SPDX-License-Identifier: Apache-2.0
// `bpfwarden session supervise`
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/session.hpp"
#include "client/requests.hpp"

namespace bpfwarden::cli {
namespace {

// A socket at a path, which is gone again with the object.
class ListeningSocket {
  public:
    static Result<ListeningSocket> make(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (path.empty() || path.size() >= sizeof address.sun_path)
            return fail(Error(Code::usage, fmt::format("{} cannot be a socket's path", bpfwarden::quoted(path)))
                            .because(fmt::format("it has at most {} bytes", sizeof address.sun_path - 1)));
        path.copy(address.sun_path, path.size());
        UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (!socket) return fail_errno("socket");
        const mode_t mask = ::umask(0177);
        const int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
        const int error = errno;
        ::umask(mask);
        if (bound != 0)
            return fail(Error::from_errno(error, fmt::format("making the socket {}", path))
                            .advise(error == EADDRINUSE ? "remove it, if nobody uses it" : ""));
        ListeningSocket made(path, std::move(socket));
        if (::listen(made.socket_.get(), 16) != 0) return fail_errno("listen");
        return made;
    }
    ListeningSocket(ListeningSocket&& other) noexcept
        : path_(std::exchange(other.path_, {})), socket_(std::move(other.socket_)) {}
    ListeningSocket& operator=(ListeningSocket&&) = delete;
    ~ListeningSocket() {
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    FdRef fd() const { return socket_; }

  private:
    ListeningSocket(std::string path, UniqueFd socket) : path_(std::move(path)), socket_(std::move(socket)) {}
    std::string path_;
    UniqueFd socket_;
};

struct Received {
    std::string text;
    std::vector<UniqueFd> fds;
};
// What a runtime sends, up to the end of its JSON: runc and crun keep the socket open as long as their container runs.
Result<Received> receive_all(FdRef connection) {
    constexpr std::size_t most = 1024 * 1024;
    // Others wait meanwhile.
    const timeval patience{.tv_sec = 5, .tv_usec = 0};
    (void)::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    Received received;
    for (;;) {
        std::array<char, 16 * 1024> bytes;
        iovec part{bytes.data(), bytes.size()};
        alignas(cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))];
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        const auto n = ::recvmsg(connection.get(), &message, MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN)
            return fail(Code::bad_input, "the container runtime sent no more for five seconds, and no whole state");
        if (n < 0) return fail_errno("receiving from the container runtime");
        for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
            if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
            for (std::size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
                int number = -1;
                std::memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof number);
                received.fds.emplace_back(number);
            }
        }
        if (n == 0) return received;
        received.text.append(bytes.data(), static_cast<std::size_t>(n));
        if (nlohmann::json::accept(received.text)) return received;
        if (received.text.size() > most) return fail(Code::bad_input, "the container process state is too long");
    }
}

// The container process state of the OCI runtime specification: "fds" names the fds that came, in their order.
Result<UniqueFd> listener_of(Received received) {
    const auto state = nlohmann::json::parse(received.text, nullptr, false);
    if (!state.is_object() || !state.contains("fds") || !state["fds"].is_array())
        return fail(Code::bad_input, "what came is no container process state");
    const auto& names = state["fds"];
    for (std::size_t i = 0; i < names.size() && i < received.fds.size(); ++i)
        if (names[i] == "seccompFd") return std::move(received.fds[i]);
    return fail(Code::bad_input, "no listener came with the container process state");
}

Result<> take_one(client::Session& session, FdRef connection, UniqueFd& kept) {
    ucred peer{};
    socklen_t size = sizeof peer;
    // The socket's mode says so already.
    if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return fail_errno("SO_PEERCRED");
    if (peer.uid != 0 && peer.uid != ::geteuid()) return fail(Code::denied, "another user's runtime");
    auto listener = BW_TRY(listener_of(BW_TRY(receive_all(connection))));
    BW_TRY(client::supervise(session, listener));
    kept = std::move(listener);
    return {};
}

volatile sig_atomic_t ended = 0;

}  // namespace

Result<int> session_supervise(const Args& args) {
    const auto session = BW_TRY(client::Session::open(args.value("--grant").value_or("")));
    const auto socket = BW_TRY(ListeningSocket::make(args.only("PATH")));
    struct sigaction end{};
    end.sa_handler = [](int) { ended = 1; };
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(number, &end, nullptr);
    while (ended == 0) {
        // Also the end of the session, whose other end then hangs up.
        pollfd waits[2] = {{socket.fd().get(), POLLIN, 0}, {session->fd(), 0, 0}};
        if (::poll(waits, 2, -1) < 0) {
            if (errno == EINTR) continue;
            return fail_errno("poll");
        }
        if ((waits[1].revents & POLLHUP) != 0)
            return fail(Error(Code::failed, "the session has ended").because("it was revoked, or its time is over"));
        const UniqueFd connection(::accept4(socket.fd().get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!connection) continue;
        UniqueFd listener;
        if (const auto taken = take_one(*session, connection, listener); !taken) {
            fmt::print(stderr, "{}\n", taken.error().text("bpfwarden session supervise"));
            continue;
        }
        if (!args.has("--once")) continue;
        // Hung up when the last process of the filter has ended.
        pollfd last{listener.get(), 0, 0};
        while (::poll(&last, 1, -1) < 0 && errno == EINTR && ended == 0) {
        }
        return 0;
    }
    return 0;
}

}  // namespace bpfwarden::cli
