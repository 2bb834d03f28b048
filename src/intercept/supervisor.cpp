// SPDX-License-Identifier: Apache-2.0
#include "intercept/supervisor.hpp"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "intercept/calls.hpp"
#include "intercept/object_info.hpp"
#include "kernel/file.hpp"
#include "kernel/seccomp_filter.hpp"
#include "wire/commands.hpp"

namespace bpfwarden::intercept {

using kernel::WaitingCall;

namespace {

// The kernel takes an int or an unsigned of these, whatever the upper half of the register is.
std::uint32_t number(std::uint64_t argument) { return static_cast<std::uint32_t>(argument); }
int fd_number(std::uint64_t argument) { return static_cast<int>(number(argument)); }

bool is_socket(FdRef fd) {
    struct stat info{};
    return ::fstat(fd.get(), &info) == 0 && S_ISSOCK(info.st_mode);
}
bool is_event(FdRef fd) { return kernel::kernel_calls_it(fd, "anon_inode:[perf_event]"); }

// Of an answer, as every client reads it: what stands behind the first byte, or why there is nothing.
Result<wire::Reader> read(wire::Bytes body) {
    wire::Reader from(body);
    switch (static_cast<wire::Answer>(from.number<std::uint8_t>())) {
        case wire::Answer::done:
            if (from.ok()) return from;
            break;
        case wire::Answer::refused:
            if (auto refusal = wire::read_refusal(from))
                return fail(Error::from_errno(refusal->error, refusal->reason).with_code(Code::denied));
            break;
        case wire::Answer::failed:
            return fail(wire::read_error(from));
    }
    return fail(Error::from_errno(EPROTO, "an answer is broken"));
}

}  // namespace

bool Supervisor::serve() {
    const auto received = kernel::receive_call(listener_);
    if (!received) return false;
    if (!*received) return true;
    const auto& call = **received;
    Caller caller(call.thread);
    auto end = decide(caller, call);
    finish(call, end ? std::move(*end) : failed(end.error()));
    return true;
}

void Supervisor::finish(const WaitingCall& call, End end) const {
    // What fails here fails because the caller has ended, or has no room for one more fd: then that is the answer.
    Result<> done;
    if (end.by_kernel)
        done = kernel::go_on(listener_, call.id);
    else if (end.fd)
        done = kernel::answer_with(listener_, call.id, end.fd, end.close_on_exec);
    else
        done = kernel::answer(listener_, call.id, end.value);
    if (!done && end.fd && done.error().number() != ENOENT)
        (void)kernel::answer(listener_, call.id, -done.error().number());
}

Result<> Supervisor::must_wait(const WaitingCall& call) const {
    if (kernel::still_waits(listener_, call.id)) return {};
    return fail_errno(ESRCH, "the caller has ended");
}

Result<Supervisor::End> Supervisor::decide(Caller& caller, const WaitingCall& call) {
    // The filter lets no other through to here; another filter's listener may have been handed over.
    if (call.thread <= 0) return value(-EPERM);
    if (call.architecture != kernel::native_architecture) return value(-ENOSYS);
    switch (call.number) {
        case SYS_bpf:
            return bpf(caller, call);
        case SYS_perf_event_open:
            return perf_event_open(caller, call);
        case SYS_ioctl:
            return ioctl(caller, call);
        case SYS_setsockopt:
            return setsockopt(caller, call);
        default:
            return by_kernel();
    }
}

Result<Broker::Answer> Supervisor::ask(Caller& caller, const WaitingCall& call, wire::Type type, wire::Bytes body,
                                       std::vector<UniqueFd> fds) {
    auto sender = owner_ ? *owner_ : BW_TRY(caller.identity());
    sender.pid = call.thread;
    BW_TRY(must_wait(call));
    wire::Message message{.type = type, .body = body, .fds = std::move(fds), .sender = sender, .large = {}};
    return broker_.ask(message);
}

Result<Supervisor::End> Supervisor::bpf(Caller& caller, const WaitingCall& call) {
    const auto command = number(call.arguments[0]);
    const auto address = call.arguments[1];
    const std::size_t size = number(call.arguments[2]);
    // As a kernel says that has none: callers then do without.
    if ((command & common_attributes) != 0) return value(-EINVAL);
    // A container runtime's filter may ask about every command.
    const auto route = wire::route_of(command);
    if (route == wire::Route::refused) return value(-EPERM);
    if (route == wire::Route::kernel && command != BPF_MAP_UPDATE_ELEM) return by_kernel();
    constexpr std::size_t most = 4096;  // as the kernel, before it looks at them
    if (size > most) return value(-E2BIG);
    std::array<std::byte, most> given;
    const auto attributes = std::span(given).first(size);
    BW_TRY(caller.read(address, attributes));
    bpf_attr attr{};
    std::memcpy(&attr, given.data(), std::min(size, sizeof attr));
    if (command == BPF_MAP_UPDATE_ELEM) return update_map(caller, call, attr);
    if (command == BPF_OBJ_GET_INFO_BY_FD) return object_info(caller, call, attr, size);

    const auto request = BW_TRY(wire::BpfRequest::of(command, given.data(), size, caller));
    std::vector<UniqueFd> fds;
    for (const int fd : request.fds()) fds.push_back(BW_TRY(caller.fd(fd)));
    auto answer = BW_TRY(ask(caller, call, wire::Type::bpf, request.body(), std::move(fds)));
    BW_TRY(read(answer.body));
    wire::Message message{.type = wire::Type::answer, .body = answer.body, .fds = {}, .sender = {}, .large = {}};
    const int result = BW_TRY(request.take_answer(message, address, size, caller));
    if (result < 0 || !answer.fd) return value(result);
    return End{.fd = std::move(answer.fd)};
}

// Of the caller's own maps and types the kernel tells everything without privilege, and refuses what it must; only of a
// stand-in it knows nothing.
Result<Supervisor::End> Supervisor::object_info(Caller& caller, const WaitingCall& call, bpf_attr attr,
                                                std::size_t size) {
    if (size < sizeof attr.info) return by_kernel();
    const auto fd = caller.fd(fd_number(attr.info.bpf_fd));
    if (!fd || broker_.behind(*fd) < 0) return by_kernel();
    const auto request = BW_TRY(wire::BpfRequest::of(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr.info, caller));
    std::vector<UniqueFd> fds;
    fds.emplace_back(::fcntl(fd->get(), F_DUPFD_CLOEXEC, 0));
    auto answer = BW_TRY(ask(caller, call, wire::Type::bpf, request.body(), std::move(fds)));
    auto from = BW_TRY(read(answer.body));
    if (const auto result = from.number<std::int32_t>(); result < 0) return value(result);
    // Judged. The broker's own answer has no lists: they go to addresses that mean something here alone.
    return value(BW_TRY(intercept::object_info(broker_.behind(*fd), attr, call.arguments[1], caller)));
}

Result<Supervisor::End> Supervisor::update_map(Caller& caller, const WaitingCall& call, const bpf_attr& attr) {
    const auto map = BW_TRY(caller.fd(fd_number(attr.map_fd)));
    bpf_map_info info{};
    bpf_attr query{};
    query.info.bpf_fd = static_cast<__u32>(map.get());
    query.info.info_len = sizeof info;
    query.info.info = reinterpret_cast<__u64>(&info);
    if (::syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &query, sizeof query.info) != 0) return by_kernel();
    const auto place = program_in_value(info.type);
    if (!place) return by_kernel();
    const std::uint32_t at = *place;
    // Keys and values of these are 4 or 8 bytes.
    std::array<std::byte, 8> key{}, content{};
    if (info.key_size > key.size() || info.value_size > content.size() || info.value_size < at + 4) return by_kernel();
    BW_TRY(caller.read(attr.key, std::span(key).first(info.key_size)));
    BW_TRY(caller.read(attr.value, std::span(content).first(info.value_size)));
    std::int32_t program = 0;
    std::memcpy(&program, content.data() + at, sizeof program);
    if (at != 0 && program <= 0) return by_kernel();
    std::vector<UniqueFd> fds;
    fds.push_back(UniqueFd(::fcntl(map.get(), F_DUPFD_CLOEXEC, 0)));
    fds.push_back(BW_TRY(caller.fd(program)));
    if (!is_socket(fds.back())) return by_kernel();
    wire::Writer body;
    body.number(attr.flags);
    body.block(std::span(key).first(info.key_size));
    body.block(std::span(content).first(info.value_size));
    body.number(at);
    const auto answer = BW_TRY(ask(caller, call, wire::Type::store_program, body.bytes(), std::move(fds)));
    auto from = BW_TRY(read(answer.body));
    return value(from.number<std::int32_t>());
}

