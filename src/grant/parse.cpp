// SPDX-License-Identifier: Apache-2.0
#include "grant/parse.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "base/toml_reader.hpp"
#include "grant/schema.hpp"

namespace bpfwarden::grant {

static constexpr std::size_t most_entries = 4096;

std::string default_name(std::string_view file) {
    file = file.substr(file.rfind('/') + 1);  // npos + 1 is 0
    if (file.ends_with(".toml")) file.remove_suffix(5);
    return std::string(file);
}

static bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }
static bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool valid_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && is_lower_or_digit(name[0]) &&
           std::ranges::all_of(name, [](char c) { return is_lower_or_digit(c) || is_one_of(c, "._-"); });
}

static bool is_group_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 &&
           std::ranges::all_of(name, [](char c) { return is_lower_or_digit(c) || is_one_of(c, "_-"); });
}

static bool is_digest(std::string_view text) {
    return text.size() == 64 && std::ranges::all_of(text, [](char c) { return is_one_of(c, "0123456789abcdef"); });
}

namespace {

class Parser : TomlReader {
  public:
    Parser(const std::string& file, Diagnostics& diagnostics) : TomlReader(file, diagnostics, most_entries) {
        grant_.file = file;
    }

    Grant parse(const TomlValue& top) {
        bool format_seen = false;
        for (const auto& member : top.items) {
            if (member.key == "format") format_seen = true;
            top_key(member);
        }
        if (!format_seen) format_is_missing();
        return std::move(grant_);
    }

  private:
    void top_key(const TomlValue& member) {
        const auto& key = member.key;
        if (key == "format") {
            format(member);
        } else if (key == "name") {
            grant_.name = string(member);
            if (grant_.name && !valid_name(grant_.name->text)) {
                error(grant_.name->at, fmt::format("{} cannot be the name of a grant", quoted(grant_.name->text)),
                      "a name is at most 64 of a-z, 0-9, \".\", \"_\" and \"-\", and starts with a letter or digit: "
                      "it becomes a file name");
                grant_.name.reset();
            }
        } else if (key == "description") {
            grant_.description = string(member);
        } else if (key == "include") {
            grant_.includes = list(member).entries;
        } else if (key == "subject") {
            subject(member);
        } else if (key == "dangerous") {
            grant_.dangerous = list(member);
        } else if (key == "groups") {
            groups(member);
        } else if (key == "allow") {
            grant_.allow_at = key_at(member);
            for_each_key(member,
                         [&](const TomlValue& one) { return lists<Dimension>(one, all_dimensions, grant_.allow); });
        } else if (key == "targets") {
            grant_.targets_at = key_at(member);
            for_each_key(member, [&](const TomlValue& one) {
                if (!lists<Target>(one, all_targets, grant_.targets)) return false;
                check_targets(one.key);
                return true;
            });
        } else if (key == "identity") {
            for_each_key(member, [&](const TomlValue& one) { return identity_key(one); });
        } else if (key == "limits") {
            for_each_key(member, [&](const TomlValue& one) { return limit_key(one); });
        } else if (key == "session") {
            for_each_key(member, [&](const TomlValue& one) { return session_key(one); });
        } else {
            unknown_key(member, "");
        }
    }

    template <class F>
    void for_each_key(const TomlValue& table, F take) {
        if (!expect(table, Kind::table, fmt::format("[{}] must be a table", table.key))) return;
        for (const auto& member : table.items)
            if (!take(member)) unknown_key(member, table.key);
    }

    void unknown_key(const TomlValue& member, std::string_view table) {
        const auto known = keys_in(table);
        std::string what = fmt::format("unknown key {}", quoted(member.key));
        if (!table.empty()) what += table == "subject" ? " in a subject line" : fmt::format(" in [{}]", table);
        std::string why(instead_of(table, member.key)), hint;
        if (why.empty()) {
            why = fmt::format("known here: {}", fmt::join(known, ", "));
            // A key that belongs elsewhere is a likelier slip than a far-fetched nearest one.
            const auto elsewhere =
                std::ranges::find_if(all_keys(), [&](const Key& key) { return key.name == member.key; });
            if (const auto near = nearest(member.key, known))
                hint = fmt::format("did you mean {}?", *near);
            else if (elsewhere != all_keys().end())
                hint = elsewhere->table.empty()
                           ? fmt::format("{} stands at the top, before the first [table]", member.key)
                           : fmt::format("{} belongs into [{}]", member.key, elsewhere->table);
        }
        error(key_at(member), std::move(what), std::move(why), std::move(hint));
    }

    template <class E, std::size_t N, std::size_t M>
    bool lists(const TomlValue& member, const E (&all)[N], std::array<std::optional<List>, M>& into) {
        for (const auto one : all)
            if (key_of(one) == member.key) {
                into[index_of(one)] = list(member);
                return true;
            }
        return false;
    }

