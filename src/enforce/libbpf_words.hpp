// SPDX-License-Identifier: Apache-2.0
// What libbpf and the verifier say while this lives, instead of printing it: the reason of a failure is at the end.
#pragma once

#include <string>
#include <string_view>

#include <bpf/libbpf.h>

namespace bpfwarden::enforce {

// The last four lines that are not empty, in one.
std::string last_lines(std::string_view text);

class LibbpfWords {
  public:
    LibbpfWords();
    LibbpfWords(const LibbpfWords&) = delete;
    ~LibbpfWords();
    // Its last lines.
    std::string end() const { return last_lines(text_); }

  private:
    static int take(enum libbpf_print_level level, const char* format, va_list values);
    std::string text_;
    libbpf_print_fn_t before_ = nullptr;
};

}  // namespace bpfwarden::enforce
