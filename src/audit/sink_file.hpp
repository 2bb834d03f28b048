// SPDX-License-Identifier: Apache-2.0
// Events as lines of a file, which is rotated by size: FILE, FILE.1 (the newest of the old ones), FILE.2, …
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "audit/sink.hpp"
#include "base/fd.hpp"

namespace bpfwarden::audit {

inline constexpr const char* default_log_path = "/var/log/bpfwarden/audit.jsonl";
// bpfwarden-guard's: two daemons must not rotate one file.
inline constexpr const char* policy_log_path = "/var/log/bpfwarden/policy.jsonl";

struct FileOptions {
    std::string path = default_log_path;
    std::uint64_t max_size = std::uint64_t{64} << 20;  // a file is rotated before it grows past that
    unsigned keep = 8;                                 // rotated files
    std::string group = "bpfwarden";                   // may read it, if there is such a group
};

// One write(2) a batch. The file only ever has whole lines: what a full disk leaves of a line is cut off again, or, if
// even that fails (or an earlier daemon died in the middle), the next batch starts on a line of its own.
class FileSink : public Sink {
  public:
    static Result<std::unique_ptr<FileSink>> open(FileOptions options);

    std::string_view name() const override { return "file"; }
    Written write(std::span<const LogRecord> batch) override;
    // Opens the path again; on an error goes on with the file that it has.
    Result<> reopen() override;

  private:
    explicit FileSink(FileOptions options) : options_(std::move(options)), rotate_at_(options_.max_size) {}
    Result<UniqueFd> open_file(const std::string& path, int flags) const;
    Result<> rotate();
    std::string rotated(unsigned number) const { return options_.path + "." + std::to_string(number); }

    FileOptions options_;
    UniqueFd file_;
    std::uint64_t rotate_at_;
    bool cut_ = false;  // the file ends in the middle of a line
};

}  // namespace bpfwarden::audit
