// SPDX-License-Identifier: Apache-2.0
#include "enforce/libbpf_words.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "base/text.hpp"

namespace bpfwarden::enforce {

static thread_local std::string* listening = nullptr;

int LibbpfWords::take(enum libbpf_print_level level, const char* format, va_list values) {
    if (!listening || level == LIBBPF_DEBUG) return 0;
    char line[2048];
    const int length = std::vsnprintf(line, sizeof line, format, values);
    if (length > 0) listening->append(line, std::min<std::size_t>(static_cast<std::size_t>(length), sizeof line - 1));
    if (listening->size() > 16384) listening->erase(0, listening->size() - 8192);
    return length;
}

LibbpfWords::LibbpfWords() {
    listening = &text_;
    before_ = ::libbpf_set_print(&LibbpfWords::take);
}

LibbpfWords::~LibbpfWords() {
    ::libbpf_set_print(before_);
    listening = nullptr;
}

std::string last_lines(std::string_view text) {
    std::string all;
    std::vector<std::string_view> lines;
    for (const auto line : split(text, '\n'))
        if (line.find_first_not_of(' ') != line.npos) lines.push_back(line.substr(line.find_first_not_of(' ')));
    for (std::size_t i = lines.size() > 4 ? lines.size() - 4 : 0; i < lines.size(); ++i)
        all += (all.empty() ? "" : " | ") + std::string(lines[i]);
    return all;
}

}  // namespace bpfwarden::enforce
