// SPDX-License-Identifier: Apache-2.0
#include "filter/known.hpp"

#include <algorithm>
#include <bit>

namespace bpfwarden::filter {

std::optional<bool> Known::decides(const Test& test) const {
    const std::uint32_t mask = test.mask, k = test.constant;
    switch (test.comparison) {
        case Relation::equal:
            if ((k & ~mask) != 0 || (zeros & k) != 0 || (ones & mask & ~k) != 0) return false;
            if ((mask & ~(zeros | ones)) == 0) return true;
            if (mask == 0xffffffff) {
                if (k < first || k > last || std::ranges::binary_search(others, k)) return false;
                if (first == last) return true;
            }
            return std::nullopt;
        case Relation::not_less:
            if ((ones & mask) >= k || (mask == 0xffffffff && first >= k)) return true;
            if ((~zeros & mask) < k || (last < k)) return false;
            return std::nullopt;
        case Relation::any_bit:
            if ((ones & mask & k) != 0) return true;
            if ((~zeros & mask & k) == 0) return false;
            return std::nullopt;
    }
    return std::nullopt;
}

Known Known::with(const Test& test, bool outcome) const {
    Known now = *this;
    const std::uint32_t mask = test.mask, k = test.constant;
    switch (test.comparison) {
        case Relation::equal:
            if (outcome) {
                now.ones |= k;
                now.zeros |= mask & ~k;
            } else if (mask == 0xffffffff) {
                now.exclude(k);
            } else if (std::has_single_bit(mask)) {
                (k != 0 ? now.zeros : now.ones) |= mask;
            }
            break;
        case Relation::not_less:
            if (outcome)
                now.first = std::max(now.first, k);  // a part of its bits is not more than all
            else if (mask == 0xffffffff)
                now.last = std::min(now.last, k - 1);
            break;
        case Relation::any_bit: {
            const std::uint32_t open = mask & k & ~(zeros | ones);
            if (!outcome)
                now.zeros |= mask & k;
            else if (std::has_single_bit(open))
                now.ones |= open;
            break;
        }
    }
    now.settle();
    return now;
}

void Known::exclude(std::uint32_t value) {
    // More are forgotten: nothing depends on remembering them.
    constexpr std::size_t limit = 64;
    if (others.size() >= limit) return;
    others.insert(std::ranges::lower_bound(others, value), value);
}

void Known::settle() {
    for (bool again = true; again && first < last;) {
        again = false;
        const auto raise = [&](std::uint32_t to) {
            if (to > first) first = to, again = true;
        };
        const auto lower = [&](std::uint32_t to) {
            if (to < last) last = to, again = true;
        };
        raise(ones);
        lower(~zeros);
        if (first < last && std::ranges::binary_search(others, first)) raise(first + 1);
        if (first < last && std::ranges::binary_search(others, last)) lower(last - 1);
        // Bits that both ends have in common, from the top.
        const std::uint32_t same =
            first == last ? 0xffffffff : ~((std::uint32_t{2} << (std::bit_width(first ^ last) - 1)) - 1);
        ones |= first & same;
        zeros |= ~first & same;
    }
    if (first == last) ones = first, zeros = ~first;
    std::erase_if(others, [&](std::uint32_t one) { return one < first || one > last; });
}

}  // namespace bpfwarden::filter