Result<Supervisor::End> Supervisor::perf_event_open(Caller& caller, const WaitingCall& call) {
    auto event = BW_TRY(wire::PerfEventCall::of(call.arguments[0], types_, caller));
    event.pid = fd_number(call.arguments[1]);
    event.cpu = fd_number(call.arguments[2]);
    const int group = fd_number(call.arguments[3]);
    event.flags = call.arguments[4];
    // Those of a control group name it by an fd, in the place of a process.
    if ((event.flags & PERF_FLAG_PID_CGROUP) != 0 || (event.pid > 0 && !caller.shares_pids())) return by_kernel();
    event.with_group = group >= 0;
    std::vector<UniqueFd> fds;
    if (event.is_uprobe) fds.push_back(BW_TRY(caller.file(event.name)));
    if (event.with_group) fds.push_back(BW_TRY(caller.fd(group)));
    wire::Writer body;
    event.write(body);
    auto answer = ask(caller, call, wire::Type::perf_event_open, body.bytes(), std::move(fds));
    if (!answer) return fail(std::move(answer).error());
    auto from = read(answer->body);
    // What the kernel allows anybody needs no session: a program that counts its own cycles goes on as before.
    if (!from && from.error().code() == Code::denied) return by_kernel();
    if (!from) return fail(std::move(from).error());
    const auto result = from->number<std::int32_t>();
    if (result < 0 || !answer->fd) return value(result);
    return End{.fd = std::move(answer->fd), .close_on_exec = (event.flags & PERF_FLAG_FD_CLOEXEC) != 0};
}

