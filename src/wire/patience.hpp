// SPDX-License-Identifier: Apache-2.0
// Looking again for a moment before going to sleep: being woken costs more than most answers take to come. Only while
// it helps: where looking was in vain, sleeping comes first the next times.
#pragma once

#include <sched.h>

#include <chrono>
#include <concepts>

namespace bpfwarden::wire {

class Patience {
  public:
    explicit Patience(std::chrono::microseconds most) : most_(most) {}

    // Until `look` says true, or the time is over (false: sleep now).
    template <std::predicate Look>
    bool look_for(Look look) {
        if (skip_ > 0) {
            --skip_;
            return look();
        }
        const auto end = std::chrono::steady_clock::now() + most_;
        do {
            if (look()) {
                in_vain_ = 0;
                return true;
            }
            // Whoever is to answer may be waiting for this very processor.
            ::sched_yield();
        } while (std::chrono::steady_clock::now() < end);
        in_vain_ = in_vain_ < longest_rest ? 2 * in_vain_ + 1 : longest_rest;
        skip_ = in_vain_;
        return false;
    }

  private:
    static constexpr unsigned longest_rest = 15;
    std::chrono::microseconds most_;
    unsigned in_vain_ = 0, skip_ = 0;
};

}  // namespace bpfwarden::wire
