// SPDX-License-Identifier: Apache-2.0
#include "grant/print.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "grant/parse.hpp"

namespace bpfwarden::grant {

std::string toml_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            (out += '\\') += c;
        else if (byte < 0x20 || byte == 0x7f)
            out += fmt::format("\\u{:04X}", byte);
        else
            out += c;
    }
    return out + '"';
}

namespace {

class Printer {
  public:
    explicit Printer(const Resolved& grant) : grant_(grant) {}

    Result<std::string> run() {
        line("format", "1");
        if (valid_name(grant_.name)) line("name", toml_string(grant_.name));
        if (!grant_.description.empty()) line("description", toml_string(grant_.description));
        if (grant_.subject) subject(*grant_.subject);
        if (!grant_.dangerous.empty()) line("dangerous", strings(grant_.dangerous));
        table("allow");
        for (const auto dimension : all_dimensions) allowed(dimension);
        table("targets");
        for (const auto target : all_targets) BW_TRY(targets(target));
        table("identity");
        BW_TRY(identity("sha256", grant_.digests));
        BW_TRY(identity("signers", grant_.signers));
        table("limits");
        for (const auto limit : all_limits)
            if (const auto& value = grant_.of(limit))
                line(key_of(limit), limit == Limit::map_memory ? toml_string(format_size(value->value))
                                                               : std::to_string(value->value));
        table("session");
        session();
        return std::move(out_);
    }

  private:
    void table(std::string_view name) { pending_ = fmt::format("\n[{}]\n", name); }
    void line(std::string_view key, std::string_view value) {
        out_ += pending_;
        pending_.clear();
        out_ += fmt::format("{} = {}\n", key, value);
    }

    static std::string list(const std::vector<std::string>& items) {
        return fmt::format("[{}]", fmt::join(items, ", "));
    }
    static std::string strings(const std::vector<Entry>& entries) {
        std::vector<std::string> items;
        for (const auto& entry : entries) items.push_back(toml_string(entry.text));
        return list(items);
    }

    void subject(const Subject& subject) {
        std::vector<std::string> lines;
        for (const auto& one : subject.lines) {
            std::vector<std::string> conditions;
            for (const auto& condition : one.conditions) {
                const bool number = condition.key == SubjectKey::uid || condition.key == SubjectKey::gid;
                conditions.push_back(fmt::format("{} = {}", key_of(condition.key),
                                                 number ? condition.value : toml_string(condition.value)));
            }
            lines.push_back(fmt::format("{{ {} }}", fmt::join(conditions, ", ")));
        }
        line("subject", list(lines));
    }

    void allowed(Dimension dimension) {
        const auto& allowed = grant_.of(dimension);
        if (!allowed.key_at) return;
        std::vector<std::string> items;
        if (allowed.any) items.push_back("\"any\"");
        for (const auto& [value, origin] : allowed.values)
            if (origin.written && origin.via != "any") items.push_back(toml_string(value));
        line(key_of(dimension), list(items));
    }

    Result<> targets(Target target) {
        const auto& lists = grant_.of(target);
        if (lists.empty()) return {};
        if (lists.size() > 1) return several(key_of(target));
        std::vector<std::string> items;
        for (const auto& one : lists[0].patterns) items.push_back(toml_string(one.glob));
        line(key_of(target), list(items));
        return {};
    }

    Result<> identity(std::string_view key, const std::vector<List>& lists) {
        if (lists.empty()) return {};
        if (lists.size() > 1) return several(key);
        line(key, strings(lists[0].entries));
        return {};
    }

    static Failure several(std::string_view key) {
        return fail(Error(Code::bad_input, fmt::format("{} is narrowed by more than one file", key))
                        .because("one file cannot say that both must hold"));
    }

    void session() {
        if (grant_.lifetime_ms) line("lifetime", toml_string(format_duration_ms(grant_.lifetime_ms->value)));
        if (grant_.hand_out) line("hand_out", grant_.hand_out->value == HandOut::link ? "\"link\"" : "\"program\"");
        if (grant_.on_close) line("on_close", grant_.on_close->value == OnClose::keep ? "\"keep\"" : "\"detach\"");
        if (grant_.not_revocable) line("not_revocable", grant_.not_revocable->value ? "true" : "false");
    }

    const Resolved& grant_;
    std::string out_, pending_;
};

}  // namespace

Result<std::string> to_toml(const Resolved& grant) { return Printer(grant).run(); }

}  // namespace bpfwarden::grant
