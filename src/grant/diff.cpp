// SPDX-License-Identifier: Apache-2.0
#include "grant/diff.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"

namespace bpfwarden::grant {

std::string_view name_of(Direction direction) {
    static constexpr std::string_view names[] = {"widens", "narrows", "neither"};
    return names[index_of(direction)];
}

bool Diff::widens() const {
    return std::ranges::any_of(changes, [](const Change& one) { return one.direction == Direction::widens; });
}
bool Diff::narrows() const {
    return std::ranges::any_of(changes, [](const Change& one) { return one.direction == Direction::narrows; });
}

// Whether every string that `inner` matches is matched by `outer`; false when that is not plain to see.
static bool covers(std::string_view outer, std::string_view inner) {
    if (outer == inner || outer == "**") return true;
    return inner.find_first_of("*?[\\") == std::string_view::npos && glob_match(outer, inner);
}

namespace {

using Patterns = std::vector<Entry>;
using Covers = bool (*)(std::string_view outer, std::string_view inner);

class Differ {
  public:
    Differ(const Resolved& was, const Resolved& is) : was_(was), is_(is) {}

    Diff run() {
        texts();
        subjects();
        acknowledgements();
        for (const auto dimension : all_dimensions) allowed(dimension);
        for (const auto target : all_targets) targets(target);
        lists("identity.sha256", plain(was_.digests), plain(is_.digests), false,
              [](std::string_view outer, std::string_view inner) { return outer == inner; });
        lists("identity.signers", plain(was_.signers), plain(is_.signers), false, covers);
        for (const auto limit : all_limits)
            number(
                fmt::format("limits.{}", key_of(limit)), was_.of(limit), is_.of(limit),
                limit == Limit::map_memory ? format_size : [](std::uint64_t n) { return std::to_string(n); });
        number("session.lifetime", was_.lifetime_ms, is_.lifetime_ms, format_duration_ms);
        session();
        return std::move(out_);
    }

  private:
    void add(Direction direction, std::string key, std::string what, Position at, bool implied = false) {
        out_.changes.push_back({direction, std::move(key), std::move(what), implied, std::move(at)});
    }
    Position is_at() const { return {is_.file, 0, 0}; }

    void texts() {
        if (was_.name != is_.name)
            add(Direction::neither, "name", fmt::format("{} -> {}", quoted(was_.name), quoted(is_.name)), is_at());
        if (was_.description != is_.description) add(Direction::neither, "description", "changed", is_at());
    }

    void acknowledgements() {
        for (const auto& one : is_.dangerous)
            if (!was_.acknowledges(one.text)) add(Direction::neither, "dangerous", "+ " + one.text, one.at);
        for (const auto& one : was_.dangerous)
            if (!is_.acknowledges(one.text)) add(Direction::neither, "dangerous", "- " + one.text, one.at);
    }

    // Whoever matches `inner` matches `outer`: each condition of `outer` follows from one of `inner`.
    static bool line_covers(const SubjectLine& outer, const SubjectLine& inner) {
        return !outer.conditions.empty() && std::ranges::all_of(outer.conditions, [&](const SubjectCondition& wide) {
            return std::ranges::any_of(inner.conditions, [&](const SubjectCondition& narrow) {
                const bool glob = wide.key == SubjectKey::cgroup || wide.key == SubjectKey::exe;
                return wide.key == narrow.key && (glob ? covers(wide.value, narrow.value) : wide.value == narrow.value);
            });
        });
    }

    void subjects() {
        static const std::vector<SubjectLine> nobody;
        const auto& was = was_.subject ? was_.subject->lines : nobody;
        const auto& is = is_.subject ? is_.subject->lines : nobody;
        const auto covered = [](const SubjectLine& line, const std::vector<SubjectLine>& by) {
            return line.conditions.empty() ||
                   std::ranges::any_of(by, [&](const SubjectLine& one) { return line_covers(one, line); });
        };
        for (const auto& line : is)
            if (!covered(line, was)) add(Direction::widens, "subject", "+ " + describe(line), line.at);
        for (const auto& line : was)
            if (!covered(line, is)) add(Direction::narrows, "subject", "- " + describe(line), line.at);
    }

    void allowed(Dimension dimension) {
        const auto key = fmt::format("allow.{}", key_of(dimension));
        const auto& was = was_.of(dimension).values;
        const auto& is = is_.of(dimension).values;
        const auto in = [&](const auto& values, std::string_view value) {
            if (values.find(value) != values.end()) return true;
            return dimension == Dimension::kfuncs &&
                   std::ranges::any_of(values, [&](const auto& one) { return covers(one.first, value); });
        };
        // An attach type that is only implied is so for some program types; written, it is for all.
        const auto listed = [&](const auto& values, std::string_view value) {
            const auto at = values.find(value);
            return dimension != Dimension::attach_types || at == values.end() || at->second.written;
        };
        for (const auto& [value, origin] : is) {
            if (!in(was, value))
                add(Direction::widens, key, "+ " + value, origin.at, !origin.written);
            else if (!listed(was, value) && origin.written)
                add(Direction::widens, key, fmt::format("+ {} (was only implied)", value), origin.at);
        }
        for (const auto& [value, origin] : was) {
            if (!in(is, value))
                add(Direction::narrows, key, "- " + value, origin.at, !origin.written);
            else if (!listed(is, value) && origin.written)
                add(Direction::narrows, key, fmt::format("- {} (still implied)", value), origin.at);
        }
    }

