// SPDX-License-Identifier: Apache-2.0
#include "audit/summary.hpp"

#include <fmt/format.h>

#include <cstring>

#include "base/text.hpp"

namespace bpfwarden::audit {
namespace {

// " LABEL VALUE" if the event has the field.
std::string part(const Event& event, std::string_view name, std::string_view label) {
    const auto text = event.text(name);
    if (text.empty()) return "";
    return fmt::format(" {}{}{}", label, label.empty() ? "" : " ", text);
}

// The sender where it is another process than the opener, else the opener.
std::string who(const Event& event) {
    const bool passed = event.find("sender.pid") != nullptr && event.text("sender.pid") != event.text("opener.pid");
    const std::string side = passed ? "sender." : "opener.";
    const auto text =
        part(event, side + "uid", "uid") + part(event, side + "pid", "pid") + part(event, side + "exe", "");
    return text.empty() ? "" : " by" + text;
}

std::string errno_word(const Event& event) {
    const auto number = event.number("errno");
    if (!number) return event.text("errno");
    const char* name = *number < 4096 ? ::strerrorname_np(static_cast<int>(*number)) : nullptr;
    return name == nullptr ? fmt::format("errno {}", *number) : name;
}

std::string because(const Event& event) {
    std::string text;
    const auto add = [&](const std::string& more) {
        if (!more.empty()) text += fmt::format("{}{}", text.empty() ? ": " : ", ", more);
    };
    add(errno_word(event));
    add(event.text("key"));
    if (const auto line = event.text("line"); !line.empty()) text += fmt::format(" ({})", line);
    add(event.text("reason"));
    return text;
}

std::string program(const Event& event) {
    const auto name = event.text("program.name"), digest = event.text("program.sha256");
    if (name.empty() && digest.empty()) return "";
    return fmt::format(" program {}{}{}", name, name.empty() || digest.empty() ? "" : " ",
                       digest.empty() ? "" : "sha256:" + digest.substr(0, 12));
}

// "/tmp/cat(42) → read /etc/passwd"
std::string of_actor(const Event& event) {
    const auto exe = event.text("actor.exe");
    auto text = fmt::format("{}({}) → {}", exe.empty() ? event.text("actor.comm") : exe, event.text("actor.pid"),
                            event.text("operation"));
    for (const auto* name :
         {"target.path", "target.second", "target.object", "capability", "signal", "command", "family", "address"})
        text += part(event, name, "");
    // Of a socket without an address there is no port either.
    if (const auto port = event.text("port"); !port.empty()) text += fmt::format(" port {}", port);
    return text + part(event, "peer.pid", "of") + part(event, "peer.domain", "in");
}

// With ": no-secrets (try.toml:8:1)"
std::string of_policy(const Event& event) {
    auto text = of_actor(event);
    if (const auto from = event.text("from_domain"); !from.empty()) return text + fmt::format(" from {}", from);
    text += ": " + event.text("rule");
    if (const auto line = event.text("line"); !line.empty()) text += fmt::format(" ({})", line);
    for (const auto* flag : {"blind", "gains", "in_kernel", "late"})
        if (event.find(flag) != nullptr) text += fmt::format(", {}", flag);
    return text;
}

std::string of_operation(const Event& event) {
    return event.text("operation") + program(event) + part(event, "target", "on") + who(event) + because(event);
}

std::string of_gap(const Event& event) {
    const auto lost = event.text("lost");
    auto text = fmt::format("{} event{} lost", lost, lost == "1" ? "" : "s");
    if (const auto where = event.text("where"); !where.empty()) text += fmt::format(" ({})", where);
    return text + part(event, "since", "since") + because(event);
}

std::string of_others(const Event& event) {
    std::string text = who(event);
    for (const auto& [name, value] : event.fields)
        if (name != "grant" && name != "session" && !name.starts_with("opener.") && !name.starts_with("sender."))
            text += fmt::format(" {}={}", name, to_text(value));
    return text.empty() ? text : text.substr(1);
}

}  // namespace

bool is_loss(const Event& event) { return event.kind == "gap" || event.kind == "corrupt"; }

std::string headword(const Event& event) {
    const auto verdict = event.text("verdict");
    return printable(verdict.empty() ? event.kind : verdict);
}

std::string description(const Event& event) {
    return printable(event.kind == "gap"                  ? of_gap(event)
                     : event.kind == "policy"             ? of_policy(event)
                     : event.kind == "tamper"             ? of_actor(event)
                     : event.find("operation") != nullptr ? of_operation(event)
                                                          : of_others(event));
}

std::string summary(const Event& event) {
    auto text = headword(event);
    if (const auto more = description(event); !more.empty()) text += " " + more;
    const auto grant = event.text("grant"), session = event.text("session"), domain = event.text("domain");
    if (!domain.empty()) return text + fmt::format(" [domain {}]", printable(domain));
    if (!grant.empty()) text += fmt::format(" [grant {}", printable(grant));
    if (!session.empty()) text += fmt::format("{}session {}", grant.empty() ? " [" : ", ", printable(session));
    return grant.empty() && session.empty() ? text : text + "]";
}

}  // namespace bpfwarden::audit
