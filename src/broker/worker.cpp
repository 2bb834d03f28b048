// SPDX-License-Identifier: Apache-2.0
#include "broker/worker.hpp"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>

#include "audit/record.hpp"
#include "broker/protocol.hpp"
#include "intercept/supervisor.hpp"
#include "kernel/seccomp_notify.hpp"
#include "wire/patience.hpp"

namespace bpfwarden::broker {

namespace {

// What an epoll event is about, beside a number: an fd, or a stand-in's handle (cookies count up from one; 60 bits of
// them last).
enum class Source : std::uint64_t { session, control, channel, stand_in, listener };
constexpr unsigned source_shift = 60;
std::uint64_t tag(Source source, std::uint64_t number) {
    return static_cast<std::uint64_t>(source) << source_shift | number;
}

constexpr std::size_t most_channels = 256, most_listeners = 256;

std::uint64_t now_ns(clockid_t clock = CLOCK_MONOTONIC) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

class Worker : public intercept::Broker {
  public:
    Worker(WorkerSetup setup, const Machine& machine)
        : setup_(std::move(setup)), state_{.rights = setup_.rights, .ledger = setup_.ledger, .machine = machine} {
        state_.objects.watch = [this](const Objects::StandIn& made) {
            // Only its hang-up, which epoll always reports.
            (void)watch(made.kept, 0, tag(Source::stand_in, made.handle));
        };
        state_.forget_dead_maps = [this] { return forget_dead_maps(); };
        state_.open_map = [this](std::uint32_t id) { return open_map(id); };
        if (setup_.parser) state_.parser = Parser(std::move(setup_.parser));
    }

    int run() {
        epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
        if (!epoll_ || !watch(setup_.session, EPOLLIN, tag(Source::session, 0)) ||
            !watch(setup_.control, EPOLLIN, tag(Source::control, 0)))
            return 1;
        if (setup_.waits_for_go) {
            const auto go = control_receiver_.receive(setup_.control);
            if (!go || !*go) return 0;
        }
        while (!over_) {
            std::array<epoll_event, 64> events;
            int n = 0;
            const auto wait = [&](int timeout_ms) {
                n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
                return n != 0;
            };
            if (!patience_.look_for([&] { return wait(0); })) wait(-1);
            if (n < 0 && errno != EINTR) return 1;
            for (int i = 0; i < n; ++i) {
                const auto& event = events[static_cast<std::size_t>(i)];
                handle(static_cast<Source>(event.data.u64 >> source_shift),
                       event.data.u64 & ((std::uint64_t{1} << source_shift) - 1), event.events);
            }
            if (!setup_.session && channels_.empty() && supervisors_.empty() && !state_.objects.keeps_any())
                over_ = true;
        }
        return 0;
    }

  private:
    bool watch(FdRef fd, std::uint32_t events, std::uint64_t data) {
        epoll_event event{};
        event.events = events;
        event.data.u64 = data;
        return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0;
    }

    void handle(Source source, std::uint64_t number, std::uint32_t events) {
        switch (source) {
            case Source::session:
                accept_channel();
                break;
            case Source::control:
                // The daemon has ended, no other one will take over, and nobody could revoke this any more.
                if ((events & (EPOLLHUP | EPOLLERR)) != 0)
                    over_ = true;
                else  // a second go, or an answer that came too late
                    (void)control_receiver_.receive(setup_.control, MSG_DONTWAIT);
                break;
            case Source::channel:
                serve(static_cast<int>(number));
                break;
            case Source::listener:
                supervise(static_cast<int>(number), events);
                break;
            case Source::stand_in:
                state_.objects.drop(number);
                state_.objects.prepare();
                break;
        }
    }

