// SPDX-License-Identifier: Apache-2.0
// Where a bpf(2) call has pointers, file descriptors and results in its attributes: the one table by which a call is
// taken apart in the client, put together in the broker, and copied out of a process by the notifier.
#pragma once

#include <linux/bpf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace bpfwarden::wire {

// At most N, without allocation: a layout is made for every call.
template <class T, std::size_t N>
class Few {
  public:
    void add(T one) { items_[count_++] = one; }
    const T* begin() const { return items_.data(); }
    const T* end() const { return items_.data() + count_; }
    std::size_t size() const { return count_; }
    const T& operator[](std::size_t i) const { return items_[i]; }

  private:
    std::array<T, N> items_{};
    std::size_t count_ = 0;
};

enum class FdKind : std::uint8_t { map, program, link, btf, attach_target, any };

struct FdField {
    std::uint16_t offset = 0;  // of 4 bytes
    FdKind kind = FdKind::any;
    bool zero_is_none = false;  // the kernel takes 0 for "not given"
};

struct Buffer {
    enum class Holds : std::uint8_t {
        bytes,
        text,          // up to a NUL, which is within `length`
        texts,         // an array of pointers to texts; `length` is their count
        instructions,  // with file descriptors in them
        fds,           // int each
    };
    std::uint16_t pointer = 0;  // offset of 8 bytes
    Holds holds = Holds::bytes;
    bool in = true, out = false;
    std::uint64_t length = 0;  // bytes, as the other attributes say; of a text, the most
    // Out: the attribute that says how much of it came back, and of how many bytes each. A log says it by its NUL.
    std::uint16_t used_at = 0;
    std::uint16_t used_unit = 0;
};

struct Result32 {
    std::uint16_t offset = 0;
    std::uint16_t size = 4;
};

struct BpfLayout {
    std::uint32_t size = 0;  // bytes of the attributes that the command has
    Few<FdField, 4> fds;
    Few<Buffer, 8> buffers;
    Few<Result32, 6> results;
};

// Nothing for a command that never goes through a session. Lengths come from `attr` and are whatever its sender put
// there: they are checked where they are used.
std::optional<BpfLayout> bpf_layout(std::uint32_t command, const bpf_attr& attr);

// The signature of a program (6.18) stands behind the attributes that installed headers know: it is taken out of the
// call by the client, travels behind it, and is read by the broker. The kernel never sees it: its keys are not the
// session's.
inline constexpr std::size_t signature_at = 152;  // u64 signature, u32 signature_size, s32 keyring_id
inline constexpr std::size_t largest_signature = 16 * 1024;

// How many bytes of an out buffer came back.
std::size_t used_bytes(const Buffer& buffer, const bpf_attr& attr, const std::byte* content, std::size_t length);

}  // namespace bpfwarden::wire
