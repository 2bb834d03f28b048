// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "client/requests.hpp"
#include "wire/bytes.hpp"

namespace bpfwarden::client {

// The number of a kind of event that the kernel numbers at boot; 0 if there is no such kind, or no sysfs.
static std::uint32_t event_type(const char* name) {
    const auto path = "/sys/bus/event_source/devices/" + std::string(name) + "/type";
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char text[16] = {};
    if (!file || ::read(file.get(), text, sizeof text - 1) <= 0) return 0;
    return static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
}
// Both stay the same from boot on.
static std::uint32_t kprobe_type() {
    static std::atomic<std::uint32_t> known{0};
    if (known == 0) known = event_type("kprobe");
    return known;
}
static std::uint32_t uprobe_type() {
    static std::atomic<std::uint32_t> known{0};
    if (known == 0) known = event_type("uprobe");
    return known;
}

Result<int> perf_event_open(Session& session, const PerfEvent& event) {
    if ((event.flags & PERF_FLAG_PID_CGROUP) != 0)
        return fail(Error::from_errno(EOPNOTSUPP, "perf_event_open: events of a control group")
                        .because("they are not possible over a session"));
    const std::size_t size = event.attr->size == 0 ? PERF_ATTR_SIZE_VER0 : event.attr->size;
    // What the kernel itself takes.
    if (size < PERF_ATTR_SIZE_VER0 || size > 4096) return -E2BIG;
    std::vector<std::byte> attr(size);
    std::memcpy(attr.data(), event.attr, size);

    std::string name;
    UniqueFd path;
    const auto type = event.attr->type;
    // Below are the kinds with fixed numbers, whose config1 is no pointer.
    if (type >= PERF_TYPE_MAX && event.attr->config1 != 0 && (type == kprobe_type() || type == uprobe_type())) {
        const auto* text = reinterpret_cast<const char*>(event.attr->config1);
        name.assign(text, ::strnlen(text, PATH_MAX));
        std::memset(attr.data() + offsetof(perf_event_attr, config1), 0, sizeof event.attr->config1);
        if (type == uprobe_type()) {
            path = UniqueFd(::open(name.c_str(), O_PATH | O_CLOEXEC));
            if (!path) return fail_errno("perf_event_open: " + name);
        }
    }
    wire::Writer body;
    body.block(attr);
    body.text(name);
    body.number(static_cast<std::int32_t>(event.pid));
    body.number(static_cast<std::int32_t>(event.cpu));
    body.number(static_cast<std::uint64_t>(event.flags));
    body.number(static_cast<std::uint8_t>(event.group_fd >= 0));
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

}  // namespace bpfwarden::client