    // Not a socket that is connected to some daemon, to which this process's word would be root's.
    static bool is_end_of_pair(FdRef fd) {
        int domain = 0, type = 0;
        socklen_t size = sizeof domain;
        if (::getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_UNIX) return false;
        if (::getsockopt(fd.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) return false;
        for (auto* name_of : {&::getsockname, &::getpeername}) {
            sockaddr_un name{};
            socklen_t length = sizeof name;
            if ((*name_of)(fd.get(), reinterpret_cast<sockaddr*>(&name), &length) != 0) return false;
            if (length > sizeof name.sun_family) return false;  // it has a name
        }
        return true;
    }

    // The session's own socket takes nothing but channels. What else comes is somebody's mistake, and is dropped: the
    // others who hold the same socket must not suffer for it.
    void accept_channel() {
        auto message = receiver_.receive(setup_.session, MSG_DONTWAIT);
        if (!message) {
            if (message.error().number() != EAGAIN && message.error().number() != EPROTO) setup_.session.reset();
            return;
        }
        if (!*message) {
            setup_.session.reset();  // the last holder has closed it; the channels go on
            return;
        }
        auto& open = **message;
        if (open.type != wire::Type::open_channel || open.fds.size() != 1 || channels_.size() >= most_channels) return;
        auto channel = std::move(open.fds.front());
        if (!is_end_of_pair(channel)) return;
        // The kernel then says with each message who sent it.
        const int on = 1;
        if (::setsockopt(channel.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) return;
        const int number = channel.get();
        if (watch(channel, EPOLLIN, tag(Source::channel, static_cast<std::uint64_t>(number))))
            channels_.insert_or_assign(number, std::move(channel));
        state_.objects.prepare();
    }

    void serve(int number) {
        const auto at = channels_.find(number);
        if (at == channels_.end()) return;
        auto message = receiver_.receive(at->second, MSG_DONTWAIT);
        if (!message && message.error().number() == EAGAIN) return;
        // A channel that speaks something else is of no more use to its holder.
        if (!message || !*message) {
            channels_.erase(at);
            return;
        }
        const auto began = now_ns();
        answer_.clear();
        answer_fd_.reset();
        dispatch(**message, began);
        const int fd = answer_fd_.get();
        // Whoever does not read answers loses the channel, not the worker's time.
        const auto sent = wire::send(at->second, wire::Type::answer, (*message)->id, answer_.bytes(),
                                     {&fd, answer_fd_ ? 1U : 0U}, MSG_DONTWAIT);
        if (!sent) channels_.erase(at);
        answer_fd_.reset();
    }

    void dispatch(wire::Message& message, std::uint64_t began) {
        // Sent before the socket was told to name senders, or by a process that cannot be seen from here.
        if (!message.sender || message.sender->pid <= 0)
            return fail_with(Error::from_errno(EPERM, "who asks is not known")
                                 .with_code(Code::denied)
                                 .because("the request came without its sender's credentials")
                                 .advise("set SO_PASSCRED on both ends of a channel before it is used"));
        switch (message.type) {
            case wire::Type::bpf:
                return bpf(message, began);
            case wire::Type::perf_event_open:
                return to_opener(message, Internal::open_event, began);
            case wire::Type::event_text:
                return to_opener(message, Internal::read_event, began);
            case wire::Type::event_files:
                return to_opener(message, Internal::read_events, began);
            case wire::Type::derive:
                return derive(message);
            case wire::Type::describe:
                return describe();
            case wire::Type::add_signature:
                return add_signature(message);
            case wire::Type::supervise:
                return add_listener(message);
            case wire::Type::attach_socket:
            case wire::Type::store_program:
                return place(message, began);
            case wire::Type::caught:
                return tell_caught();
            case wire::Type::operations:
                return tell_operations();
            case wire::Type::refusals:
                return tell_refusals();
            default:
                fail_with(Error::from_errno(ENOSYS, "the broker does not know this request")
                              .because("the program is newer than the broker")
                              .with_code(Code::unsupported));
        }
    }

    void fail_with(const Error& error) {
        answer_.clear();
        answer_.number(static_cast<std::uint8_t>(wire::Answer::failed));
        wire::write_error(answer_, error);
    }

    // ---- supervised programs

    void add_listener(wire::Message& message) {
        if (message.fds.size() != 1 || !kernel::is_listener(message.fds.front()))
            return fail_with(Error::from_errno(EINVAL, "no listener of a seccomp filter came along"));
        if (supervisors_.size() >= most_listeners)
            return fail_with(
                Error::from_errno(EMFILE, fmt::format("a session supervises at most {} programs", most_listeners)));
        auto listener = std::move(message.fds.front());
        const int number = listener.get();
        if (!watch(listener, EPOLLIN, tag(Source::listener, static_cast<std::uint64_t>(number))))
            return fail_with(Error::from_errno(errno, "watching the listener"));
        const bool by_user = setup_.opener_uid != 0 && !state_.machine.needs_ptrace;
        const auto owner =
            by_user ? std::optional(wire::Sender{0, setup_.opener_uid, message.sender->gid}) : std::nullopt;
        supervisors_.try_emplace(number, std::move(listener), *this, state_.machine.event_types, owner);
        answer_.number(static_cast<std::uint8_t>(wire::Answer::done));
    }

    // Updates of maps that programs can be elements of: of all others, nothing is to be slowed down.
    void tell_caught() {
        static constexpr std::string_view of_programs[] = {"prog_array", "devmap", "devmap_hash", "cpumap"};
        const bool any = std::ranges::any_of(of_programs, [&](std::string_view type) {
            return state_.rights.check(grant::MapCreate{std::string(type)}).allowed;
        });
        answer_.number(static_cast<std::uint8_t>(wire::Answer::done));
        answer_.number(static_cast<std::uint8_t>(any));
    }

    void supervise(int number, std::uint32_t events) {
        const auto at = supervisors_.find(number);
        if (at == supervisors_.end()) return;
        // Hung up: the last of its processes has ended.
        if ((events & EPOLLIN) == 0 || !serve_as_opener(at->second)) supervisors_.erase(at);
        state_.objects.prepare();
    }
    // The opener can end the worker in this time, and the session with it. The saved user stays root, so the daemon can
    // at any time.
    bool serve_as_opener(intercept::Supervisor& supervisor) const {
        constexpr uid_t unchanged = ~uid_t{0};
        if (setup_.opener_uid == 0) return supervisor.serve();
        if (::syscall(SYS_setresuid, setup_.opener_uid, unchanged, unchanged) != 0) return false;
        const bool serves = supervisor.serve();
        return ::syscall(SYS_setresuid, 0, unchanged, unchanged) == 0 && serves;
    }

    Answer ask(wire::Message& message) override {
        answer_.clear();
        answer_fd_.reset();
        dispatch(message, now_ns());
        return {answer_.bytes(), std::move(answer_fd_)};
    }
    int behind(FdRef stand_in) override {
        if (const auto program = state_.objects.program(stand_in)) return program->fd.get();
        if (const auto link = state_.objects.link(stand_in)) return link->fd.get();
        return -1;
    }
    int event_behind(FdRef stand_in) override {
        const auto link = state_.objects.link(stand_in);
        return link ? link->event.get() : -1;
    }

    void place(wire::Message& message, std::uint64_t began) {
        wire::Reader from(message.body);
        Outcome outcome;
        if (message.type == wire::Type::attach_socket) {
            const auto option = from.number<std::uint32_t>();
            if (!from.done()) return fail_with(Error::from_errno(EPROTO, "a broken request"));
            outcome = attach_socket(state_, option, message.fds);
        } else {
            const auto flags = from.number<std::uint64_t>();
            const auto key = from.block();
            const auto value = from.block();
            const auto at = from.number<std::uint32_t>();
            if (!from.done()) return fail_with(Error::from_errno(EPROTO, "a broken request"));
            outcome = store_program(state_, flags, key, {value.begin(), value.end()}, at, message.fds);
        }
        if (outcome.refusal) {
            wire::write_refusal(answer_, *outcome.refusal);
        } else {
            answer_.number(static_cast<std::uint8_t>(wire::Answer::done));
            answer_.number(static_cast<std::int32_t>(outcome.result));
        }
        record(message, outcome, outcome.operation, began, outcome.result < 0 ? -outcome.result : 0, {});
    }

    void note_refusal(std::string_view operation, const wire::Refusal& refusal) {
        const auto at = std::ranges::find_if(refusals_, [&](const auto& one) {
            return one.operation == operation && one.refusal.line == refusal.line &&
                   one.refusal.reason == refusal.reason;
        });
        constexpr std::size_t most = 64;
        if (at != refusals_.end())
            ++at->count;
        else if (refusals_.size() < most)
            refusals_.push_back({std::string(operation), refusal, 1});
        else
            ++more_refusals_;
    }
    // What a grant would have to allow for it: the parts of a program, not which program it was.
    void note_operation(const std::string& operation) {
        constexpr std::size_t most = 16'384;
        if (operations_seen_.size() < most && operations_seen_.insert(operation).second)
            operations_.push_back(operation);
    }
    void tell_operations() {
        answer_.number(static_cast<std::uint8_t>(wire::Answer::done));
        for (const auto& one : operations_) answer_.text(one);
    }

    void tell_refusals() {
        answer_.number(static_cast<std::uint8_t>(wire::Answer::done));
        answer_.number(static_cast<std::uint32_t>(refusals_.size()));
        for (const auto& one : refusals_) {
            answer_.text(one.operation);
            answer_.number(one.count);
            answer_.text(one.refusal.key);
            answer_.text(one.refusal.line);
            answer_.text(one.refusal.reason);
        }
        answer_.number(more_refusals_);
    }

    void bpf(wire::Message& message, std::uint64_t began) {
        auto call = wire::BpfCall::of(message);
        if (!call) {
            // Told as the kernel tells what it cannot read.
            record(message, {}, "malformed call", began, call.error().number(), call.error().what());
            return fail_with(call.error());
        }
        auto outcome = perform(state_, *call, message.fds);
        if (outcome.refusal) {
            wire::write_refusal(answer_, *outcome.refusal);
        } else if (outcome.result >= 0 || outcome.fd) {
            call->write_answer(answer_, outcome.fd ? 0 : outcome.result);
            answer_fd_ = std::move(outcome.fd);
        } else {
            call->write_answer(answer_, outcome.result);
        }
        record(message, outcome, outcome.operation, began, outcome.result < 0 ? -outcome.result : 0, {});
    }

    // Before the answer goes out: what was decided is on record even if this process is killed the moment after.
    void record(const wire::Message& message, const Outcome& outcome, std::string_view operation, std::uint64_t began,
                int error, std::string_view reason) {
        audit::EventWriter event(record_, "operation");
        if (message.sender) {
            event.number("sender.uid", message.sender->uid);
            event.number("sender.gid", message.sender->gid);
            event.number("sender.pid", message.sender->pid);
        }
        event.text("operation", operation);
        if (!outcome.program_name.empty()) event.text("program.name", outcome.program_name);
        if (!outcome.program_sha256.empty()) event.text("program.sha256", outcome.program_sha256);
        if (!outcome.program_signer.empty()) event.text("program.signer", outcome.program_signer);
        if (!outcome.target.empty()) event.text("target", outcome.target);
        if (outcome.map_id != 0) event.number("map.id", outcome.map_id).number("map.memory", outcome.map_memory);
        // What failed before there was anything to judge (an fd that is none) did not get past this process either.
        const bool refused = outcome.refusal || !reason.empty() || (error != 0 && outcome.verdict.key.empty());
        event.text("verdict", refused ? "refused" : "allowed");
        if (error != 0) event.number("errno", error);
        if (setup_.learns && !refused && error == 0 && message.type != wire::Type::event_files)
            note_operation(outcome.operation);
        if (outcome.refusal) {
            note_refusal(operation, *outcome.refusal);
            event.text("key", outcome.refusal->key);
            event.text("line", outcome.refusal->line);
            event.text("reason", outcome.refusal->reason);
        } else if (!reason.empty()) {
            event.text("reason", reason);
        } else {
            event.text("key", outcome.verdict.key);
            event.text("line", outcome.line.empty() ? outcome.verdict.at.text() : outcome.line);
        }
        event.number("latency_ns", now_ns() - began);
        // A ring is full when the daemon is away for long. What still counts when this process is gone it must know.
        if (!setup_.audit.write(event.bytes()) && outcome.map_id != 0) tell_map(outcome);
    }

    void tell_map(const Outcome& outcome) {
        wire::Writer body;
        body.number(std::uint32_t{outcome.map_id});
        body.number(std::uint64_t{outcome.map_memory});
        (void)wire::send(setup_.control, as_type(Internal::made_map), 0, body.bytes(), {}, MSG_DONTWAIT);
    }

    // A perf event is opened by a process of its own, which decides for itself; this one passes on the question with
    // the kernel's word for who asks, and the answer.
    void to_opener(wire::Message& message, Internal kind, std::uint64_t began) {
        if (!setup_.opener)
            return fail_with(Error::from_errno(EPERM, "the grant allows no perf events")
                                 .because("none of its program types attaches to one")
                                 .with_code(Code::denied));
        wire::Writer body;
        body.number(static_cast<std::int32_t>(message.sender->pid));
        body.block(message.body);
        std::vector<int> fds;
        for (const auto& fd : message.fds) fds.push_back(fd.get());
        auto reply = broker::ask(setup_.opener, opener_receiver_, kind, body.bytes(), fds);
        if (!reply) return fail_with(reply.error());
        // {operation, target, event id, refusal or nothing} and then the answer for the client.
        wire::Reader from(reply->body);
        Outcome outcome;
        outcome.operation = from.text();
        outcome.target = from.text();
        const auto id = from.number<std::uint64_t>();
        const int error = from.number<std::int32_t>();
        const bool refused = from.number<std::uint8_t>() != 0;
        const auto verdict = from.block();
        const auto answer = from.block();
        if (!from.done() || reply->fds.size() > 1)
            return fail_with(Error::from_errno(EPROTO, "the opener's answer is broken"));
        wire::Reader refusal_from(verdict);
        if (refused) {
            if (auto refusal = wire::read_refusal(refusal_from)) outcome.refusal = std::move(*refusal);
        } else {
            outcome.verdict.key = refusal_from.text();
            outcome.line = refusal_from.text();
        }
        if (id != 0) state_.perf_events.insert(id);
        answer_.raw(answer);
        if (!reply->fds.empty()) answer_fd_ = std::move(reply->fds.front());
        record(message, outcome, outcome.operation, began, error, {});
    }

    void derive(wire::Message& message) {
        auto reply = broker::ask(setup_.control, control_receiver_, Internal::derive, message.body);
        if (!reply) return fail_with(reply.error());
        answer_.raw(reply->body);
        if (!reply->fds.empty()) answer_fd_ = std::move(reply->fds.front());
    }

    void describe() {
        answer_.number(static_cast<std::uint8_t>(wire::Answer::done));
        answer_.text(setup_.session_id);
        answer_.text(setup_.grant);
        answer_.text(setup_.revision);
        const auto now = now_ns() / 1'000'000;
        answer_.number(setup_.ends_at_ms == 0 ? 0 : setup_.ends_at_ms - std::min(setup_.ends_at_ms, now));
        answer_.number(static_cast<std::uint32_t>(counts));
        for (const auto count : all_counts) {
            std::uint64_t most = 0;
            for (const auto& grant : setup_.rights.grants())
                if (const auto& limit = grant.of(limit_of(count)); limit && (most == 0 || limit->value < most))
                    most = limit->value;
            answer_.text(grant::key_of(limit_of(count)));
            answer_.number(setup_.ledger.own().used(count));
            answer_.number(most);
        }
    }

    // Kept until the session ends; what it is worth shows when a program is loaded.
    void add_signature(wire::Message& message) {
        wire::Reader from(message.body);
        const auto signature = from.block();
        if (!from.done() || signature.empty()) return fail_with(Error::from_errno(EINVAL, "a signature is missing"));
        if (signature.size() > wire::largest_signature)
            return fail_with(Error::from_errno(E2BIG, "a signature has at most 16 KiB"));
        auto& kept = state_.signatures;
        if (std::ranges::none_of(kept, [&](const auto& one) { return std::ranges::equal(one, signature); })) {
            if (kept.size() == trust::most_signatures)
                return fail_with(Error::from_errno(ENOSPC, "a session keeps at most 64 signatures"));
            kept.emplace_back(signature.begin(), signature.end());
        }
        answer_.number(static_cast<std::uint8_t>(wire::Answer::done));
    }

    Result<UniqueFd> open_map(std::uint32_t id) {
        wire::Writer body;
        body.number(id);
        auto reply = BW_TRY(ask_daemon(Internal::map_by_id, body.bytes()));
        wire::Reader from(reply.body);
        if (from.number<std::uint8_t>() != static_cast<std::uint8_t>(wire::Answer::done))
            return bpfwarden::fail(wire::read_error(from));
        if (reply.fds.size() != 1) return bpfwarden::fail(Error::from_errno(EPROTO, "the daemon's answer is broken"));
        return std::move(reply.fds.front());
    }
    Result<wire::Message> ask_daemon(Internal kind, wire::Bytes body) {
        return broker::ask(setup_.control, control_receiver_, kind, body);
    }

    std::size_t forget_dead_maps() {
        wire::Writer body;
        body.number(static_cast<std::uint32_t>(state_.objects.maps().size()));
        for (const auto& [id, map] : state_.objects.maps()) body.number(id);
        const auto reply = broker::ask(setup_.control, control_receiver_, Internal::dead_maps, body.bytes());
        if (!reply) return 0;
        wire::Reader from(reply->body);
        std::set<std::uint32_t> living;
        for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n)
            living.insert(from.number<std::uint32_t>());
        if (!from.done()) return 0;
        std::vector<std::pair<std::uint32_t, std::uint64_t>> dead;
        for (const auto& [id, map] : state_.objects.maps())
            if (!living.contains(id)) dead.emplace_back(id, map.memory);
        for (const auto& [id, memory] : dead) {
            state_.objects.remove_map(id);
            setup_.ledger.give_back(Count::maps, 1);
            setup_.ledger.give_back(Count::map_memory, memory);
        }
        return dead.size();
    }

    WorkerSetup setup_;  // before state_, which refers to it, and after which it must go
    SessionState state_;
    UniqueFd epoll_;
    std::unordered_map<int, UniqueFd> channels_;
    std::unordered_map<int, intercept::Supervisor> supervisors_;  // by the listener's number
    struct NotedRefusal {
        std::string operation;
        wire::Refusal refusal;
        std::uint64_t count = 0;
    };
    std::vector<NotedRefusal> refusals_;
    std::uint64_t more_refusals_ = 0;
    std::set<std::string> operations_seen_;
    std::vector<std::string> operations_;  // in the order of their first time
    // Calls come in bursts: a program's start.
    wire::Patience patience_{std::chrono::microseconds(100)};
    wire::Receiver receiver_, control_receiver_, opener_receiver_;
    wire::Writer answer_;
    UniqueFd answer_fd_;
    std::array<std::byte, audit::max_record> record_{};
    bool over_ = false;
};

}  // namespace

int run_worker(WorkerSetup setup, const Machine& machine) {
    // The memory of one large program is kept for the next, and not page by page asked for again.
    ::mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
    ::mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
    return Worker(std::move(setup), machine).run();
}

}  // namespace bpfwarden::broker