    static std::vector<List> plain(const std::vector<PatternList>& lists) {
        std::vector<List> out;
        for (const auto& list : lists) {
            out.push_back({list.at, {}});
            for (const auto& one : list.patterns) out.back().entries.push_back({one.glob, one.at});
        }
        return out;
    }
    static std::vector<List> plain(const std::vector<List>& lists) { return lists; }

    void targets(Target target) {
        lists(fmt::format("targets.{}", key_of(target)), plain(was_.of(target)), plain(is_.of(target)),
              absent_means_none(target), covers);
    }

    // Every list must have a match; no list means everything, or nothing.
    void lists(const std::string& key, std::vector<List> was, std::vector<List> is, bool none_if_absent, Covers cover) {
        if (none_if_absent) {
            if (was.empty()) was.push_back({is_at(), {}});
            if (is.empty()) is.push_back({is_at(), {}});
        }
        const auto lies_within = [&](const Entry& entry, const List& list) {
            return std::ranges::any_of(list.entries, [&](const Entry& one) { return cover(one.text, entry.text); });
        };
        const auto narrower = [&](const List& inner, const List& outer) {
            return std::ranges::all_of(inner.entries, [&](const Entry& one) { return lies_within(one, outer); });
        };
        if (was.size() == 1 && is.size() == 1) {
            for (const auto& one : is[0].entries)
                if (!lies_within(one, was[0])) add(Direction::widens, key, "+ " + printable(one.text), one.at);
            for (const auto& one : was[0].entries)
                if (!lies_within(one, is[0])) add(Direction::narrows, key, "- " + printable(one.text), one.at);
            return;
        }
        for (const auto& old : was)
            if (std::ranges::none_of(is, [&](const List& one) { return narrower(one, old); }))
                add(Direction::widens, key, is.empty() ? "no longer restricted" : "a list is gone or looser",
                    is.empty() ? old.at : is[0].at);
        for (const auto& fresh : is)
            if (std::ranges::none_of(was, [&](const List& one) { return narrower(one, fresh); }))
                add(Direction::narrows, key, was.empty() ? "is restricted now" : "a list is new or stricter", fresh.at);
    }

    template <class Format>
    void number(std::string key, const std::optional<Written<std::uint64_t>>& was,
                const std::optional<Written<std::uint64_t>>& is, Format format) {
        const auto text = [&](const auto& one) { return one ? format(one->value) : std::string("none"); };
        // No number is more than any number.
        const auto rank = [](const auto& one) { return std::pair(!one, one ? one->value : 0); };
        if (rank(was) == rank(is)) return;
        add(rank(is) > rank(was) ? Direction::widens : Direction::narrows, std::move(key),
            fmt::format("{} -> {}", text(was), text(is)), is ? is->at : was->at);
    }

    void rank(std::string key, std::pair<int, std::string_view> was, std::pair<int, std::string_view> is, Position at) {
        if (was.first != is.first)
            add(is.first > was.first ? Direction::widens : Direction::narrows, std::move(key),
                fmt::format("{} -> {}", was.second, is.second), std::move(at));
    }

    void session() {
        using Ranked = std::pair<int, std::string_view>;
        const auto at = [&](const auto& was, const auto& is) { return is ? is->at : was ? was->at : is_at(); };
        const auto hand_out = [](const Resolved& one) {
            if (!one.hand_out) return Ranked{1, "stand-ins"};
            return one.hand_out->value == HandOut::link ? Ranked{0, "link"} : Ranked{2, "program"};
        };
        const auto on_close = [](const Resolved& one) {
            return one.on_close && one.on_close->value == OnClose::keep ? Ranked{1, "keep"} : Ranked{0, "detach"};
        };
        const auto not_revocable = [](const Resolved& one) {
            return one.not_revocable && one.not_revocable->value ? Ranked{1, "true"} : Ranked{0, "false"};
        };
        rank("session.hand_out", hand_out(was_), hand_out(is_), at(was_.hand_out, is_.hand_out));
        rank("session.on_close", on_close(was_), on_close(is_), at(was_.on_close, is_.on_close));
        rank("session.not_revocable", not_revocable(was_), not_revocable(is_),
             at(was_.not_revocable, is_.not_revocable));
    }

    const Resolved& was_;
    const Resolved& is_;
    Diff out_;
};

}  // namespace

Diff diff(const Resolved& was, const Resolved& is) { return Differ(was, is).run(); }

}  // namespace bpfwarden::grant
