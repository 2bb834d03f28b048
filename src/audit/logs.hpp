// SPDX-License-Identifier: Apache-2.0
// Several logs as one, in the order of time: each daemon writes its own.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "audit/reader.hpp"

namespace bpfwarden::audit {

class Logs {
  public:
    // As Reader::open. Of several, those that are not there are left out, unless none is.
    static Result<Logs> open(std::span<const std::string> paths, std::uint64_t last_bytes = ~std::uint64_t{0});
    void skip_before(std::uint64_t ns_since_1970);
    void watch();
    // Each is as Reader::changed().
    std::vector<FdRef> changed() const;

    // The next one of all: the earliest, and what is wrong with a log where it stands.
    std::optional<Reader::Item> next();
    const std::string& file() const { return logs_[at_].reader.file(); }
    // From this time on none is missing: where the logs that are not read from their beginning begin. 0: from the
    // start.
    std::uint64_t whole_since() const;

  private:
    struct One {
        Reader reader;
        std::optional<Reader::Item> item;  // read, and not yet given out
        std::optional<std::uint64_t> first_ns;
    };
    std::vector<One> logs_;
    std::size_t at_ = 0;  // whose the last one was
};

}  // namespace bpfwarden::audit
