// SPDX-License-Identifier: Apache-2.0
#include "wire/bpf_call.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace bpfwarden::wire {

namespace {

// The kernel's own most for a verifier log is 1 GiB; one that is longer than this is cut.
constexpr std::uint64_t largest_output = 32 * 1024 * 1024;
constexpr std::uint64_t most_instructions = 1'000'000;
// MAX_KPROBE_MULTI_CNT.
constexpr std::uint64_t most_texts = 1 << 20;
// KSYM_NAME_LEN.
constexpr std::size_t longest_symbol = 512;

template <class T>
T field(const bpf_attr& attr, std::uint16_t offset) {
    T value;
    std::memcpy(&value, reinterpret_cast<const std::byte*>(&attr) + offset, sizeof value);
    return value;
}
template <class T>
void set_field(bpf_attr& attr, std::uint16_t offset, T value) {
    std::memcpy(reinterpret_cast<std::byte*>(&attr) + offset, &value, sizeof value);
}

bool all_zero(Bytes bytes) {
    return std::ranges::all_of(bytes, [](std::byte one) { return one == std::byte{0}; });
}

// What the second half of a two-slot load stands for, by the first half's source register.
constexpr std::uint8_t wide_load = BPF_LD | BPF_IMM | BPF_DW;
bool names_map_fd(const bpf_insn& insn) {
    return insn.code == wide_load && (insn.src_reg == BPF_PSEUDO_MAP_FD || insn.src_reg == BPF_PSEUDO_MAP_VALUE);
}
bool names_map_index(const bpf_insn& insn) {
    return insn.code == wide_load && (insn.src_reg == BPF_PSEUDO_MAP_IDX || insn.src_reg == BPF_PSEUDO_MAP_IDX_VALUE);
}
bool names_module(const bpf_insn& insn) {
    return insn.code == (BPF_JMP | BPF_CALL) && insn.src_reg == BPF_PSEUDO_KFUNC_CALL && insn.off != 0;
}
// A kernel variable of a module: the fd of its BTF is in the second half.
bool names_btf(const bpf_insn& insn) { return insn.code == wide_load && insn.src_reg == BPF_PSEUDO_BTF_ID; }

}  // namespace

// ---- client --------------------------------------------------------------------------------------------------------

std::uint32_t BpfRequest::add_fd(int fd) {
    const auto at = std::ranges::find(fds_, fd);
    if (at != fds_.end()) return static_cast<std::uint32_t>(at - fds_.begin());
    fds_.push_back(fd);
    return static_cast<std::uint32_t>(fds_.size() - 1);
}

Result<> BpfRequest::add_instructions(const CallerMemory& memory, std::vector<int>& fd_array) {
    std::vector<bpf_insn> code(attr_.insn_cnt);
    BW_TRY(memory.read(attr_.insns, std::as_writable_bytes(std::span(code))));
    std::size_t longest = 0;
    for (std::size_t i = 0; i < code.size(); ++i) {
        auto& insn = code[i];
        if (names_map_index(insn) && insn.imm >= 0) longest = std::max(longest, static_cast<std::size_t>(insn.imm) + 1);
        if (names_module(insn) && insn.off > 0) longest = std::max(longest, static_cast<std::size_t>(insn.off) + 1);
        if (names_map_fd(insn)) insn.imm = static_cast<std::int32_t>(add_fd(insn.imm));
        if (names_btf(insn) && i + 1 < code.size() && code[i + 1].imm > 0)
            code[i + 1].imm = static_cast<std::int32_t>(add_fd(code[i + 1].imm)) + 1;
        if (insn.code == wide_load) ++i;
    }
    body_.block(std::as_bytes(std::span(code)));
    // The kernel bounds the array by nothing but its use.
    if (longest > most_fds) return fail(Error::from_errno(E2BIG, "the program names too many file descriptors"));
    if (attr_.fd_array == 0) return {};
    fd_array.resize(longest);
    return memory.read(attr_.fd_array, std::as_writable_bytes(std::span(fd_array)));
}

