// SPDX-License-Identifier: Apache-2.0
// Messages between bpfwarden's processes and to its clients, over SOCK_SEQPACKET sockets: a fixed header, a body, file
// descriptors. A body over 128 KiB travels in a memfd that is sealed against every change, and so is the receiver's
// private copy without being copied.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "wire/bytes.hpp"

namespace bpfwarden::wire {

inline constexpr std::uint32_t magic = 0x57465042;  // "BPFW"
// Raised with every change of the format. Both ends take the version before theirs too.
inline constexpr std::uint16_t version = 1;
inline constexpr std::uint16_t oldest_version = 1;

enum class Type : std::uint16_t {
    hello = 1,        // to the opener, once: what was opened, or why not
    open_channel,     // over the session fd, with one end of a socket pair: talk to me there
    answer,           // to any request below: what it asks for, or a refusal
    bpf,              // one bpf(2) call (bpf_call.hpp)
    perf_event_open,  // one perf_event_open(2) call
    event_text,       // the id and format of a tracepoint
    event_files,      // the same of all tracepoints that may be opened
    derive,           // a smaller session
    describe,         // what this session is and has used
    add_signature,    // of a program that will be loaded
    supervise,        // the listener of a seccomp filter: answer the calls that come out of it
    attach_socket,    // a program of the session to a socket: setsockopt(SO_ATTACH_BPF)
    store_program,    // a program of the session as an element of a map
    caught,           // what the filter of a supervised program is to catch beside the usual
    refusals,         // what was refused in this session so far
    operations,       // what was done in it, where it was opened to learn
};

// The first byte of every answer.
enum class Answer : std::uint8_t { done = 0, refused = 1, failed = 2 };

struct Header {
    std::uint32_t magic = wire::magic;
    std::uint16_t version = wire::version;
    std::uint16_t type = 0;
    std::uint32_t id = 0;    // an answer has its request's
    std::uint16_t fds = 0;   // that came along, without the body's
    std::uint16_t body = 0;  // 0: behind the header, 1: in a memfd, which is the first fd
    std::uint64_t length = 0;
};
static_assert(sizeof(Header) == 24);

inline constexpr std::size_t largest_inline_body = 128 * 1024;
// A million instructions with their debug information, and room.
inline constexpr std::size_t largest_body = 64 * 1024 * 1024;
// SCM_MAX_FD is 253.
inline constexpr std::size_t most_fds = 250;

// Who sent a message, by the kernel's word (SCM_CREDENTIALS); only where the socket has SO_PASSCRED.
struct Sender {
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
};

// A body in a memfd, mapped for reading.
class Mapping {
  public:
    Mapping() = default;
    // Fails unless `memfd` is sealed against writing, shrinking and growing and at least `length` long.
    static Result<Mapping> of(FdRef memfd, std::size_t length);
    Mapping(Mapping&& other) noexcept : address_(std::exchange(other.address_, nullptr)), length_(other.length_) {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(address_, other.address_);
        std::swap(length_, other.length_);
        return *this;
    }
    ~Mapping();
    Bytes bytes() const { return {static_cast<const std::byte*>(address_), address_ == nullptr ? 0 : length_}; }

  private:
    void* address_ = nullptr;
    std::size_t length_ = 0;
};

struct Message {
    Type type{};
    std::uint32_t id = 0;
    Bytes body;  // in the Receiver's buffer or in `large`: until the next receive()
    std::vector<UniqueFd> fds;
    std::optional<Sender> sender;
    Mapping large;
};

// Sends all or nothing. An fd that cannot be sent, or a body that is too large, is an error of the caller's.
Result<> send(FdRef socket, Type type, std::uint32_t id, Bytes body, std::span<const int> fds = {}, int flags = 0);

class Receiver {
  public:
    Receiver();
    // One message; nothing when the other end is closed. An Error with number EAGAIN where the socket does not block
    // and has nothing; with number EPROTO for what is no message of ours: the connection is good for nothing more.
    //
    // Soundness: every fd that came is owned before anything is judged, so a refused message leaks none; the body is
    // memory that the sender cannot change.
    Result<std::optional<Message>> receive(FdRef socket, int flags = 0);

  private:
    std::unique_ptr<std::byte[]> buffer_;  // for the header and a body
};

// An error as the body of an answer, and back.
void write_error(Writer& to, const Error& error);
Error read_error(Reader& from);

// A memfd with this content, sealed for good.
Result<UniqueFd> sealed_memory(const char* name, Bytes content);

}  // namespace bpfwarden::wire
