// SPDX-License-Identifier: Apache-2.0
// One bpf(2) call as the body of a message: taken apart by the client, put together again by the broker in memory that
// nobody else can change, and its results taken back.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "wire/bpf_layout.hpp"
#include "wire/caller_memory.hpp"
#include "wire/message.hpp"

namespace bpfwarden::wire {

// An fd field's value when no fd is given; otherwise it is an index into the message's fds.
inline constexpr std::uint32_t no_fd = ~0U;

// ---- the client's side

// The caller's attributes as a message's body. `attr` may be larger than what is known here if the rest is zero
// (E2BIG otherwise), as the kernel has it.
class BpfRequest {
  public:
    // `attr` is in this process; what it points to is in `memory`, and is read once.
    //
    // Soundness: what is looked at in instructions is the copy that is sent, so a caller that changes its memory
    // meanwhile changes nothing of what is judged and done.
    static Result<BpfRequest> of(std::uint32_t command, const void* attr, std::size_t size,
                                 const CallerMemory& memory = own_memory());
    Bytes body() const { return body_.bytes(); }
    std::span<const int> fds() const { return fds_; }

    // What came back, into the caller's attributes (at `attr` of `memory`) and buffers. The call's result: a value, or
    // -errno. `fd` is what the answer brought, if it brought one; the caller owns it when the result is that number.
    Result<int> take_answer(Message& answer, std::uint64_t attr, std::size_t size,
                            const CallerMemory& memory = own_memory()) const;

  private:
    std::uint32_t add_fd(int fd);
    Result<> add_instructions(const CallerMemory& memory, std::vector<int>& fd_array);
    Result<> add_buffer(const Buffer& buffer, std::uint64_t address, const CallerMemory& memory,
                        std::vector<int>& fd_array);
    std::uint32_t command_ = 0;
    bpf_attr attr_{};  // as the caller had them
    Writer body_;
    std::vector<int> fds_;
    BpfLayout layout_;
};

// ---- the broker's side

// Attributes with all pointers into memory of this process, which only this process writes. File descriptors are still
// indices into the message's fds: `bind` puts numbers in.
class BpfCall {
  public:
    // Reads the body of a Type::bpf message; the call points into it, so the message must live as long.
    //
    // Soundness: nothing is taken from the body that was not bounded by it; a length that disagrees with the
    // attributes is refused; texts end within their block; all attributes that this release does not know are zero.
    static Result<BpfCall> of(const Message& message);

    std::uint32_t command = 0;
    bpf_attr attr{};
    BpfLayout layout;
    // prog_load: a private copy, map references still indices.
    std::vector<bpf_insn> instructions;
    std::vector<std::uint32_t> fd_array;
    // Licence, tracepoint or path. A null pointer is not an empty text: tracing programs attach without a name.
    std::optional<std::string> text;
    std::vector<std::string> texts;  // kprobe_multi's symbols
    Bytes signature;                 // prog_load: that came with the call; in the message, as buffers are

    std::uint32_t& fd_field(const FdField& field);
    // Points the attributes at the texts, instructions and fd array; after the last change of those.
    void point();

    // The answer: the result, the attributes and buffers that the kernel wrote.
    void write_answer(Writer& to, int result) const;

  private:
    std::uint64_t& pointer(std::uint16_t offset);
    std::vector<std::unique_ptr<std::byte[], void (*)(void*)>> outputs_;  // by buffer, in the layout's order
    std::vector<const char*> text_pointers_;
};

// A refusal by the grant, in an answer.
struct Refusal {
    int error = 0;
    std::string key;     // "allow.map_types"
    std::string line;    // "exec-observer.toml:7:1"
    std::string reason;  // one sentence
};
void write_refusal(Writer& to, const Refusal& refusal);
Result<Refusal> read_refusal(Reader& from);

}  // namespace bpfwarden::wire