Result<> BpfRequest::add_buffer(const Buffer& buffer, std::uint64_t address, const CallerMemory& memory,
                                std::vector<int>& fd_array) {
    switch (buffer.holds) {
        case Buffer::Holds::bytes:
            if (buffer.length > largest_body) return fail(Error::from_errno(E2BIG, "bpf: a buffer is too large"));
            return memory.read(address, body_.room(static_cast<std::size_t>(buffer.length)));
        case Buffer::Holds::text:
            body_.text(BW_TRY(memory.text(address, static_cast<std::size_t>(buffer.length))));
            return {};
        case Buffer::Holds::texts: {
            if (buffer.length > most_texts) return fail(Error::from_errno(E2BIG, "bpf: too many names"));
            std::vector<std::uint64_t> addresses(static_cast<std::size_t>(buffer.length));
            BW_TRY(memory.read(address, std::as_writable_bytes(std::span(addresses))));
            for (const auto one : addresses) {
                body_.text(BW_TRY(memory.text(one, longest_symbol)));
                if (body_.bytes().size() > largest_body)
                    return fail(Error::from_errno(E2BIG, "bpf: the names are too long"));
            }
            return {};
        }
        case Buffer::Holds::instructions:
            if (attr_.insn_cnt > most_instructions) return fail(Error::from_errno(E2BIG, "bpf: too many instructions"));
            return add_instructions(memory, fd_array);
        case Buffer::Holds::fds: {
            std::vector<std::uint32_t> indices;
            for (const int fd : fd_array) indices.push_back(fd <= 0 ? no_fd : add_fd(fd));
            body_.block(std::as_bytes(std::span(indices)));
            return {};
        }
    }
    return {};
}

// Takes the signature of a program out of its attributes; empty if there is none.
static Result<std::vector<std::byte>> take_signature(std::span<std::byte> attributes, const CallerMemory& memory) {
    struct {
        std::uint64_t address = 0;
        std::uint32_t size = 0;
        std::int32_t keyring = 0;
    } fields;
    const auto given = attributes.subspan(signature_at, std::min(sizeof fields, attributes.size() - signature_at));
    std::memcpy(&fields, given.data(), given.size());
    std::ranges::fill(given, std::byte{0});
    // The keys are those that were installed for sessions. What light skeletons write by default, the session keyring
    // (KEY_SPEC_SESSION_KEYRING), asks for none in particular.
    constexpr std::int32_t session_keyring = -3;
    if (fields.keyring != 0 && fields.keyring != session_keyring)
        return fail(Error::from_errno(EINVAL, "bpf: a keyring of the kernel's")
                        .because("over a session a program's signature is checked by the keys that bpfwarden has"));
    if ((fields.address == 0) != (fields.size == 0) || fields.size > largest_signature)
        return fail(Error::from_errno(EINVAL, "bpf: a signature of no length, or of more than 16 KiB"));
    std::vector<std::byte> signature(fields.size);
    BW_TRY(memory.read(fields.address, signature));
    return signature;
}

Result<BpfRequest> BpfRequest::of(std::uint32_t command, const void* given, std::size_t size,
                                  const CallerMemory& memory) {
    BpfRequest request;
    auto& attr = request.attr_;
    const auto* bytes = static_cast<const std::byte*>(given);
    std::vector<std::byte> signature, without;
    if (command == BPF_PROG_LOAD && size > signature_at) {
        without.assign(bytes, bytes + size);
        signature = BW_TRY(take_signature(without, memory));
        given = bytes = without.data();
    }
    if (size > sizeof attr && !all_zero({bytes + sizeof attr, size - sizeof attr}))
        return fail(Error::from_errno(E2BIG, "bpf: attributes that this release does not know"));
    if (size != 0) std::memcpy(&attr, given, std::min(size, sizeof attr));
    const auto layout = bpf_layout(command, attr);
    if (!layout) return fail(Error::from_errno(EPERM, "bpf: a command that does not go through a session"));

    request.command_ = command;
    request.layout_ = *layout;
    bpf_attr sent = attr;
    for (const auto& fd : layout->fds) {
        const auto number = field<std::int32_t>(attr, fd.offset);
        const bool none = fd.zero_is_none ? number <= 0 : number < 0;
        set_field(sent, fd.offset, none ? no_fd : request.add_fd(number));
    }
    for (const auto& buffer : layout->buffers) set_field(sent, buffer.pointer, std::uint64_t{0});
    request.body_.number(command);
    request.body_.number(static_cast<std::uint32_t>(sizeof sent));
    request.body_.raw(std::as_bytes(std::span(&sent, 1)));

    std::vector<int> fd_array;
    for (const auto& buffer : layout->buffers) {
        const auto address = field<std::uint64_t>(attr, buffer.pointer);
        request.body_.number(static_cast<std::uint8_t>(address != 0));
        if (address != 0 && buffer.in) BW_TRY(request.add_buffer(buffer, address, memory, fd_array));
    }
    if (!signature.empty()) request.body_.block(signature);
    if (request.fds_.size() > most_fds) return fail(Error::from_errno(E2BIG, "bpf: too many file descriptors"));
    return request;
}

