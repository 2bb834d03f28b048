// SPDX-License-Identifier: Apache-2.0
// Events in systemd's journal: `journalctl BPFWARDEN_GRANT=agent`.
#pragma once

#include <string>
#include <vector>

#include "audit/sink.hpp"

namespace bpfwarden::audit {

// "MESSAGE=…", "PRIORITY=4", "BPFWARDEN_OPENER_UID=1000", …: what the journal is given for an event. Refusals and
// losses are warnings (4), all else is informational (6).
std::vector<std::string> journal_fields(const Event& event);

// Where there is no journal, events go nowhere without an error (as sd_journal_sendv(3) has it).
class JournalSink : public Sink {
  public:
    std::string_view name() const override { return "journal"; }
    Written write(std::span<const LogRecord> batch) override;
};

}  // namespace bpfwarden::audit
