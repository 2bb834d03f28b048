// SPDX-License-Identifier: Apache-2.0
// Where in a file, and what is wrong there. Everything that reads a grant or a policy reports through these.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bpfwarden {

// A place in a file. Lines and columns count from 1; line 0 means "no place" (an absent key, an implied value).
struct Position {
    std::string file;
    unsigned line = 0;
    unsigned column = 0;

    bool known() const { return line != 0; }
    // "FILE:LINE:COLUMN", "FILE" without a line; bytes that a terminal would act on are escaped.
    std::string text() const;
    friend bool operator==(const Position&, const Position&) = default;
};

enum class Severity { error, warning };

struct Diagnostic {
    Severity severity = Severity::error;
    Position at;
    std::string what;  // one sentence without a full stop; input is quoted() in it
    std::string why;   // may be empty
    std::string hint;  // what to write instead; may be empty

    // "FILE:LINE:COLUMN: error: what", then "  why" and "  hint" on lines of their own. No newline at the end.
    std::string text() const;
};

// Collects everything that is wrong with a file instead of stopping at the first. Keeps the first `limit` errors and
// as many warnings; how many more there were is counted.
class Diagnostics {
  public:
    static constexpr std::size_t limit = 20;

    void error(Position at, std::string what, std::string why = "", std::string hint = "");
    void warning(Position at, std::string what, std::string why = "", std::string hint = "");
    void add(const Diagnostics& other);

    bool ok() const { return errors_ == 0; }
    std::size_t errors() const { return errors_; }
    std::size_t warnings() const { return warnings_; }
    // In order of file as first met, line, column.
    std::vector<Diagnostic> sorted() const;
    const std::vector<Diagnostic>& all() const { return all_; }

  private:
    std::vector<Diagnostic> all_;
    std::size_t errors_ = 0;
    std::size_t warnings_ = 0;
};

}  // namespace bpfwarden