    void groups(const TomlValue& table) {
        if (!expect(table, Kind::table, "[groups] must be a table")) return;
        for (const auto& member : table.items) {
            if (!is_group_name(member.key))
                error(
                    key_at(member), fmt::format("{} cannot be the name of a group", quoted(member.key)),
                    "a group's name is made of a-z, 0-9, \"_\" and \"-\"; the \"@\" is written only where it is used");
            else
                grant_.groups[member.key] = list(member);
        }
    }

    void subject(const TomlValue& member) {
        Subject subject{key_at(member), {}};
        if (member.kind == Kind::table) {
            error(at(member), "subject must be a list of tables, not a table", "any line of the list is enough",
                  "write subject = [ { user = \"NAME\" } ]");
        } else if (expect(member, Kind::array, "subject must be a list of tables")) {
            for (const auto& item : member.items) {
                if (subject.lines.size() == most_entries) {
                    error(at(item), fmt::format("more than {} lines in subject", most_entries));
                    break;
                }
                if (!expect(item, Kind::table, "subject is a list of tables")) continue;
                subject.lines.push_back(subject_line(item));
            }
        }
        grant_.subject = std::move(subject);
    }

    SubjectLine subject_line(const TomlValue& table) {
        SubjectLine line{at(table), {}};
        if (table.items.empty())
            error(at(table), "an empty subject line would match everybody", "",
                  "name a user, group, uid, gid, cgroup or exe");
        for (const auto& member : table.items) {
            static constexpr SubjectKey subject_keys[] = {SubjectKey::user,      SubjectKey::group,  SubjectKey::uid,
                                                          SubjectKey::gid,       SubjectKey::cgroup, SubjectKey::exe,
                                                          SubjectKey::exe_sha256};
            const auto key =
                std::ranges::find_if(subject_keys, [&](SubjectKey one) { return key_of(one) == member.key; });
            if (key == std::end(subject_keys)) {
                unknown_key(member, "subject");
                continue;
            }
            if (auto value = subject_value(*key, member))
                line.conditions.push_back({*key, std::move(*value), key_at(member)});
        }
        return line;
    }

    std::optional<std::string> subject_value(SubjectKey key, const TomlValue& member) {
        if (key == SubjectKey::uid || key == SubjectKey::gid) {
            if (!expect(member, Kind::integer, fmt::format("{} must be a number", member.key))) return std::nullopt;
            // The all-ones id means "no change" to the kernel and belongs to nobody.
            if (member.integer < 0 || member.integer >= 0xffff'ffff) {
                error(at(member), fmt::format("{} is no {}", member.integer, member.key),
                      "ids go from 0 to 4294967294");
                return std::nullopt;
            }
            return std::to_string(member.integer);
        }
        const auto value = string(member);
        if (!value) return std::nullopt;
        const bool path = key == SubjectKey::cgroup || key == SubjectKey::exe;
        if (path && value->text[0] != '/') {
            error(value->at, fmt::format("{} must start with \"/\"", member.key),
                  key == SubjectKey::cgroup ? "the path is the one in /proc/PID/cgroup: \"/system.slice/NAME.service\""
                                            : "an executable is known by its full path");
            return std::nullopt;
        }
        if (key == SubjectKey::exe_sha256) return digest(*value);
        if (!path && value->text.find_first_of(std::string_view(":/\n\r\t \0", 7)) != std::string::npos) {
            error(value->at, fmt::format("{} is no {} name", quoted(value->text), member.key));
            return std::nullopt;
        }
        return value->text;
    }

    std::optional<std::string> digest(const Entry& entry) {
        auto text = lower(entry.text);
        if (is_digest(text)) return text;
        error(entry.at, fmt::format("{} is no SHA-256 digest", quoted(entry.text)),
              "a digest is 64 hexadecimal digits, as sha256sum(1) prints it");
        return std::nullopt;
    }

    bool identity_key(const TomlValue& member) {
        if (member.key == "signers") {
            grant_.signers = list(member);
        } else if (member.key == "sha256") {
            auto from = list(member);
            add_digests(from.at, from.entries);
        } else if (member.key == "programs") {
            std::vector<Entry> entries;
            if (expect(member, Kind::array, "programs must be a list of tables"))
                for (const auto& item : member.items) {
                    if (!expect(item, Kind::table, "programs is a list of tables like { sha256 = \"…\" }")) continue;
                    bool has_digest = false;
                    for (const auto& key : item.items) {
                        if (key.key != "sha256") {
                            error(key_at(key), fmt::format("unknown key {} in identity.programs", quoted(key.key)),
                                  "known here: sha256");
                            continue;
                        }
                        has_digest = true;
                        if (auto entry = string(key)) entries.push_back(std::move(*entry));
                    }
                    if (!has_digest) error(at(item), "sha256 is missing", "a program is known by its digest");
                }
            add_digests(key_at(member), entries);
        } else {
            return false;
        }
        return true;
    }

