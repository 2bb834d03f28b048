// SPDX-License-Identifier: Apache-2.0
// Short ways to make grants in tests.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "grant/load.hpp"

namespace bpfwarden::grant {

// Includes from a map.
class MapLoader : public Loader {
  public:
    MapLoader() = default;
    explicit MapLoader(std::map<std::string, std::string> files) : files_(std::move(files)) {}
    Result<Source> include(std::string_view name, const Source&) override {
        const auto file = files_.find(std::string(name));
        if (file == files_.end())
            return fail(Error(Code::not_found, "there is no such grant").because("the map has none"));
        return Source{file->first, file->first, file->second};
    }

  private:
    std::map<std::string, std::string> files_;
};

inline Checked checked(const std::string& text, std::map<std::string, std::string> others = {}) {
    MapLoader loader(std::move(others));
    return check_text(Source{"t.toml", "t.toml", text}, loader);
}

// What the grant means, whether or not it is one to be used.
inline Resolved resolved(const std::string& text, std::map<std::string, std::string> others = {}) {
    MapLoader loader(std::move(others));
    Diagnostics diagnostics;
    auto grant = resolve(Source{"t.toml", "t.toml", text}, loader, diagnostics);
    for (const auto& one : diagnostics.all()) EXPECT_NE(one.severity, Severity::error) << one.text();
    return grant ? std::move(*grant) : Resolved{};
}

// "[allow]" with the given lines.
inline Resolved allowing(const std::string& lines) { return resolved("format = 1\n[allow]\n" + lines); }

// Everything that `grant check` says, each as "LINE:COLUMN: error: what | why | hint".
inline std::vector<std::string> messages(const std::string& text, std::map<std::string, std::string> others = {}) {
    std::vector<std::string> out;
    for (const auto& one : checked(text, std::move(others)).diagnostics.sorted()) {
        std::string line = std::to_string(one.at.line) + ":" + std::to_string(one.at.column) + ": " +
                           (one.severity == Severity::error ? "error: " : "warning: ") + one.what;
        if (!one.why.empty()) line += " | " + one.why;
        if (!one.hint.empty()) line += " | " + one.hint;
        out.push_back(std::move(line));
    }
    return out;
}

// The one message of a text that has exactly one.
inline std::string message(const std::string& text, std::map<std::string, std::string> others = {}) {
    const auto all = messages(text, std::move(others));
    EXPECT_EQ(all.size(), 1U) << ::testing::PrintToString(all) << "\n" << text;
    return all.empty() ? "" : all.front();
}

}  // namespace bpfwarden::grant
