// SPDX-License-Identifier: Apache-2.0
// Policies for tests: parsed and compiled from text, or the test says why not.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "policy/compile.hpp"
#include "policy/evaluate.hpp"
#include "policy/parse.hpp"

namespace bpfwarden::policy {

inline bool soak() { return std::getenv("BPFWARDEN_SOAK") != nullptr; }
inline int cases(int normal) { return soak() ? normal * 50 : normal; }

inline const Names& some_names() {
    static const Names names{[](const std::string& name) -> std::optional<std::uint32_t> {
                                 return name == "www-data" ? std::optional(33U) : std::nullopt;
                             },
                             [](const std::string& name) -> std::optional<std::uint32_t> {
                                 return name == "adm" ? std::optional(4U) : std::nullopt;
                             }};
    return names;
}

inline std::string all_of(const Diagnostics& diagnostics) {
    std::string out;
    for (const auto& one : diagnostics.sorted()) out += one.text() + "\n";
    return out;
}

inline std::vector<Policy> parsed(std::string_view text, const std::string& file = "t.toml") {
    Diagnostics diagnostics;
    auto policy = parse(text, file, some_names(), diagnostics);
    EXPECT_TRUE(diagnostics.ok()) << all_of(diagnostics) << text;
    std::vector<Policy> out;
    if (policy) out.push_back(std::move(*policy));
    return out;
}

// A set of policies that must be right.
inline Compiled compiled(const std::vector<Policy>& policies) {
    Diagnostics diagnostics;
    auto out = compile(policies, diagnostics);
    EXPECT_TRUE(out) << all_of(diagnostics);
    return out ? std::move(*out) : Compiled{};
}
inline Compiled compiled(std::string_view text) { return compiled(parsed(text)); }

// What is wrong, each problem on lines of its own.
inline std::string problems(std::string_view text) {
    Diagnostics diagnostics;
    const auto policy = parse(text, "t.toml", some_names(), diagnostics);
    if (policy && diagnostics.ok()) {
        const std::vector<Policy> all{*policy};
        const auto image = compile(all, diagnostics);
        EXPECT_EQ(image.has_value(), diagnostics.ok());
    }
    return all_of(diagnostics);
}

inline std::string domain_d(std::string_view more = "") {
    return "format = 1\nmode = 'enforce'\n[[domain]]\nname = 'd'\nenter = [{ exe = '/x' }]\n" + std::string(more) +
           "\n";
}

// The only domain's verdict about one operation on one path.
inline Verdict on_path(const Compiled& compiled, std::string_view op, const std::string& path, std::uint32_t domain = 1,
                       const std::string& type = "") {
    return Image(compiled).file_decision(domain, *operation_bit(op), {path, type, std::nullopt}).verdict;
}

class Random {
  public:
    explicit Random(unsigned salt) : engine_(soak() ? std::random_device{}() : 20270117U + salt) {}
    std::size_t below(std::size_t n) { return n ? engine_() % n : 0; }
    bool chance(unsigned percent) { return below(100) < percent; }
    template <class T>
    const T& one_of(const std::vector<T>& list) {
        return list[below(list.size())];
    }

  private:
    std::mt19937 engine_;
};

}  // namespace bpfwarden::policy
