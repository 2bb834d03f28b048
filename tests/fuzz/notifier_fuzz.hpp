// SPDX-License-Identifier: Apache-2.0
// What must hold of a system call of any process, whatever its memory has in it: copied, sent, read again by the
// broker, answered, and the answer put back. Used by the fuzzer, and by the replay of its corpus in every build.
//
// An input: the command, the kind of call, the size (2 bytes), the address of the attributes (8), and what the memory
// has in it, over and over again, with one page of eight that is not there.
#pragma once

#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "wire/bpf_call.hpp"
#include "wire/perf_event.hpp"

namespace bpfwarden::wire {

class FuzzedMemory : public CallerMemory {
  public:
    explicit FuzzedMemory(Bytes content) : content_(content) {}

    Result<> read(std::uint64_t address, std::span<std::byte> to) const override {
        // That a caller has much to say is found out without saying it all.
        constexpr std::size_t most_reads = 2048, most_bytes = 1 << 16;
        if (++reads_ > most_reads || to.size() > most_bytes || !is_there(address, to.size()))
            return fail(Error::from_errno(EFAULT, "nothing is there"));
        for (std::size_t i = 0; i < to.size(); ++i) to[i] = at(address + i);
        return {};
    }
    Result<> write(std::uint64_t address, Bytes from) const override {
        if (!is_there(address, from.size())) return fail(Error::from_errno(EFAULT, "nothing is there"));
        writes.emplace_back(address, from.size());
        return {};
    }
    Result<std::string> text(std::uint64_t address, std::size_t most) const override {
        std::string text;
        for (std::byte one; text.size() < most; text += static_cast<char>(one)) {
            BW_TRY(read(address + text.size(), {&one, 1}));
            if (one == std::byte{0}) break;
        }
        return text;
    }

    mutable std::vector<std::pair<std::uint64_t, std::size_t>> writes;

  private:
    std::byte at(std::uint64_t address) const { return content_[static_cast<std::size_t>(address % content_.size())]; }
    static bool is_there(std::uint64_t address, std::size_t size) {
        for (auto page = address >> 12; page <= (address + (size == 0 ? 0 : size - 1)) >> 12; ++page)
            if (page % 8 == 7) return false;
        return true;
    }
    Bytes content_;
    mutable std::size_t reads_ = 0;
};

// Empty if everything holds, else what does not.
inline std::string broken_event(std::uint64_t address, const FuzzedMemory& memory) {
    constexpr EventTypes types{.kprobe = 8, .uprobe = 9};
    const auto event = PerfEventCall::of(address, types, memory);
    if (!event) return event.error().number() > 0 ? "" : "an error without an errno";
    std::uint32_t size = 0, type = 0;
    std::memcpy(&size, event->attr.data() + offsetof(perf_event_attr, size), sizeof size);
    std::memcpy(&type, event->attr.data() + offsetof(perf_event_attr, type), sizeof type);
    if (size != event->attr.size() || size < PERF_ATTR_SIZE_VER0 || size > 4096) return "attributes of another size";
    if (event->name.contains('\0') || event->name.size() > 4096) return "a name that is none";
    if (event->is_uprobe && type != types.uprobe) return "a uprobe of another type";
    std::uint64_t config1 = 0;
    std::memcpy(&config1, event->attr.data() + offsetof(perf_event_attr, config1), sizeof config1);
    if ((type == types.kprobe || type == types.uprobe) && config1 != 0) return "an address of another process";
    Writer writer;
    event->write(writer);
    Reader from(writer.bytes());
    if (from.block().size() != size) return "another call than was copied";
    return "";
}

// Every write must be to the attributes that the caller has, or to a buffer that it gave, as far as that goes.
inline bool may_write(const FuzzedMemory& memory, const bpf_attr& attr, const BpfLayout& layout, std::uint64_t address,
                      std::size_t size) {
    return std::ranges::all_of(memory.writes, [&](const auto& write) {
        const auto within = [&](std::uint64_t begin, std::uint64_t length) {
            return write.first - begin <= length && write.second <= length - (write.first - begin);
        };
        return within(address, size) || std::ranges::any_of(layout.buffers, [&](const Buffer& buffer) {
                   std::uint64_t begin = 0;
                   std::memcpy(&begin, reinterpret_cast<const std::byte*>(&attr) + buffer.pointer, sizeof begin);
                   return buffer.out && begin != 0 && within(begin, buffer.length);
               });
    });
}

inline std::string broken_bpf(std::uint32_t command, std::uint64_t address, std::size_t size,
                              const FuzzedMemory& memory) {
    std::vector<std::byte> given(size);
    if (!memory.read(address, given)) return "";
    bpf_attr attr{};
    if (size != 0) std::memcpy(&attr, given.data(), std::min(size, sizeof attr));
    const auto request = BpfRequest::of(command, given.data(), size, memory);
    if (!request) return request.error().number() > 0 ? "" : "an error without an errno";
    if (request->fds().size() > most_fds) return "more fds than a message has";

    Message message;
    message.body = request->body();
    // That they are open does not matter to the decoder, only how many there are.
    for (std::size_t i = 0; i < request->fds().size(); ++i) message.fds.emplace_back();
    auto call = BpfCall::of(message);
    if (!call) {
        if (call.error().number() <= 0) return "a refusal without an errno";
        return call.error().number() == EPROTO ? "what was copied is broken: " + std::string(call.error().what()) : "";
    }
    if (call->command != command) return "another command";
    const auto layout = bpf_layout(command, attr);
    if (!layout) return "a command without a layout";
    for (const auto& field : call->layout.fds)
        if (const auto index = call->fd_field(field); index != no_fd && index >= message.fds.size())
            return "an fd that was not copied";
    call->point();
    // As a kernel that says that there is more than there was room for.
    for (const bool full : {false, true}) {
        for (const auto& buffer : call->layout.buffers) {
            if (!full || buffer.used_at == 0) continue;
            constexpr std::uint32_t much = ~0U;
            std::memcpy(reinterpret_cast<std::byte*>(&call->attr) + buffer.used_at, &much, sizeof much);
        }
        for (const int result : {0, 5, -ENOSPC, -EINVAL}) {
            Writer writer;
            call->write_answer(writer, result);
            Message answer;
            answer.body = writer.bytes();
            memory.writes.clear();
            const auto taken = request->take_answer(answer, address, size, memory);
            if (!taken && taken.error().number() != EFAULT) return "an answer that is not understood";
            if (taken && *taken != result) return "another result";
            if (!may_write(memory, attr, *layout, address, size)) return "a write where the caller gave no room";
        }
    }
    return "";
}

inline std::string broken_notification(Bytes input) {
    constexpr std::size_t header = 12;
    if (input.size() <= header) return "";
    const auto command = std::to_integer<std::uint32_t>(input[0]);
    const auto kind = std::to_integer<unsigned>(input[1]);
    std::uint16_t size = 0;
    std::uint64_t address = 0;
    std::memcpy(&size, input.data() + 2, sizeof size);
    std::memcpy(&address, input.data() + 4, sizeof address);
    const FuzzedMemory memory(input.subspan(header));
    // As the kernel, nobody looks at more.
    return kind % 4 == 3 ? broken_event(address, memory)
                         : broken_bpf(command, address, std::min<std::size_t>(size, 4096), memory);
}

}  // namespace bpfwarden::wire
