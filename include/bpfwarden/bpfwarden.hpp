// SPDX-License-Identifier: Apache-2.0
// libbpfwarden for C++20 and C++23: the functions of bpfwarden.h, with owners and results. Header only, no exceptions.
//
//     auto session = bpfw::Session::open("exec-observer");
//     if (!session) return report(session.error().text);
//     auto map = session->bpf(BPF_MAP_CREATE, attr);
//
// Errors, privilege and kernel floor of each function are those of the C function that it names.
#ifndef BPFWARDEN_BPFWARDEN_HPP
#define BPFWARDEN_BPFWARDEN_HPP

#include <bpfwarden/bpfwarden.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>
#include <version>
#if defined(__cpp_lib_expected)
#include <expected>
#else
#include <optional>
#endif

namespace bpfw {

// A program may have files of both standards: their functions return different types, so they have different names.
#if defined(__cpp_lib_expected)
inline namespace with_expected {
#else
inline namespace without_expected {
#endif

// What went wrong, as it was when the call failed.
struct Error {
    int number = 0;    // errno
    std::string text;  // up to three lines: what, why, what to do about it
    std::string key;   // of the grant that refused, or empty
    std::string line;  // "exec-observer.toml:7:1", or empty

    // Of this thread's last call. Call it right after the failure: it reads errno.
    static Error last() {
        const int number = errno;
        return {number, bpfw_error(), bpfw_error_key(), bpfw_error_line()};
    }
    // The grant said no, rather than the kernel or the way there.
    bool refused() const { return !key.empty(); }
};

#if defined(__cpp_lib_expected)

template <class T = void>
using Result = std::expected<T, Error>;
inline std::unexpected<Error> last_failure() { return std::unexpected<Error>(Error::last()); }

#else

// The part of std::expected that is used here. A value asked of a failure is a mistake of the caller's.
template <class T = void>
class Result {
  public:
    using value_type = T;
    using error_type = Error;
    Result(T value) : value_(std::move(value)) {}
    Result(Error error) : error_(std::move(error)) {}
    bool has_value() const { return value_.has_value(); }
    explicit operator bool() const { return has_value(); }
    T& operator*() & { return *value_; }
    const T& operator*() const& { return *value_; }
    T&& operator*() && { return std::move(*value_); }
    T* operator->() { return &*value_; }
    const T* operator->() const { return &*value_; }
    const Error& error() const { return error_; }
    template <class U>
    T value_or(U&& other) const& {
        return value_ ? *value_ : static_cast<T>(std::forward<U>(other));
    }

  private:
    std::optional<T> value_;
    Error error_;
};
template <>
class Result<void> {
  public:
    using value_type = void;
    using error_type = Error;
    Result() = default;
    Result(Error error) : error_(std::move(error)), failed_(true) {}
    bool has_value() const { return !failed_; }
    explicit operator bool() const { return has_value(); }
    const Error& error() const { return error_; }

  private:
    Error error_;
    bool failed_ = false;
};
inline Error last_failure() { return Error::last(); }

#endif

// A file descriptor that is closed with its owner.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) noexcept : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(other.release()) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = other.release();
        }
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    void reset() noexcept {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

  private:
    int fd_ = -1;
};

struct Usage {
    std::string what;
    std::uint64_t used = 0;
    std::uint64_t limit = 0;  // 0: none
};
struct Description {
    std::string session, grant, revision;
    std::uint64_t lifetime_ms = 0;  // 0: no end
    std::vector<Usage> usage;
};

// A grant held open; closed with its owner. May be used from several threads at once, except to move or end it.
class Session {
  public:
    // bpfw_open()
    static Result<Session> open(const std::string& grant) { return of(bpfw_open(grant.c_str())); }
    // bpfw_adopt(): the fd is the session's, unless it fails.
    static Result<Session> adopt(int fd) { return of(bpfw_adopt(fd)); }
    static Result<Session> adopt(Fd fd) {
        auto session = of(bpfw_adopt(fd.get()));
        if (session) (void)fd.release();
        return session;
    }
    // bpfw_receive()
    static Result<Session> receive(int socket) { return of(bpfw_receive(socket)); }

    // From the C functions: owned from then on.
    explicit Session(bpfw_session* session) noexcept : session_(session) {}
    Session(Session&& other) noexcept : session_(std::exchange(other.session_, nullptr)) {}
    Session& operator=(Session&& other) noexcept {
        if (this != &other) {
            bpfw_close(session_);
            session_ = std::exchange(other.session_, nullptr);
        }
        return *this;
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() { bpfw_close(session_); }

    bpfw_session* get() const noexcept { return session_; }
    [[nodiscard]] bpfw_session* release() noexcept { return std::exchange(session_, nullptr); }
    // bpfw_fd()
    int fd() const noexcept { return bpfw_fd(session_); }
    // bpfw_set_timeout(); 0 is none.
    void set_timeout(unsigned milliseconds) noexcept { bpfw_set_timeout(session_, milliseconds); }
    // bpfw_use(): what bpfw_sys_bpf() goes over. It ends with this session.
    void use() const noexcept { (void)bpfw_use(session_); }

    // bpfw_derive()
    Result<Session> derive(const std::string& grant) { return of(bpfw_derive(session_, grant.c_str())); }
    // bpfw_pass()
    Result<> pass(int socket) {
        if (bpfw_pass(session_, socket) != 0) return last_failure();
        return {};
    }

    // bpfw_add_signature()
    Result<> add_signature(const void* signature, std::size_t size) {
        if (bpfw_add_signature(session_, signature, size) != 0) return last_failure();
        return {};
    }

    // bpfw_bpf(): an fd for commands that make one (Fd(*result) owns it), otherwise 0. `Attr` is bpf_attr.
    template <class Attr>
    Result<int> bpf(int command, Attr& attr, unsigned size = sizeof(Attr)) {
        const int result = bpfw_bpf(session_, command, &attr, size);
        if (result < 0) return last_failure();
        return result;
    }
    // bpfw_perf_event_open()
    Result<Fd> perf_event_open(const perf_event_attr& attr, pid_t pid, int cpu, int group_fd = -1,
                               unsigned long flags = 0) {
        const int fd = bpfw_perf_event_open(session_, &attr, pid, cpu, group_fd, flags);
        if (fd < 0) return last_failure();
        return Fd(fd);
    }
    // bpfw_tracepoint_id()
    Result<int> tracepoint_id(const std::string& tracepoint) {
        const int id = bpfw_tracepoint_id(session_, tracepoint.c_str());
        if (id < 0) return last_failure();
        return id;
    }
    // bpfw_tracepoint_format(), whole
    Result<std::string> tracepoint_format(const std::string& tracepoint) {
        std::string text(8192, '\0');
        for (;;) {
            // One more than the text is what a string has anyway, for the NUL.
            const ssize_t length = bpfw_tracepoint_format(session_, tracepoint.c_str(), text.data(), text.size() + 1);
            if (length < 0) return last_failure();
            const bool whole = static_cast<std::size_t>(length) <= text.size();
            text.resize(static_cast<std::size_t>(length));
            if (whole) return text;
        }
    }
    // bpfw_describe()
    Result<Description> describe() {
        bpfw_description* from = bpfw_describe(session_);
        if (from == nullptr) return last_failure();
        Description description;
        description.session = from->session;
        description.grant = from->grant;
        description.revision = from->revision;
        description.lifetime_ms = from->lifetime_ms;
        for (std::size_t i = 0; i < from->usage_count; ++i)
            description.usage.push_back({from->usage[i].what, from->usage[i].used, from->usage[i].limit});
        bpfw_free_description(from);
        return description;
    }

  private:
    static Result<Session> of(bpfw_session* session) {
        if (session == nullptr) return last_failure();
        return Session(session);
    }
    bpfw_session* session_ = nullptr;
};

}  // namespace with_expected, or without_expected
}  // namespace bpfw

#endif
