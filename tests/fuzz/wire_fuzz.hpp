// SPDX-License-Identifier: Apache-2.0
// What must hold of any bytes given as a message or as a call: used by the fuzzer, by the replay of its corpus in every
// build, and by the unit tests' mutations.
#pragma once

#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <vector>

#include "wire/bpf_call.hpp"
#include "wire/message.hpp"

namespace bpfwarden::wire {

// Empty if everything holds, else what does not.
inline std::string broken_call(Bytes body) {
    Message message;
    message.body = body;
    // That they are open does not matter to the decoder, only how many there are.
    for (int i = 0; i < 3; ++i) message.fds.emplace_back();
    auto read = BpfCall::of(message);
    if (!read) return read.error().number() == 0 ? "an error without an errno" : "";
    auto& call = *read;
    for (const auto& field : call.layout.fds)
        if (const auto index = call.fd_field(field); index != no_fd && index >= message.fds.size())
            return "an fd that did not come";
    for (const auto index : call.fd_array)
        if (index != no_fd && index >= message.fds.size()) return "an fd in the array that did not come";
    if (call.text && call.text->contains('\0')) return "a NUL in a text";
    for (const auto& text : call.texts)
        if (text.contains('\0')) return "a NUL in a name";
    for (std::size_t i = call.layout.size; i < sizeof call.attr; ++i)
        if (reinterpret_cast<const char*>(&call.attr)[i] != 0) return "an attribute that the command does not have";

    // Every pointer is null or can be used as far as the attributes say: a sanitizer sees it if not.
    call.point();
    std::size_t sum = 0;
    for (const auto& buffer : call.layout.buffers) {
        std::uint64_t address = 0;
        std::memcpy(&address, reinterpret_cast<const std::byte*>(&call.attr) + buffer.pointer, sizeof address);
        if (address == 0) continue;
        auto* bytes = reinterpret_cast<unsigned char*>(address);
        switch (buffer.holds) {
            case Buffer::Holds::bytes:
                if (buffer.out) {
                    if (buffer.length != 0) bytes[0] = 'x';
                    // The log's own length may have been cut; what is answered is at most 32 MiB.
                    if (buffer.length != 0 && buffer.length <= 32 * 1024 * 1024) bytes[buffer.length - 1] = 'x';
                } else {
                    for (std::uint64_t i = 0; i < buffer.length; ++i) sum += bytes[i];
                }
                break;
            case Buffer::Holds::text:
                sum += std::strlen(reinterpret_cast<const char*>(address));
                break;
            case Buffer::Holds::texts:
                for (std::size_t i = 0; i < buffer.length; ++i)
                    sum += std::strlen(reinterpret_cast<const char* const*>(address)[i]);
                break;
            case Buffer::Holds::instructions:
                for (std::uint64_t i = 0; i < buffer.length; ++i) sum += bytes[i];
                break;
            case Buffer::Holds::fds:
                sum += bytes[call.fd_array.size() * 4 - 1];
        }
    }
    volatile std::size_t used = sum;
    (void)used;
    for (const int result : {0, -ENOSPC, -EINVAL}) {
        Writer writer;
        call.write_answer(writer, result);
        if (writer.bytes().size() < 5) return "an answer without a result";
    }
    return "";
}

// As a message on a socket, its first byte saying what comes along: bits 0-1 fds, bit 2 the rest as a sealed memfd.
inline std::string broken_message(Bytes content) {
    if (content.empty() || content.size() > 200'000) return "";
    const auto kind = std::to_integer<unsigned>(content[0]);
    content = content.subspan(1);
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return "";
    const UniqueFd near(ends[0]);
    const UniqueFd far(ends[1]);
    std::vector<UniqueFd> files;
    if ((kind & 4) != 0 && content.size() > sizeof(Header)) {
        if (auto memory = sealed_memory("fuzz", content.subspan(sizeof(Header)))) files.push_back(std::move(*memory));
        content = content.first(sizeof(Header));
    }
    for (unsigned i = 0; i < (kind & 3); ++i) files.emplace_back(::memfd_create("fuzz", MFD_CLOEXEC));
    iovec part{const_cast<std::byte*>(content.data()), content.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))] = {};
    msghdr raw{};
    raw.msg_iov = &part;
    raw.msg_iovlen = 1;
    if (!files.empty()) {
        raw.msg_control = control;
        raw.msg_controllen = CMSG_SPACE(files.size() * sizeof(int));
        cmsghdr* rights = CMSG_FIRSTHDR(&raw);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(files.size() * sizeof(int));
        for (std::size_t i = 0; i < files.size(); ++i) {
            const int number = files[i].get();
            std::memcpy(CMSG_DATA(rights) + i * sizeof number, &number, sizeof number);
        }
    }
    if (::sendmsg(near.get(), &raw, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return "";
    Receiver receiver;
    auto message = receiver.receive(far, MSG_DONTWAIT);
    if (!message) return message.error().number() == 0 ? "an error without an errno" : "";
    if (!*message) return "";
    if ((*message)->fds.size() > 3) return "an fd too many";
    Reader as_error((*message)->body);
    (void)read_error(as_error);
    Reader as_refusal((*message)->body);
    if (const auto refusal = read_refusal(as_refusal); refusal && refusal->error <= 0)
        return "a refusal without an errno";
    return broken_call((*message)->body);
}

inline std::string broken_invariant(Bytes content) {
    auto broken = broken_call(content);
    return broken.empty() ? broken_message(content) : broken;
}

}  // namespace bpfwarden::wire
