// SPDX-License-Identifier: Apache-2.0
// What the verbs of `bpfwarden audit` share.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "audit/filter.hpp"
#include "audit/logs.hpp"
#include "cli/command.hpp"

namespace bpfwarden::cli {

Result<int> audit_tail(const Args& args);
Result<int> audit_query(const Args& args);
Result<int> audit_stats(const Args& args);

// What --session, --since and so on say.
Result<audit::Filter> audit_filter(const Args& args);
// --lines
Result<std::optional<std::size_t>> audit_lines(const Args& args);
// --file, or the logs of both daemons.
std::vector<std::string> audit_files(const Args& args);
// audit_files(), from the first line that `filter` could want or from `last_bytes` before its end. Its errors say what
// to do.
Result<audit::Logs> open_audit(const Args& args, const audit::Filter& filter,
                               std::uint64_t last_bytes = ~std::uint64_t{0});

// Says once, on a terminal, that it takes longer than two seconds.
class AuditProgress {
  public:
    void at(const audit::Logs& logs);

  private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    unsigned calls_ = 0;
    bool said_ = false;
};

// One line: for people, or JSON with its schema.
std::string audit_line(const audit::Event& event, bool json);

// What is missing from a log, told in words: in the time that is asked about, whatever else is.
std::optional<std::string> audit_warning(const audit::Reader::Item& item, const audit::Filter& filter);

}  // namespace bpfwarden::cli
