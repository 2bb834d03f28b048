// SPDX-License-Identifier: Apache-2.0
// The C functions of bpfwarden.h. Nothing but a thread's cancellation leaves them as an exception.
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "bpfwarden/bpfwarden.h"
#include "client/bpf.hpp"
#include "client/guarded.hpp"
#include "client/kernel_call.hpp"
#include "client/last_error.hpp"
#include "client/requests.hpp"
#include "wire/commands.hpp"

namespace client = bpfwarden::client;
namespace wire = bpfwarden::wire;
using bpfwarden::Error;
using bpfwarden::FdRef;
using client::guarded;
using client::Session;

namespace {

std::atomic<bpfw_session*> session_in_use{nullptr};

Session& in(bpfw_session* session) { return *reinterpret_cast<Session*>(session); }
bpfw_session* out(std::unique_ptr<Session> session) { return reinterpret_cast<bpfw_session*>(session.release()); }

template <class Call>
bpfw_session* guarded_session(Call call) {
    return guarded<bpfw_session*>(nullptr, [&]() -> bpfwarden::Result<bpfw_session*> { return out(BW_TRY(call())); });
}

// A call's result as the kernel has it (a value, or -errno), as C has it.
int as_c(int result, unsigned command) {
    if (result >= 0) return result;
    client::record_later(command, -result);
    return -1;
}

constexpr int internal_failure = -4096;  // below every -errno

}  // namespace

extern "C" {

bpfw_session* bpfw_open(const char* grant) {
    return guarded_session([&] { return Session::open(grant); });
}

bpfw_session* bpfw_adopt(int fd) {
    return guarded_session([&] { return Session::adopt(fd); });
}

int bpfw_fd(const bpfw_session* session) { return reinterpret_cast<const Session*>(session)->fd(); }

void bpfw_close(bpfw_session* session) {
    if (session == nullptr) return;
    auto* expected = session;
    session_in_use.compare_exchange_strong(expected, nullptr);
    const int before = errno;
    delete &in(session);
    errno = before;
}

void bpfw_set_timeout(bpfw_session* session, unsigned int milliseconds) { in(session).set_timeout(milliseconds); }

bpfw_session* bpfw_derive(bpfw_session* session, const char* grant) {
    return guarded_session([&] { return client::derive(in(session), grant); });
}

int bpfw_pass(bpfw_session* session, int socket) {
    return guarded(-1, [&]() -> bpfwarden::Result<int> {
        BW_TRY(client::pass(in(session), FdRef(socket)));
        return 0;
    });
}

bpfw_session* bpfw_receive(int socket) {
    return guarded_session([&] { return client::receive_session(FdRef(socket)); });
}

int bpfw_bpf(bpfw_session* session, int command, union bpf_attr* attr, unsigned int size) {
    const auto number = static_cast<unsigned>(command);
    if (wire::route_of(number) == wire::Route::kernel)
        return as_c(static_cast<int>(client::kernel_call(SYS_bpf, command, reinterpret_cast<long>(attr), size)),
                    number);
    const int result = guarded(internal_failure, [&] { return client::bpf(in(session), number, attr, size); });
    return result == internal_failure ? -1 : as_c(result, number);
}

bpfw_session* bpfw_use(bpfw_session* session) { return session_in_use.exchange(session); }

bpfw_session* bpfw_used(void) { return session_in_use.load(); }

int bpfw_sys_bpf(int command, union bpf_attr* attr, unsigned int size) {
    if (auto* session = session_in_use.load(); session != nullptr) return bpfw_bpf(session, command, attr, size);
    return guarded(-1, []() -> bpfwarden::Result<int> {
        return bpfwarden::fail(
            Error::from_errno(ENOTCONN, "bpf: no session is in use").advise("call bpfw_use() first"));
    });
}

int bpfw_perf_event_open(bpfw_session* session, const struct perf_event_attr* attr, pid_t pid, int cpu, int group_fd,
                         unsigned long flags) {
    const int result = guarded(internal_failure,
                               [&] { return client::perf_event_open(in(session), {attr, pid, cpu, group_fd, flags}); });
    return result == internal_failure ? -1 : as_c(result, wire::perf_event_open_number);
}

int bpfw_tracepoint_id(bpfw_session* session, const char* tracepoint) {
    return guarded(-1, [&]() -> bpfwarden::Result<int> {
        const auto text = BW_TRY(client::event_text(in(session), tracepoint, client::EventText::id));
        char* end = nullptr;
        const long id = std::strtol(text.c_str(), &end, 10);
        if (end == text.c_str() || id < 0 || id > 0x7FFFFFFF)
            return bpfwarden::fail(Error::from_errno(EPROTO, "a tracepoint's id is no number"));
        return static_cast<int>(id);
    });
}

ssize_t bpfw_tracepoint_format(bpfw_session* session, const char* tracepoint, char* buffer, size_t size) {
    return guarded<ssize_t>(-1, [&]() -> bpfwarden::Result<ssize_t> {
        const auto text = BW_TRY(client::event_text(in(session), tracepoint, client::EventText::format));
        if (size != 0) {
            const auto length = std::min(text.size(), size - 1);
            std::memcpy(buffer, text.data(), length);
            buffer[length] = '\0';
        }
        return static_cast<ssize_t>(text.size());
    });
}

int bpfw_add_signature(bpfw_session* session, const void* signature, size_t size) {
    return guarded(-1, [&]() -> bpfwarden::Result<int> {
        BW_TRY(client::add_signature(in(session), {static_cast<const std::byte*>(signature), size}));
        return 0;
    });
}

struct bpfw_description* bpfw_describe(bpfw_session* session) {
    return guarded<bpfw_description*>(nullptr, [&]() -> bpfwarden::Result<bpfw_description*> {
        const auto from = BW_TRY(client::describe(in(session)));
        std::size_t size = sizeof(bpfw_description) + from.usage.size() * sizeof(bpfw_usage);
        for (const auto* text : {&from.session, &from.grant, &from.revision}) size += text->size() + 1;
        for (const auto& usage : from.usage) size += usage.what.size() + 1;
        auto* memory = static_cast<char*>(std::malloc(size));
        if (memory == nullptr) throw std::bad_alloc();
        auto* all = new (memory) bpfw_description{};
        auto* usages = reinterpret_cast<bpfw_usage*>(memory + sizeof *all);
        auto* texts = memory + sizeof *all + from.usage.size() * sizeof(bpfw_usage);
        const auto keep = [&](const std::string& text) {
            auto* at = texts;
            std::memcpy(at, text.c_str(), text.size() + 1);
            texts += text.size() + 1;
            return at;
        };
        all->session = keep(from.session);
        all->grant = keep(from.grant);
        all->revision = keep(from.revision);
        all->lifetime_ms = from.lifetime_ms;
        all->usage_count = from.usage.size();
        all->usage = usages;
        for (std::size_t i = 0; i < from.usage.size(); ++i)
            new (usages + i) bpfw_usage{keep(from.usage[i].what), from.usage[i].used, from.usage[i].limit};
        return all;
    });
}

void bpfw_free_description(struct bpfw_description* description) { std::free(description); }

const char* bpfw_error(void) { return client::last_text(); }
const char* bpfw_error_key(void) { return client::last_key(); }
const char* bpfw_error_line(void) { return client::last_line(); }
const char* bpfw_version(void) { return BPFWARDEN_VERSION; }

}  // extern "C"