Result<int> BpfRequest::take_answer(Message& answer, std::uint64_t attr, std::size_t size,
                                    const CallerMemory& memory) const {
    Reader from(answer.body);
    (void)from.number<std::uint8_t>();  // Answer, already looked at
    int result = from.number<std::int32_t>();
    for (const auto& one : layout_.results) {
        const auto value = from.raw(one.size);
        // As the kernel does: no result for attributes that the caller does not have.
        if (from.ok() && std::size_t{one.offset} + one.size <= size) BW_TRY(memory.write(attr + one.offset, value));
    }
    for (const auto& buffer : layout_.buffers) {
        if (!buffer.out) continue;
        const auto content = from.block();
        const auto address = field<std::uint64_t>(attr_, buffer.pointer);
        if (content.size() > buffer.length) return fail(Error::from_errno(EPROTO, "the answer is too long"));
        if (address != 0 && !content.empty()) BW_TRY(memory.write(address, content));
    }
    if (!from.done() || answer.fds.size() > 1) return fail(Error::from_errno(EPROTO, "the answer is broken"));
    if (!answer.fds.empty() && result >= 0) result = answer.fds.front().release();
    return result;
}

// ---- broker --------------------------------------------------------------------------------------------------------

static Failure broken(const char* what) { return fail(Error::from_errno(EPROTO, what)); }
static Failure invalid(const char* what) { return fail(Error::from_errno(EINVAL, what)); }

std::uint64_t& BpfCall::pointer(std::uint16_t offset) {
    // Aligned: every pointer of bpf_attr is __aligned_u64, and bpf_attr itself is aligned to 8.
    return *reinterpret_cast<std::uint64_t*>(reinterpret_cast<std::byte*>(&attr) + offset);
}
std::uint32_t& BpfCall::fd_field(const FdField& field) {
    return *reinterpret_cast<std::uint32_t*>(reinterpret_cast<std::byte*>(&attr) + field.offset);
}

Result<BpfCall> BpfCall::of(const Message& message) {
    Reader from(message.body);
    BpfCall call;
    call.command = from.number<std::uint32_t>();
    const auto size = from.number<std::uint32_t>();
    const auto attributes = from.raw(size);
    if (!from.ok()) return broken("a call without attributes");
    std::memcpy(&call.attr, attributes.data(), std::min<std::size_t>(size, sizeof call.attr));
    if (size > sizeof call.attr && !all_zero(attributes.subspan(sizeof call.attr)))
        return fail(Error::from_errno(E2BIG, "attributes that this release does not know"));
    const auto layout = bpf_layout(call.command, call.attr);
    if (!layout) return fail(Error::from_errno(EPERM, "a command that does not go through a session"));
    call.layout = *layout;
    if (!all_zero(std::as_bytes(std::span(&call.attr, 1)).subspan(layout->size)))
        return invalid("attributes that the command does not have");
    for (const auto& fd : layout->fds)
        if (const auto index = call.fd_field(fd); index != no_fd && index >= message.fds.size())
            return broken("a call names a file descriptor that did not come");

    for (const auto& buffer : layout->buffers) {
        const bool present = from.number<std::uint8_t>() != 0;
        call.outputs_.emplace_back(nullptr, std::free);
        call.pointer(buffer.pointer) = 0;
        if (!present) continue;
        if (!buffer.in) {
            const auto length = static_cast<std::size_t>(std::min(buffer.length, largest_output));
            // calloc: pages that the kernel does not write cost nothing.
            call.outputs_.back().reset(static_cast<std::byte*>(std::calloc(length + 1, 1)));
            if (!call.outputs_.back()) return fail(Error::from_errno(ENOMEM, "no memory for a result"));
            call.pointer(buffer.pointer) = reinterpret_cast<std::uint64_t>(call.outputs_.back().get());
            continue;
        }
        if (buffer.holds == Buffer::Holds::texts) {
            if (buffer.length > most_texts) return fail(Error::from_errno(E2BIG, "too many names"));
            for (std::uint64_t i = 0; i < buffer.length; ++i) {
                call.texts.push_back(from.text());
                // At once: a short body that claims a million names must not cost memory for them. And what is
                // checked is the text that the kernel will see.
                if (!from.ok()) return broken("a call is cut short");
                if (call.texts.back().contains('\0')) return invalid("a text has a NUL in it");
            }
            continue;
        }
        const auto content = from.block();
        if (!from.ok()) return broken("a call is cut short");
        switch (buffer.holds) {
            case Buffer::Holds::bytes:
                if (content.size() != buffer.length) return broken("a buffer is not as long as the attributes say");
                call.pointer(buffer.pointer) = reinterpret_cast<std::uint64_t>(content.data());
                break;
            case Buffer::Holds::text:
                if (content.size() >= buffer.length) return invalid("a text is too long");
                call.text.emplace(reinterpret_cast<const char*>(content.data()), content.size());
                if (call.text->contains('\0')) return invalid("a text has a NUL in it");
                break;
            case Buffer::Holds::instructions:
                if (content.size() != buffer.length) return broken("a buffer is not as long as the attributes say");
                if (call.attr.insn_cnt > most_instructions)
                    return fail(Error::from_errno(E2BIG, "too many instructions"));
                call.instructions.resize(call.attr.insn_cnt);
                if (!content.empty()) std::memcpy(call.instructions.data(), content.data(), content.size());
                break;
            case Buffer::Holds::fds:
                if (content.size() % 4 != 0 || content.size() / 4 > most_fds) return broken("a broken array of fds");
                call.fd_array.resize(content.size() / 4);
                if (!content.empty()) std::memcpy(call.fd_array.data(), content.data(), content.size());
                for (const auto index : call.fd_array)
                    if (index != no_fd && index >= message.fds.size())
                        return broken("a call names a file descriptor that did not come");
                break;
            case Buffer::Holds::texts:
                break;
        }
    }
    if (call.command == BPF_PROG_LOAD && from.ok() && !from.done()) {
        call.signature = from.block();
        if (call.signature.size() > largest_signature) return broken("a signature is too long");
    }
    if (!from.done()) return broken("a call is not as long as it says");
    // A log longer than what is answered would be written past the end.
    if (call.command == BPF_PROG_LOAD && call.attr.log_size > largest_output) call.attr.log_size = largest_output;
    if (call.command == BPF_BTF_LOAD && call.attr.btf_log_size > largest_output)
        call.attr.btf_log_size = largest_output;
    for (const auto& buffer : layout->buffers)
        if (buffer.out && buffer.used_at != 0 && buffer.length > largest_output)
            return fail(Error::from_errno(E2BIG, "a result is too long"));
    return call;
}

