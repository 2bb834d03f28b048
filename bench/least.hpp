// SPDX-License-Identifier: Apache-2.0
// The least of several batches, in ns a turn: instructions in a guest that counts them.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <limits>

namespace bpfwarden::bench {

[[noreturn]] inline void give_up(const char* what) {
    std::perror(what);
    std::exit(1);
}

// As many again before, for what is kept and for what the kernel itself learns.
inline double least(int turns, const std::function<void()>& once) {
    constexpr int batches = 5;
    const auto now_ns = [] {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
    };
    for (int i = 0; i < turns; ++i) once();
    double best = std::numeric_limits<double>::max();
    for (int batch = 0; batch < batches; ++batch) {
        const double start = now_ns();
        for (int i = 0; i < turns; ++i) once();
        best = std::min(best, (now_ns() - start) / turns);
    }
    return best;
}

}  // namespace bpfwarden::bench
