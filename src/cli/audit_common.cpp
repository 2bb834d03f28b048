// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "audit/json.hpp"
#include "audit/sink_file.hpp"
#include "audit/summary.hpp"
#include "audit/time.hpp"
#include "base/text.hpp"
#include "cli/audit.hpp"

namespace bpfwarden::cli {
namespace {

Result<std::uint64_t> whole_number(std::string_view option, const std::string& text) {
    std::uint64_t number = 0;
    const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (err == std::errc{} && end == text.data() + text.size()) return number;
    return fail(Error(Code::usage, fmt::format("{} {} is not a whole number", option, quoted(text))));
}

Result<std::optional<std::uint64_t>> time_of(const Args& args, std::string_view option) {
    const auto text = args.value(option);
    if (!text) return std::nullopt;
    auto time = audit::parse_time_or_age(*text, audit::now_ns());
    if (!time) return fail(std::move(time).error().with_code(Code::usage).within(option));
    return *time;
}

}  // namespace

Result<audit::Filter> audit_filter(const Args& args) {
    audit::Filter filter;
    filter.sessions = args.values("--session");
    filter.grants = args.values("--grant");
    filter.verdicts = args.values("--verdict");
    filter.kinds = args.values("--event");
    filter.uids = args.values("--uid");
    filter.operations = args.values("--operation");
    filter.domains = args.values("--domain");
    filter.paths = args.values("--path");
    static constexpr std::string_view verdicts[] = {"allowed", "refused", "denied", "would_deny", "entered"};
    for (const auto& verdict : filter.verdicts)
        if (std::ranges::find(verdicts, verdict) == std::end(verdicts))
            return fail(
                Error(Code::usage, fmt::format("there is no verdict {}", quoted(verdict)))
                    .because("sessions have allowed and refused; policies denied, would_deny, allowed and entered"));
    for (auto& uid : filter.uids) uid = std::to_string(BW_TRY(whole_number("--uid", uid)));
    filter.since_ns = BW_TRY(time_of(args, "--since"));
    filter.until_ns = BW_TRY(time_of(args, "--until"));
    return filter;
}

Result<std::optional<std::size_t>> audit_lines(const Args& args) {
    const auto text = args.value("--lines");
    if (!text) return std::nullopt;
    return BW_TRY(whole_number("--lines", *text));
}

std::vector<std::string> audit_files(const Args& args) {
    if (auto file = args.value("--file")) return {std::move(*file)};
    return {audit::default_log_path, audit::policy_log_path};
}

Result<audit::Logs> open_audit(const Args& args, const audit::Filter& filter, std::uint64_t last_bytes) {
    auto logs = audit::Logs::open(audit_files(args), last_bytes);
    if (logs) {
        if (filter.since_ns) logs->skip_before(*filter.since_ns);
        return logs;
    }
    auto error = std::move(logs).error();
    std::string hint = error.hint();
    if (error.code() == Code::not_found)
        hint =
            "bpfwardend and bpfwarden-guard write it: `systemctl status bpfwardend bpfwarden-guard`; or name another "
            "with --file";
    if (error.code() == Code::denied) hint = "read it as root, or as a member of the group bpfwarden";
    return fail(std::move(error).advise(std::move(hint)));
}

void AuditProgress::at(const audit::Logs& logs) {
    // Looking at the clock costs as much as reading a line.
    if (said_ || ++calls_ % 1024 != 0 || std::chrono::steady_clock::now() - start_ < std::chrono::seconds(2)) return;
    said_ = true;
    if (::isatty(STDERR_FILENO) != 0) fmt::print(stderr, "bpfwarden audit: still reading, now {}\n", logs.file());
}

std::string audit_line(const audit::Event& event, bool json) {
    if (json) return "{\"schema\":\"bpfwarden.audit.event/1\"," + audit::to_json(event).substr(1);
    const auto time = audit::format_time(event.time_ns).substr(0, 23) + "Z";  // milliseconds are enough to look at
    const auto or_dash = [](const std::string& text) { return text.empty() ? "-" : printable(text); };
    // A process works under a grant or in a domain; no event is about both.
    const auto domain = event.text("domain");
    auto line = fmt::format("{}  {:<14} {:<16} {:<6} {}", time, audit::headword(event),
                            or_dash(domain.empty() ? event.text("grant") : domain), or_dash(event.text("session")),
                            audit::description(event));
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
}

std::optional<std::string> audit_warning(const audit::Reader::Item& item, const audit::Filter& filter) {
    if (const auto* hole = std::get_if<audit::Hole>(&item)) {
        if (!filter.overlaps(hole->before_ns, hole->after_ns)) return std::nullopt;
        const auto what = hole->first == hole->last ? fmt::format("event {} is", hole->first)
                                                    : fmt::format("events {} to {} are", hole->first, hole->last);
        return fmt::format("{} missing ({})", what, printable(hole->file));
    }
    if (const auto* bad = std::get_if<audit::BadLine>(&item)) {
        if (bad->before_ns != 0 && !filter.overlaps(bad->before_ns, bad->before_ns)) return std::nullopt;
        return fmt::format("{} at byte {}: not an event: {}", printable(bad->file), bad->offset, printable(bad->why));
    }
    const auto& event = std::get<audit::Event>(item);
    if (!audit::is_loss(event)) return std::nullopt;
    // A gap is told when it ends, and says when it began.
    const auto began = audit::parse_time(event.text("since")).value_or(event.time_ns);
    if (!filter.overlaps(began, event.time_ns)) return std::nullopt;
    return fmt::format("{} {}", audit::format_time(event.time_ns), audit::summary(event));
}

}  // namespace bpfwarden::cli
