// SPDX-License-Identifier: Apache-2.0
#include "wire/caller_memory.hpp"

#include <cstring>

namespace bpfwarden::wire {

namespace {

class OwnMemory : public CallerMemory {
  public:
    Result<> read(std::uint64_t address, std::span<std::byte> to) const override {
        if (!to.empty()) std::memcpy(to.data(), reinterpret_cast<const void*>(address), to.size());
        return {};
    }
    Result<> write(std::uint64_t address, Bytes from) const override {
        if (!from.empty()) std::memcpy(reinterpret_cast<void*>(address), from.data(), from.size());
        return {};
    }
    Result<std::string> text(std::uint64_t address, std::size_t most) const override {
        const auto* begin = reinterpret_cast<const char*>(address);
        return std::string(begin, ::strnlen(begin, most));
    }
};

}  // namespace

const CallerMemory& own_memory() {
    static const OwnMemory memory;
    return memory;
}

}  // namespace bpfwarden::wire
