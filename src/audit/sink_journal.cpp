// SPDX-License-Identifier: Apache-2.0
#include "audit/sink_journal.hpp"

// The place in our source says nothing about an event.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <fmt/format.h>
#include <systemd/sd-journal.h>

#include "audit/summary.hpp"

namespace bpfwarden::audit {

// "opener.uid" → "BPFWARDEN_OPENER_UID": capitals, digits and '_' are all that the journal takes.
static std::string journal_name(std::string_view name) {
    std::string made = "BPFWARDEN_";
    for (const char c : name) made += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c == '.' ? '_' : c;
    return made;
}

std::vector<std::string> journal_fields(const Event& event, std::string_view identifier) {
    const auto verdict = event.text("verdict");
    const bool warn = verdict == "refused" || verdict == "denied" || verdict == "would_deny" ||
                      event.kind == "session_lost" || event.kind == "policy_refused" || is_loss(event);
    std::vector<std::string> fields{"MESSAGE=" + summary(event), fmt::format("PRIORITY={}", warn ? 4 : 6),
                                    fmt::format("SYSLOG_IDENTIFIER={}", identifier), "BPFWARDEN_EVENT=" + event.kind,
                                    fmt::format("BPFWARDEN_SEQ={}", event.seq)};
    for (const auto& [name, value] : event.fields)
        fields.push_back(fmt::format("{}={}", journal_name(name), to_text(value)));
    return fields;
}

Written JournalSink::write(std::span<const LogRecord> batch) {
    Written written;
    for (const auto& record : batch) {
        auto fields = journal_fields(record.event, identifier_);
        std::vector<iovec> pieces;
        pieces.reserve(fields.size());
        for (auto& field : fields) pieces.push_back({field.data(), field.size()});
        const int status = ::sd_journal_sendv(pieces.data(), static_cast<int>(pieces.size()));
        if (status < 0) {
            written.error = Error::from_errno(-status, "writing to the journal");
            break;
        }
        ++written.count;
    }
    return written;
}

}  // namespace bpfwarden::audit