void BpfCall::point() {
    for (const auto& buffer : layout.buffers) {
        switch (buffer.holds) {
            case Buffer::Holds::bytes:
                break;
            case Buffer::Holds::text:
                if (text) pointer(buffer.pointer) = reinterpret_cast<std::uint64_t>(text->c_str());
                break;
            case Buffer::Holds::texts:
                if (texts.empty()) break;
                text_pointers_.clear();
                for (const auto& one : texts) text_pointers_.push_back(one.c_str());
                pointer(buffer.pointer) = reinterpret_cast<std::uint64_t>(text_pointers_.data());
                break;
            case Buffer::Holds::instructions:
                pointer(buffer.pointer) = reinterpret_cast<std::uint64_t>(instructions.data());
                break;
            case Buffer::Holds::fds:
                if (!fd_array.empty()) pointer(buffer.pointer) = reinterpret_cast<std::uint64_t>(fd_array.data());
                break;
        }
    }
}

void BpfCall::write_answer(Writer& to, int result) const {
    to.number(static_cast<std::uint8_t>(Answer::done));
    to.number(static_cast<std::int32_t>(result));
    const auto* bytes = reinterpret_cast<const std::byte*>(&attr);
    for (const auto& one : layout.results) to.raw({bytes + one.offset, one.size});
    for (std::size_t i = 0; i < layout.buffers.size(); ++i) {
        const auto& buffer = layout.buffers[i];
        if (!buffer.out) continue;
        const auto* content = outputs_[i].get();
        const auto length = static_cast<std::size_t>(std::min(buffer.length, largest_output));
        // A call that failed wrote nothing but its log, or what there was room for.
        const bool written = result >= 0 || result == -ENOSPC || buffer.used_at == 0;
        if (content == nullptr || !written) {
            to.block({});
        } else {
            to.block({content, used_bytes(buffer, attr, content, length)});
        }
    }
}

void write_refusal(Writer& to, const Refusal& refusal) {
    to.number(static_cast<std::uint8_t>(Answer::refused));
    to.number(static_cast<std::int32_t>(refusal.error));
    to.text(refusal.key);
    to.text(refusal.line);
    to.text(refusal.reason);
}

Result<Refusal> read_refusal(Reader& from) {
    Refusal refusal;
    refusal.error = from.number<std::int32_t>();
    refusal.key = from.text();
    refusal.line = from.text();
    refusal.reason = from.text();
    if (!from.done() || refusal.error <= 0) return fail(Error::from_errno(EPROTO, "the answer is broken"));
    return refusal;
}

}  // namespace bpfwarden::wire
