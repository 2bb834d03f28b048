// SPDX-License-Identifier: Apache-2.0
// Events for tests.
#pragma once

#include <random>
#include <string>

#include "audit/event.hpp"

namespace bpfwarden::audit {

// As the broker would write it.
inline Event operation(std::uint64_t number, bool allowed = true) {
    Event event{.kind = "operation", .time_ns = 1'773'480'413'000'000'000 + number * 1'000'000, .fields = {}};
    event.set("session", "7").set("grant", "agent").set("revision", 3);
    event.set("opener.uid", 1001).set("opener.gid", 1001).set("opener.pid", 42).set("opener.exe", "/usr/bin/agent");
    event.set("operation", allowed ? "map_create hash" : "map_create lpm_trie");
    event.set("verdict", allowed ? "allowed" : "refused");
    if (!allowed) event.set("errno", 1).set("key", "allow.map_types").set("line", "agent.toml:9:17");
    event.set("latency_ns", 2000 + number);
    return event;
}

inline std::string random_text(std::mt19937& random, std::size_t most) {
    std::string text(random() % (most + 1), '\0');
    static constexpr std::string_view often = "\\x41\"{}\n\x1b/ab\xc3\xa4\xe2\x80\xae";
    for (auto& c : text) c = random() % 3 == 0 ? static_cast<char>(random()) : often[random() % often.size()];
    return text;
}

// Any well-formed event.
inline Event random_event(std::mt19937& random) {
    Event event{.kind = "k" + std::to_string(random() % 100), .time_ns = random() * 1'000'000'007ULL, .fields = {}};
    const auto count = random() % 20;
    for (unsigned i = 0; i < count; ++i) {
        static constexpr std::string_view groups[] = {"", "opener.", "a.b.", "program."};
        const auto name = std::string(groups[random() % 4]) + "f" + std::to_string(random() % 30);
        switch (random() % 4) {
            case 0:
                event.set(name, random_text(random, 40));
                break;
            case 1:
                event.set(name, (std::uint64_t{random()} << 32 | random()) >> random() % 64);
                break;
            case 2:
                event.set(name, -static_cast<std::int64_t>(random()) - 1);
                break;
            default:
                event.set(name, random() % 2 == 0);
        }
    }
    return event;
}

}  // namespace bpfwarden::audit
