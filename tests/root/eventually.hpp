// SPDX-License-Identifier: Apache-2.0
// Waiting for what comes to be, instead of for a time.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>

namespace bpfwarden::test {

// Until `done` says so, or the limit is over.
inline bool eventually(const std::function<bool()>& done, std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + limit;
    auto pause = std::chrono::microseconds(200);
    while (!done()) {
        if (Clock::now() > end) return false;
        std::this_thread::sleep_for(pause);
        pause = std::min(pause * 2, std::chrono::microseconds(20'000));
    }
    return true;
}

}  // namespace bpfwarden::test
