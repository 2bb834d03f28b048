// SPDX-License-Identifier: Apache-2.0
// What the language's page says about patterns, tried out letter by letter: shares no code with the product.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace bpfwarden::brute_force {

// Alternatives in braces, spelled out.
inline std::vector<std::string> expand(const std::string& text) {
    int depth = 0;
    std::size_t open = std::string::npos;
    std::vector<std::size_t> commas;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '[') {
            // Up to the "]" that closes it; one that comes first is a member.
            std::size_t j = i + 1;
            if (text[j] == '!' || text[j] == '^') ++j;
            const std::size_t first = j;
            while (text[j] != ']' || j == first) j += text[j] == '\\' ? 2U : 1U;
            i = j;
        } else if (text[i] == '{') {
            if (depth++ == 0) {
                open = i;
                commas = {i};
            }
        } else if (text[i] == ',' && depth == 1) {
            commas.push_back(i);
        } else if (text[i] == '}' && --depth == 0) {
            commas.push_back(i);
            std::vector<std::string> all;
            for (std::size_t k = 0; k + 1 < commas.size(); ++k) {
                const auto choice = text.substr(commas[k] + 1, commas[k + 1] - commas[k] - 1);
                for (auto& one : expand(text.substr(0, open) + choice + text.substr(i + 1)))
                    all.push_back(std::move(one));
            }
            return all;
        }
    }
    return {text};
}

inline bool name_matches(std::string_view pattern, std::string_view name) {
    if (pattern.empty()) return name.empty();
    const char c = pattern[0];
    if (c == '*') {
        for (std::size_t i = 0; i <= name.size(); ++i)
            if (name_matches(pattern.substr(1), name.substr(i))) return true;
        return false;
    }
    if (name.empty()) return false;
    if (c == '?') return name_matches(pattern.substr(1), name.substr(1));
    if (c == '\\') return pattern[1] == name[0] && name_matches(pattern.substr(2), name.substr(1));
    if (c != '[') return c == name[0] && name_matches(pattern.substr(1), name.substr(1));
    std::size_t i = 1;
    const bool negated = pattern[i] == '!' || pattern[i] == '^';
    if (negated) ++i;
    bool in = false;
    for (bool first = true; pattern[i] != ']' || first; first = false) {
        const auto next = [&] {
            return static_cast<unsigned char>(pattern[i] == '\\' ? (i += 2, pattern[i - 1]) : pattern[i++]);
        };
        const auto from = next();
        auto to = from;
        if (pattern[i] == '-' && pattern[i + 1] != ']') {
            ++i;
            to = next();
        }
        const auto byte = static_cast<unsigned char>(name[0]);
        in = in || (from <= byte && byte <= to);
    }
    return in != negated && name_matches(pattern.substr(i + 1), name.substr(1));
}

inline std::vector<std::string> names_of(std::string_view path) {
    std::vector<std::string> names;
    std::string name;
    for (const char c : path) {
        if (c != '/') {
            name += c;
        } else if (!name.empty()) {
            names.push_back(name);
            name.clear();
        }
    }
    if (!name.empty()) names.push_back(name);
    return names;
}

inline bool names_match(const std::vector<std::string>& pattern, std::size_t p, const std::vector<std::string>& names,
                        std::size_t n) {
    if (p == pattern.size()) return n == names.size();
    if (pattern[p] == "**") {
        // At the end at least one name.
        const bool last = p + 1 == pattern.size();
        for (std::size_t i = n + (last ? 1 : 0); i <= names.size(); ++i)
            if (names_match(pattern, p + 1, names, i)) return true;
        return false;
    }
    return n < names.size() && name_matches(pattern[p], names[n]) && names_match(pattern, p + 1, names, n + 1);
}

// "/a" and "TYPE:/a" never match each other.
inline bool path_matches(const std::string& pattern, const std::string& path) {
    for (const auto& one : expand(pattern)) {
        const bool detached = one[0] != '/', path_detached = path[0] != '/';
        if (detached != path_detached) continue;
        if (!detached) {
            if (names_match(names_of(one), 0, names_of(path), 0)) return true;
            continue;
        }
        const auto colon = one.find(":/"), path_colon = path.find(":/");
        if (name_matches(one.substr(0, colon), path.substr(0, path_colon)) &&
            names_match(names_of(one.substr(colon + 1)), 0, names_of(path.substr(path_colon + 1)), 0))
            return true;
    }
    return false;
}

}  // namespace bpfwarden::brute_force
