// SPDX-License-Identifier: Apache-2.0
// shared/policy_rules.h, which BPF programs are compiled with too, for C++: an image is its lines.
#pragma once

#include <linux/types.h>

#include <array>
#include <cstring>
#include <span>
#include <string_view>

#include "policy/compile.hpp"

using bw_image_t = std::span<const bpfwarden::policy::Line>;

inline const void* bw_line(bw_image_t image, __u32 line) {
    return line < image.size() ? image[line].bytes.data() : nullptr;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "shared/policy_rules.h"

static inline __u32 bw_glob_name(bw_image_t image, const struct bw_image_head* head, __u32 row, const __u64* words,
                                 __u32 length, __u32) {
    const auto* bytes = (const __u8*)words;
    for (__u32 i = 0; i < length && row && row != BW_STEP_BROKEN; ++i) row = bw_glob_byte(image, head, row, bytes[i]);
    return row;
}
#pragma GCC diagnostic pop

namespace bpfwarden::policy {

// One name of a path as the evaluator wants it: at most longest_name bytes, zeros behind it.
class NameWords {
  public:
    explicit NameWords(std::string_view name) : length_(static_cast<__u32>(name.size())) {
        std::memcpy(words_.data(), name.data(), name.size());
    }
    const __u64* words() const { return words_.data(); }
    __u32 length() const { return length_; }
    std::array<__u64, 3> key() const {
        __u64 key[3];
        bw_name_key(words_.data(), length_, key);
        return {key[0], key[1], key[2]};
    }

  private:
    std::array<__u64, 32> words_{};
    __u32 length_;
};

}  // namespace bpfwarden::policy
