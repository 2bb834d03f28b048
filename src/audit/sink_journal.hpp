// SPDX-License-Identifier: Apache-2.0
// Events in systemd's journal: `journalctl BPFWARDEN_GRANT=agent`.
#pragma once

#include <string>
#include <vector>

#include "audit/sink.hpp"

namespace bpfwarden::audit {

// "MESSAGE=…", "PRIORITY=4", "BPFWARDEN_OPENER_UID=1000", …: what the journal is given for an event. Refusals and
// losses are warnings (4), all else is informational (6). `identifier`: who says it.
std::vector<std::string> journal_fields(const Event& event, std::string_view identifier = "bpfwardend");

// Where there is no journal, events go nowhere without an error (as sd_journal_sendv(3) has it).
class JournalSink : public Sink {
  public:
    explicit JournalSink(std::string identifier = "bpfwardend") : identifier_(std::move(identifier)) {}
    std::string_view name() const override { return "journal"; }
    Written write(std::span<const LogRecord> batch) override;

  private:
    std::string identifier_;
};

}  // namespace bpfwarden::audit