    void add_digests(const Position& where, const std::vector<Entry>& entries) {
        if (!grant_.digests) grant_.digests = List{where, {}};
        for (const auto& entry : entries)
            if (auto text = digest(entry)) grant_.digests->entries.push_back({std::move(*text), entry.at});
    }

    bool limit_key(const TomlValue& member) {
        const auto limit = std::ranges::find_if(all_limits, [&](Limit one) { return key_of(one) == member.key; });
        if (limit == std::end(all_limits)) return false;
        std::uint64_t value = 0;
        if (*limit == Limit::map_memory && member.kind == Kind::string) {
            auto size = parse_size(member.text);
            if (!size) {
                error(at(member), size.error().what(), size.error().why(), size.error().hint());
                return true;
            }
            value = *size;
        } else if (*limit == Limit::map_memory && member.kind == Kind::integer) {
            error(at(member), "map_memory has no unit", "it could be bytes or pages",
                  fmt::format("write map_memory = \"{}B\", or use KiB, MiB, GiB", member.integer));
            return true;
        } else if (*limit == Limit::map_memory) {
            expect(member, Kind::string, "map_memory must be a size like \"64MiB\"");
            return true;
        } else if (!expect(member, Kind::integer, fmt::format("{} must be a number", member.key))) {
            return true;
        } else if (member.integer < 0) {
            error(at(member), fmt::format("{} cannot be negative", member.key), "",
                  "leave the key out for no limit, or write 0 for none at all");
            return true;
        } else {
            value = static_cast<std::uint64_t>(member.integer);
        }
        grant_.limits[index_of(*limit)] = {value, key_at(member)};
        return true;
    }

    template <class T>
    void choice(const TomlValue& member, std::optional<Written<T>>& into,
                std::initializer_list<std::pair<std::string_view, T>> choices) {
        if (const auto value = TomlReader::choice(member, choices)) into = Written<T>{*value, key_at(member)};
    }

    bool session_key(const TomlValue& member) {
        if (member.key == "lifetime") {
            if (!expect(member, Kind::string, "lifetime must be a length of time like \"8h\"")) return true;
            auto ms = parse_duration_ms(member.text);
            if (!ms)
                error(at(member), ms.error().what(), ms.error().why(), ms.error().hint());
            else if (*ms == 0)
                error(at(member), "a session with no lifetime could never be used", "",
                      "leave lifetime out for a session without end");
            else
                grant_.lifetime_ms = {*ms, key_at(member)};
        } else if (member.key == "hand_out") {
            choice<HandOut>(member, grant_.hand_out, {{"link", HandOut::link}, {"program", HandOut::program}});
        } else if (member.key == "on_close") {
            choice<OnClose>(member, grant_.on_close, {{"detach", OnClose::detach}, {"keep", OnClose::keep}});
        } else if (member.key == "not_revocable") {
            if (expect(member, Kind::boolean, "not_revocable must be true or false"))
                grant_.not_revocable = {member.boolean, key_at(member)};
        } else {
            return false;
        }
        return true;
    }

    // What the patterns of a target list must look like, so that one that can match nothing is found here.
    void check_targets(std::string_view key) {
        for (const auto target : all_targets) {
            if (key_of(target) != key) continue;
            for (const auto& entry : grant_.targets[index_of(target)]->entries) {
                const std::string_view text = entry.text;
                if (text == "any" || text.starts_with('@') || text.starts_with("**")) continue;
                if (target == Target::cgroups && text[0] != '/')
                    error(entry.at, fmt::format("{} is no path of a control group", quoted(text)),
                          "it starts with \"/\", counted from the root of cgroup2: \"/user.slice/**\"");
                else if (target == Target::uprobes && (text[0] != '/' || text.find(':') == std::string_view::npos))
                    error(entry.at, fmt::format("{} is no place for a uprobe", quoted(text)),
                          "it is PATH:SYMBOL with a full path: \"/usr/bin/bash:readline\", \"/usr/lib/**:malloc\"");
                else if (target == Target::perf_events && text.find('/') == std::string_view::npos)
                    error(entry.at, fmt::format("{} is no perf event", quoted(text)),
                          "it is KIND/NAME: \"software/cpu_clock\", \"hardware/*\"");
                else if (target == Target::interfaces && text.find('/') != std::string_view::npos)
                    error(entry.at, fmt::format("{} is no name of an interface", quoted(text)),
                          "interface names have no \"/\"");
            }
        }
    }

    Grant grant_;
};

}  // namespace

std::optional<Grant> parse(std::string_view text, const std::string& file, Diagnostics& diagnostics) {
    const auto tree = parse_toml(text, file, diagnostics);
    if (!tree) return std::nullopt;
    return Parser(file, diagnostics).parse(*tree);
}

}  // namespace bpfwarden::grant
