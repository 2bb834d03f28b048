// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "client/requests.hpp"
#include "wire/perf_event.hpp"

namespace bpfwarden::client {

// The number of a kind of event that the kernel numbers at boot; 0 if there is no such kind, or no sysfs.
static std::uint32_t event_type(const char* name) {
    const auto path = "/sys/bus/event_source/devices/" + std::string(name) + "/type";
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char text[16] = {};
    if (!file || ::read(file.get(), text, sizeof text - 1) <= 0) return 0;
    return static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
}
// They stay the same from boot on. No lock that a fork could leave taken.
static wire::EventTypes event_types() {
    static std::atomic<std::uint32_t> kprobe{0}, uprobe{0};
    if (kprobe == 0) kprobe = event_type("kprobe");
    if (uprobe == 0) uprobe = event_type("uprobe");
    return {kprobe, uprobe};
}

Result<int> perf_event_open(Session& session, const PerfEvent& event) {
    if ((event.flags & PERF_FLAG_PID_CGROUP) != 0)
        return fail(Error::from_errno(EOPNOTSUPP, "perf_event_open: events of a control group")
                        .because("they are not possible over a session"));
    auto call = wire::PerfEventCall::of(reinterpret_cast<std::uint64_t>(event.attr), event_types(), wire::own_memory());
    if (!call) return -call.error().number();
    call->pid = event.pid;
    call->cpu = event.cpu;
    call->flags = event.flags;
    call->with_group = event.group_fd >= 0;
    UniqueFd path;
    if (call->is_uprobe) {
        path = UniqueFd(::open(call->name.c_str(), O_PATH | O_CLOEXEC));
        if (!path) return fail_errno("perf_event_open: " + call->name);
    }
    wire::Writer body;
    call->write(body);
    int fds[2];
    std::size_t count = 0;
    if (path) fds[count++] = path.get();
    if (event.group_fd >= 0) fds[count++] = event.group_fd;

    auto exchange = BW_TRY(session.ask(wire::Type::perf_event_open, body.bytes(), std::span(fds, count)));
    auto from = BW_TRY(exchange.read("perf_event_open"));
    const auto result = from.number<std::int32_t>();
    if (!from.done() || exchange.message.fds.size() != (result >= 0 ? 1U : 0U))
        return fail(Error::from_errno(EPROTO, "perf_event_open: the broker's answer is not understood"));
    exchange.finish();
    return result < 0 ? result : exchange.message.fds.front().release();
}

Result<std::string> event_text(Session& session, std::string_view tracepoint, EventText what) {
    wire::Writer body;
    body.text(tracepoint);
    body.number(static_cast<std::uint8_t>(what));
    auto exchange = BW_TRY(session.ask(wire::Type::event_text, body.bytes()));
    auto from = BW_TRY(exchange.read("the tracepoint " + std::string(tracepoint)));
    auto text = from.text();
    if (!from.done() || !exchange.message.fds.empty())
        return fail(Error::from_errno(EPROTO, "the broker's answer is not understood"));
    exchange.finish();
    return text;
}

Result<std::vector<EventFiles>> event_files(Session& session) {
    auto exchange = BW_TRY(session.ask(wire::Type::event_files, {}));
    auto from = BW_TRY(exchange.read("the tracepoints of the session"));
    std::vector<EventFiles> files;
    while (from.ok() && !from.done()) {
        auto& one = files.emplace_back();
        for (auto* text : {&one.tracepoint, &one.id, &one.format}) *text = from.text();
    }
    if (!from.ok() || !exchange.message.fds.empty())
        return fail(Error::from_errno(EPROTO, "the broker's answer is not understood"));
    exchange.finish();
    return files;
}

}  // namespace bpfwarden::client