Result<Supervisor::End> Supervisor::ioctl(Caller& caller, const WaitingCall& call) {
    const auto request = number(call.arguments[1]);
    if (std::ranges::find(event_requests, request) == event_requests.end()) return by_kernel();
    auto fd = caller.fd(fd_number(call.arguments[0]));
    if (!fd) return by_kernel();
    const int event = broker_.event_behind(*fd);
    switch (request) {
        case PERF_EVENT_IOC_SET_BPF:
            if (event >= 0) return value(-EEXIST);
            return is_event(*fd) ? set_program(caller, call, std::move(*fd)) : Result<End>(by_kernel());
        case PERF_EVENT_IOC_ENABLE:
        case PERF_EVENT_IOC_DISABLE:
            if (event < 0) return by_kernel();
            BW_TRY(must_wait(call));
            return value(::ioctl(event, request, call.arguments[2]) == 0 ? 0 : -errno);
        case PERF_EVENT_IOC_ID: {
            if (event < 0) return by_kernel();
            std::uint64_t id = 0;
            if (::ioctl(event, PERF_EVENT_IOC_ID, &id) != 0) return value(-errno);
            BW_TRY(must_wait(call));
            BW_TRY(caller.write(call.arguments[2], std::as_bytes(std::span(&id, 1))));
            return value(0);
        }
        default:
            // Which programs there are at an event, others' too, is for no client.
            return event < 0 && !is_event(*fd) ? by_kernel() : value(-EACCES);
    }
}

// By a link, which ends with the session. From then on the caller's fd is the link's stand-in, so that closing it ends
// the link as well.
Result<Supervisor::End> Supervisor::set_program(Caller& caller, const WaitingCall& call, UniqueFd event) {
    bpf_attr attr{};
    attr.link_create.prog_fd = number(call.arguments[2]);
    attr.link_create.target_fd = number(call.arguments[0]);
    attr.link_create.attach_type = BPF_PERF_EVENT;
    const auto request = BW_TRY(wire::BpfRequest::of(BPF_LINK_CREATE, &attr, sizeof attr.link_create));
    std::vector<UniqueFd> fds;
    for (const int fd : request.fds()) {
        // The very event that was looked at.
        if (fd == fd_number(call.arguments[0]))
            fds.push_back(std::move(event));
        else
            fds.push_back(BW_TRY(caller.fd(fd)));
    }
    auto answer = BW_TRY(ask(caller, call, wire::Type::bpf, request.body(), std::move(fds)));
    auto from = BW_TRY(read(answer.body));
    if (const auto result = from.number<std::int32_t>(); result < 0 || !answer.fd) return value(result);
    BW_TRY(kernel::replace_fd(listener_, call.id, answer.fd, fd_number(call.arguments[0]), true));
    return value(0);
}

Result<Supervisor::End> Supervisor::setsockopt(Caller& caller, const WaitingCall& call) {
    const bool names_program = number(call.arguments[1]) == SOL_SOCKET &&
                               std::ranges::find(socket_options, number(call.arguments[2])) != socket_options.end();
    std::int32_t program = -1;
    if (!names_program || number(call.arguments[4]) < sizeof program) return by_kernel();
    BW_TRY(caller.read(call.arguments[3], std::as_writable_bytes(std::span(&program, 1))));
    auto given = caller.fd(program);
    if (!given || broker_.behind(*given) < 0) return by_kernel();
    std::vector<UniqueFd> fds;
    fds.push_back(std::move(*given));
    fds.push_back(BW_TRY(caller.fd(fd_number(call.arguments[0]))));
    wire::Writer body;
    body.number(number(call.arguments[2]));
    const auto answer = BW_TRY(ask(caller, call, wire::Type::attach_socket, body.bytes(), std::move(fds)));
    auto from = BW_TRY(read(answer.body));
    return value(from.number<std::int32_t>());
}

}  // namespace bpfwarden::intercept
