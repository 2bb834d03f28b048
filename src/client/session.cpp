// SPDX-License-Identifier: Apache-2.0
#include "client/session.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "client/fork_epoch.hpp"
#include "client/last_error.hpp"
#include "wire/bpf_call.hpp"

namespace bpfwarden::client {

using Clock = std::chrono::steady_clock;

namespace {

// How long the daemon may take to decide whether a grant may be opened: it reads the opener's executable.
constexpr auto opening_time = std::chrono::seconds(30);
// Without a time limit a waiting call looks this often whether the session still has another end.
constexpr timeval glance{1, 0};

Failure ended(std::string_view when) {
    return fail(Error::from_errno(ECONNRESET, "the broker ended the session" + std::string(when))
                    .advise("it was revoked, its time is over, or bpfwardend ended: open the grant again, or look at "
                            "`journalctl -u bpfwardend`"));
}
Failure too_late() {
    return fail(Error::from_errno(ETIMEDOUT, "the broker did not answer in time")
                    .advise("bpfw_set_timeout() says how long to wait"));
}
Failure not_understood(std::string_view what) {
    return fail(Error::from_errno(EPROTO, "the broker's answer is not understood: " + std::string(what))
                    .advise("the library and bpfwardend may be of releases that do not fit each other"));
}

std::string named(std::string_view grant) { return "'" + std::string(grant) + "'"; }

bool is_dead(int number) { return number == EPIPE || number == ECONNRESET || number == ENOTCONN; }

int milliseconds_to(Clock::time_point deadline) {
    if (deadline == Clock::time_point::max()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    return left <= 0 ? 0 : static_cast<int>(std::min<long long>(left, 1'000'000'000));
}

bool hung_up(int fd) {
    pollfd one{fd, 0, 0};
    return ::poll(&one, 1, 0) == 1 && (one.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

// Until `fd` is ready for `events`, or either it or `session` has lost its other end.
Result<> wait_for(int fd, short events, int session, Clock::time_point deadline) {
    for (;;) {
        pollfd both[2] = {{fd, events, 0}, {session, 0, 0}};
        const int n = ::poll(both, 2, milliseconds_to(deadline));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("waiting for the broker");
        if (n == 0) return too_late();
        if (both[0].revents != 0) return {};
        if (both[1].revents != 0) return ended("");
    }
}

// Blocking or not, all or nothing.
Result<> send_until(int fd, wire::Type type, std::uint32_t id, wire::Bytes body, std::span<const int> fds, int session,
                    Clock::time_point deadline) {
    for (;;) {
        const auto sent = wire::send(FdRef(fd), type, id, body, fds, MSG_DONTWAIT);
        if (sent) return {};
        if (sent.error().number() != EAGAIN) return fail(sent.error());
        BW_TRY(wait_for(fd, POLLOUT, session, deadline));
    }
}

Result<std::optional<wire::Message>> receive_until(Channel& channel, int session, Clock::time_point deadline) {
    Result<std::optional<wire::Message>> early = fail(Error::from_errno(EAGAIN, ""));
    const auto look = [&] {
        early = channel.receiver.receive(FdRef(channel.fd.get()), MSG_DONTWAIT);
        return early || early.error().number() != EAGAIN;
    };
    if (channel.patience.look_for(look)) return early;
    const bool endless = deadline == Clock::time_point::max();
    for (;;) {
        if (!endless) BW_TRY(wait_for(channel.fd.get(), POLLIN, session, deadline));
        auto message = channel.receiver.receive(FdRef(channel.fd.get()), endless ? 0 : MSG_DONTWAIT);
        if (message || message.error().number() != EAGAIN) return message;
        // A thread that forked at the wrong moment has left the child a copy of the broker's end, and then the channel
        // does not say that the broker is gone.
        if (endless && hung_up(session)) return ended("");
    }
}

struct Address {
    sockaddr_un address{};
    std::string folder;
};
Result<Address> address_of(std::string_view grant) {
    // A path is that of a socket: those for one control group have no name.
    const bool is_path = grant.starts_with('/') && !grant.ends_with('/');
    if (grant.empty() || grant == "." || grant == ".." || (grant.contains('/') && !is_path) || grant.contains('\0'))
        return fail(Error::from_errno(EINVAL, named(grant) + " is no name of a grant")
                        .advise("a name is the file's in /etc/bpfwarden/grants.d, without .toml"));
    const char* run = ::secure_getenv("BPFWARDEN_RUN");
    Address result;
    result.folder = is_path ? std::string(grant.substr(0, grant.rfind('/')))
                            : std::string(run == nullptr || *run == '\0' ? "/run/bpfwarden" : run) + "/grant";
    const auto path = is_path ? std::string(grant) : result.folder + "/" + std::string(grant);
    if (path.size() >= sizeof result.address.sun_path)
        return fail(Error::from_errno(ENAMETOOLONG, "opening the grant " + named(grant))
                        .because(path + " is too long for a socket's address"));
    result.address.sun_family = AF_UNIX;
    std::memcpy(result.address.sun_path, path.c_str(), path.size() + 1);
    return result;
}

Error not_opened(int number, std::string_view grant, const std::string& folder) {
    auto error = Error::from_errno(number, "opening the grant " + named(grant));
    switch (number) {
        case ENOENT:
            if (::access(folder.c_str(), X_OK) == 0)
                return std::move(error)
                    .because("there is no " + (grant.starts_with('/') ? "" : folder + "/") + std::string(grant))
                    .advise(
                        "`bpfwarden grant list` shows which grants there are; a new one needs `bpfwarden grant "
                        "reload`");
            return std::move(error)
                .because("there is no " + folder)
                .with_code(Code::no_daemon)
                .advise("start the daemon: systemctl start bpfwardend");
        case ECONNREFUSED:
        case EAGAIN:
            return std::move(error)
                .because(number == EAGAIN ? "bpfwardend does not accept connections"
                                          : "nobody listens on the grant's socket")
                .with_code(Code::no_daemon)
                .advise("start the daemon: systemctl start bpfwardend");
        case EACCES:
        case EPERM:
            return std::move(error).advise("the grant's `subject` does not have this user or group");
        default:
            return error;
    }
}

}  // namespace

// ---- exchange

Exchange::~Exchange() {
    if (channel_ && finished_) session_->give_back(std::move(channel_));
}

Result<wire::Reader> Exchange::read(std::string_view operation) {
    wire::Reader from(message.body);
    const auto answer = from.number<std::uint8_t>();
    if (from.ok() && answer == static_cast<std::uint8_t>(wire::Answer::done)) return from;
    if (from.ok() && answer == static_cast<std::uint8_t>(wire::Answer::refused)) {
        const auto refusal = wire::read_refusal(from);
        if (!refusal || !message.fds.empty()) return not_understood("a refusal is broken");
        finish();
        return fail(refused(operation, *refusal));
    }
    if (from.ok() && answer == static_cast<std::uint8_t>(wire::Answer::failed)) {
        auto error = wire::read_error(from);
        if (!from.done() || !message.fds.empty() || error.number() < 0) return not_understood("an error is broken");
        finish();
        return fail(std::move(error).within(operation));
    }
    return not_understood("it is neither done nor refused");
}

// ---- session

Result<std::unique_ptr<Session>> Session::open(std::string_view grant) {
    const auto where = BW_TRY(address_of(grant));
    UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (!fd) return fail_errno("making a socket");
    // Also how long connect() waits for a daemon that does not accept.
    const timeval wait{opening_time.count(), 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    for (;;) {
        if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where.address), sizeof where.address) == 0) break;
        // Unlike over TCP, an interrupted connect() has not begun anything.
        if (errno != EINTR) return fail(not_opened(errno, grant, where.folder));
    }

    const auto deadline = Clock::now() + opening_time;
    BW_TRY(wait_for(fd.get(), POLLIN, -1, deadline));
    wire::Receiver receiver;
    auto hello = BW_TRY(receiver.receive(fd, MSG_DONTWAIT));
    if (!hello) return ended(" before it began");
    if (hello->type != wire::Type::hello || !hello->fds.empty())
        return not_understood("it does not begin with a greeting");
    wire::Reader from(hello->body);
    const auto answer = from.number<std::uint8_t>();
    const auto context = "opening the grant " + named(grant);
    if (from.ok() && answer == static_cast<std::uint8_t>(wire::Answer::refused)) {
        const auto refusal = wire::read_refusal(from);
        if (!refusal) return not_understood("the greeting is broken");
        return fail(refused(context, *refusal));
    }
    if (from.ok() && answer == static_cast<std::uint8_t>(wire::Answer::failed)) {
        auto error = wire::read_error(from);
        if (!from.done()) return not_understood("the greeting is broken");
        return fail(std::move(error).within(context));
    }
    for (int i = 0; i < 3; ++i) (void)from.text();  // session, grant, revision: bpfw_describe() has them
    if (!from.done() || answer != static_cast<std::uint8_t>(wire::Answer::done))
        return not_understood("the greeting is broken");
    return std::unique_ptr<Session>(new Session(HeldFd(fd.release())));
}

Result<std::unique_ptr<Session>> Session::adopt(int fd, bool borrowed) {
    const auto context = "using fd " + std::to_string(fd) + " as a session";
    int domain = 0;
    int type = 0;
    socklen_t size = sizeof domain;
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 ||
        ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0)
        return fail_errno(context);
    sockaddr_un peer{};
    size = sizeof peer;
    if (domain != AF_UNIX || type != SOCK_SEQPACKET)
        return fail(Error::from_errno(EPROTOTYPE, context).because("it is a socket of another kind"));
    // A channel or a stand-in passes for a session here; the broker tells them apart at the first call.
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0)
        return fail(Error::from_errno(EPROTOTYPE, context).because("it is a socket that is not connected"));
    if (!borrowed && ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return fail_errno(context);
    return std::unique_ptr<Session>(new Session(HeldFd(fd, !borrowed)));
}

Session::~Session() {
    for (auto& slot : idle_) delete slot.exchange(nullptr);
}

Session::Deadline Session::deadline() const {
    const auto ms = timeout_ms_.load(std::memory_order_relaxed);
    return ms == 0 ? Deadline::max() : Clock::now() + std::chrono::milliseconds(ms);
}

std::unique_ptr<Channel> Session::idle_channel() {
    for (auto& slot : idle_) {
        if (slot.load(std::memory_order_relaxed) == nullptr) continue;
        std::unique_ptr<Channel> channel(slot.exchange(nullptr, std::memory_order_acquire));
        // The parent's: two processes on one channel would read each other's answers.
        if (channel && channel->epoch == fork_epoch() && channel->fd.holds()) return channel;
    }
    return nullptr;
}

void Session::give_back(std::unique_ptr<Channel> channel) {
    for (auto& slot : idle_) {
        Channel* empty = nullptr;
        if (slot.compare_exchange_strong(empty, channel.get(), std::memory_order_release)) {
            (void)channel.release();
            return;
        }
    }
}

Result<std::unique_ptr<Channel>> Session::open_channel(Deadline deadline) {
    if (!fd_.holds())
        return fail(Error::from_errno(EBADF, "the session's file descriptor was closed")
                        .because("fd " + std::to_string(fd_.get()) + " is not what it was"));
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("making a channel");
    const UniqueFd theirs(ends[1]);
    auto channel = std::make_unique<Channel>();
    channel->fd = HeldFd(ends[0]);
    channel->epoch = fork_epoch();
    ::setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &glance, sizeof glance);
    // From the first request on the kernel tells the broker who sends it, also before the broker has its end.
    const int on = 1;
    if (::setsockopt(theirs.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) return fail_errno("making a channel");
    const int sent[] = {theirs.get()};
    auto done = send_until(fd_.get(), wire::Type::open_channel, 0, {}, sent, fd_.get(), deadline);
    if (!done && is_dead(done.error().number())) return ended("");
    if (!done) return fail(std::move(done).error().within("opening a channel"));
    return channel;
}

Result<Exchange> Session::ask(wire::Type type, wire::Bytes body, std::span<const int> fds) {
    const auto until = deadline();
    auto channel = idle_channel();
    for (bool fresh = channel == nullptr;; fresh = true) {
        if (!channel) channel = BW_TRY(open_channel(until));
        const auto id = ++channel->last_id;
        auto sent = send_until(channel->fd.get(), type, id, body, fds, fd_.get(), until);
        // A channel that the broker closed meanwhile, as it may with idle ones: nothing of this was received.
        if (!sent && is_dead(sent.error().number()) && !fresh) {
            channel.reset();
            continue;
        }
        if (!sent && is_dead(sent.error().number())) return ended("");
        if (!sent) {
            const int number = sent.error().number();
            // The caller's fault, such as an fd that is not open; nothing was sent, so the channel is as good as
            // before.
            if (number != ETIMEDOUT) give_back(std::move(channel));
            return fail(std::move(sent).error().within("asking the broker"));
        }
        auto answer = receive_until(*channel, fd_.get(), until);
        if (!answer && answer.error().number() == EPROTO) return not_understood(answer.error().what());
        if (!answer) return fail(std::move(answer).error());
        if (!*answer) return ended(", or this call's worker, without an answer");
        if ((*answer)->type != wire::Type::answer || (*answer)->id != id)
            return not_understood("it answers something else");
        Exchange exchange(*this, std::move(channel));
        exchange.message = std::move(**answer);
        return exchange;
    }
}

}  // namespace bpfwarden::client
