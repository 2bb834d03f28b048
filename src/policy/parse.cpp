// SPDX-License-Identifier: Apache-2.0
#include "policy/parse.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "base/toml_reader.hpp"
#include "policy/compile.hpp"
#include "policy/schema.hpp"

namespace bpfwarden::policy {

static constexpr TomlFile toml_file{.noun = "policy", .most_values = 2'000'000};

static bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool valid_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && is_lower_or_digit(name[0]) && std::ranges::all_of(name, [](char c) {
        return is_lower_or_digit(c) || std::string_view("._-").find(c) != std::string_view::npos;
    });
}

template <class T>
static std::optional<T> number(std::string_view text, T most) {
    std::uint64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc{} || end != text.data() + text.size() || value > most || text.empty()) return std::nullopt;
    return static_cast<T>(value);
}

// "FIRST-LAST" -> both halves; no dash: the same twice.
static std::pair<std::string_view, std::string_view> halves(std::string_view text) {
    const auto dash = text.find('-');
    if (dash == std::string_view::npos) return {text, text};
    return {text.substr(0, dash), text.substr(dash + 1)};
}

Result<Net> parse_address(std::string_view text) {
    const auto bad = [&](std::string why, std::string hint = "") {
        return fail(Error(Code::bad_input, fmt::format("{} is no address or network", quoted(text)))
                        .because(std::move(why))
                        .advise(std::move(hint)));
    };
    const auto slash = text.find('/');
    const std::string address(text.substr(0, slash));
    Net net;
    const bool v6 = address.find(':') != std::string::npos;
    const std::uint16_t bits = v6 ? 128 : 32;
    net.family = v6 ? AF_INET6 : AF_INET;
    if (::inet_pton(v6 ? AF_INET6 : AF_INET, address.c_str(), net.address.data()) != 1)
        return bad("an address is written like 192.0.2.1, 10.0.0.0/8, 2001:db8::1 or fe80::/10");
    net.prefix = bits;
    if (slash != std::string_view::npos) {
        const auto prefix = number<std::uint16_t>(text.substr(slash + 1), bits);
        if (!prefix) return bad(fmt::format("what follows the \"/\" is a number of bits from 0 to {}", bits));
        net.prefix = *prefix;
    }
    for (std::size_t bit = net.prefix; bit < bits; ++bit)
        if (net.address[bit / 8] >> (7 - bit % 8) & 1)
            return bad(fmt::format("it has bits set behind the first {}", net.prefix),
                       "write the network's own address, or leave the \"/\" out for one address");
    // The kernel's programs look at such an address as the IPv4 one that it is.
    static constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (v6 && net.prefix >= 96 && std::ranges::equal(mapped, std::span(net.address).first(12)))
        return bad("it is an IPv4 address in another form", "write the IPv4 address: rules see both forms as that");
    return net;
}

namespace {

class Parser : TomlReader {
  public:
    Parser(const std::string& file, const Names& names, Diagnostics& diagnostics)
        : TomlReader(file, diagnostics, most_rules), names_(names) {
        policy_.file = file;
        policy_.name = default_name();
    }

    Policy parse(const TomlValue& top) {
        bool format_seen = false;
        for (const auto& member : top.items) {
            format_seen = format_seen || member.key == "format";
            top_key(member);
        }
        if (!format_seen) format_is_missing();
        return std::move(policy_);
    }

  private:
    std::string base_name() const { return file().substr(file().rfind('/') + 1); }
    std::string default_name() const {
        auto name = base_name();
        if (name.ends_with(".toml")) name.resize(name.size() - 5);
        return name;
    }

    void error_of(const Error& from, Position where) const {
        error(std::move(where), from.what(), from.why(), from.hint());
    }

    void unknown_key(const TomlValue& member, std::string_view table, std::string_view where) const {
        const auto known = keys_in(table);
        std::string why(instead_of(table, member.key)), hint;
        if (why.empty()) {
            why = fmt::format("known here: {}", fmt::join(known, ", "));
            const auto elsewhere =
                std::ranges::find_if(all_keys(), [&](const Key& key) { return key.name == member.key; });
            if (const auto near = nearest(member.key, known))
                hint = fmt::format("did you mean {}?", *near);
            else if (elsewhere != all_keys().end())
                hint = elsewhere->table.empty()
                           ? fmt::format("{} stands at the top, before the first [[domain]] or [[rule]]", member.key)
                           : fmt::format("{} belongs into {}", member.key, table_name(elsewhere->table));
        }
        error(key_at(member), fmt::format("unknown key {}{}", quoted(member.key), where), std::move(why),
              std::move(hint));
    }

    static std::string table_name(std::string_view table) {
        return table == "domain" || table == "rule" ? fmt::format("[[{}]]", table) : std::string(table);
    }

    void name_of_policy(const TomlValue& member) {
        const auto name = string(member);
        if (!name) return;
        if (valid_name(name->text))
            policy_.name = name->text;
        else
            error(name->at, fmt::format("{} cannot be the name of a policy", quoted(name->text)), name_rule);
    }

    std::optional<Mode> mode(const TomlValue& member) const {
        return choice<Mode>(member, {{"enforce", Mode::enforce}, {"audit", Mode::audit}});
    }

    void top_key(const TomlValue& member) {
        const auto& key = member.key;
        if (key == "format") {
            format(member);
        } else if (key == "name") {
            name_of_policy(member);
        } else if (key == "description") {
            if (const auto text = string(member)) policy_.description = text->text;
        } else if (key == "mode") {
            if (const auto value = mode(member)) policy_.mode = *value;
        } else if (key == "on_loss") {
            if (const auto denies = choice<bool>(member, {{"count", false}, {"deny", true}}))
                policy_.loss_denies = *denies;
        } else if (key == "domain") {
            each_table(member, "[[domain]]", [&](const TomlValue& table) { domain(table); });
        } else if (key == "rule") {
            each_table(member, "[[rule]]", [&](const TomlValue& table) { rule(table); });
        } else {
            unknown_key(member, "", "");
        }
    }

    template <class F>
    void each_table(const TomlValue& member, std::string_view name, F take) const {
        if (member.kind == Kind::table) {
            error(at(member), fmt::format("{} must be a list of tables, not a table", member.key), "",
                  name.starts_with('[') ? fmt::format("write {} with two brackets", name)
                                        : fmt::format("write {} = [ {{ … }} ]", member.key));
            return;
        }
        if (!expect(member, Kind::array, fmt::format("{} must be a list of tables", member.key))) return;
        for (const auto& item : member.items)
            if (expect(item, Kind::table, fmt::format("{} is a list of tables", member.key))) take(item);
    }

    void domain(const TomlValue& table) {
        Domain out;
        out.at = at(table);
        for (const auto& member : table.items) {
            const auto& key = member.key;
            if (key == "name") {
                if (auto name = string(member)) out.name = domain_name(std::move(*name));
            } else if (key == "enter") {
                each_table(member, "enter", [&](const TomlValue& one) { out.enter.push_back(way_in(one)); });
            } else if (key == "default") {
                out.denies = choice<bool>(member, {{"allow", false}, {"deny", true}}).value_or(false);
            } else if (key == "mode") {
                out.mode = mode(member);
            } else if (key == "secure_exec") {
                if (expect(member, Kind::boolean, "secure_exec must be true or false"))
                    out.secure_exec = member.boolean;
            } else if (key == "root") {
                out.own_root = choice<bool>(member, {{"mounts", false}, {"own", true}}).value_or(false);
            } else {
                unknown_key(member, "domain", " in a [[domain]]");
            }
        }
        if (out.name.text.empty()) {
            if (!has(table, "name")) error(out.at, "this domain has no name", "", "write name = \"NAME\"");
            return;
        }
        policy_.domains.push_back(std::move(out));
    }

    static bool has(const TomlValue& table, std::string_view key) {
        return std::ranges::find(table.items, key, &TomlValue::key) != table.items.end();
    }

    Entry domain_name(Entry name) const {
        if (valid_name(name.text)) return name;
        error(name.at, fmt::format("{} cannot be the name of a domain", quoted(name.text)), name_rule);
        return {};
    }

    WayIn way_in(const TomlValue& table) {
        WayIn way;
        way.at = at(table);
        if (table.items.empty())
            error(way.at, "an empty way in would take every process", "",
                  "name exe, identity, fsverity, ima, label, cgroup, uid, gid or userns");
        bool narrowed = false;
        for (const auto& member : table.items) {
            const auto& key = member.key;
            narrowed = narrowed || key != "from";
            if (key == "exe") {
                way.exe = glob(member);
            } else if (key == "cgroup") {
                way.cgroup = glob(member);
                if (way.cgroup && std::ranges::any_of(way.cgroup->patterns, &Pattern::detached)) {
                    error(way.cgroup->text.at, "a control group's path begins with \"/\"",
                          "it counts from the root of the v2 hierarchy: \"/system.slice/nginx.service\"");
                    way.cgroup.reset();
                }
            } else if (key == "identity") {
                way.identity = identity(member);
            } else if (const auto* kind = pin_kind(key)) {
                if (const auto text = string(member))
                    if (auto value = pin(*kind, *text)) way.pins.push_back(std::move(*value));
            } else if (key == "uid") {
                if (const auto ids = id_range(member, names_.user, "user")) way.uid = *ids;
            } else if (key == "gid") {
                if (const auto ids = id_range(member, names_.group, "group")) way.gid = *ids;
            } else if (key == "userns") {
                way.userns_init = choice<bool>(member, {{"init", true}, {"other", false}});
            } else if (key == "from") {
                way.from = list(member).entries;
                if (way.from.empty() && member.kind == Kind::array)
                    error(key_at(member), "an empty list of domains is left by nobody", "",
                          "leave `from` out for the unconfined domain only");
            } else {
                unknown_key(member, "enter", " in a way in");
            }
        }
        if (!narrowed && !table.items.empty())
            error(way.at, "`from` alone would take every process of these domains", "",
                  "name exe, identity, fsverity, ima, label, cgroup, uid, gid or userns");
        return way;
    }

    static const PinKindInfo* pin_kind(std::string_view key) {
        const auto kinds = all_pin_kinds();
        const auto at = std::ranges::find(kinds, key, &PinKindInfo::key);
        return at == kinds.end() ? nullptr : &*at;
    }

    std::optional<Pin> pin(const PinKindInfo& kind, const Entry& text) const {
        auto value = parse_pin(kind.kind, text.text);
        if (!value) {
            error_of(value.error(), text.at);
            return std::nullopt;
        }
        value->at = text.at;
        return std::move(*value);
    }

    std::optional<PathGlob> glob_of(const Entry& entry,
                                    Result<std::vector<Pattern>> (*read)(std::string_view) = parse_pattern) {
        auto patterns = read(entry.text);
        if (!patterns) {
            error_of(patterns.error(), entry.at);
            return std::nullopt;
        }
        pattern_count_ += patterns->size();
        if (pattern_count_ > most_patterns) {
            if (!too_many_told_)
                error(entry.at, fmt::format("more than {} patterns in one policy", most_patterns),
                      "alternatives in braces count each");
            too_many_told_ = true;
            return std::nullopt;
        }
        return PathGlob{entry, std::move(*patterns)};
    }
    std::optional<PathGlob> glob(const TomlValue& member) {
        const auto text = string(member);
        return text ? glob_of(*text) : std::nullopt;
    }
    std::vector<PathGlob> globs(const TomlValue& member,
                                Result<std::vector<Pattern>> (*read)(std::string_view) = parse_pattern) {
        std::vector<PathGlob> out;
        const auto entries = list(member);
        for (const auto& entry : entries.entries)
            if (auto one = glob_of(entry, read)) out.push_back(std::move(*one));
        if (member.kind == Kind::array && member.items.empty())
            error(entries.at, fmt::format("an empty list of {} matches nothing", member.key), "", "leave the key out");
        return out;
    }

    std::optional<std::uint64_t> whole(const TomlValue& member, std::uint64_t most) const {
        if (!expect(member, Kind::integer, fmt::format("{} must be a number", member.key))) return std::nullopt;
        if (member.integer < 0 || static_cast<std::uint64_t>(member.integer) > most) {
            error(at(member), fmt::format("{} is no {}", member.integer, member.key),
                  fmt::format("it is a number from 0 to {}", most));
            return std::nullopt;
        }
        return static_cast<std::uint64_t>(member.integer);
    }

    std::optional<Identity> identity(const TomlValue& table) const {
        if (!expect(table, Kind::table,
                    "a file's identity is a table like { device = \"8:1\", inode = 12, generation = 3 }"))
            return std::nullopt;
        Identity file;
        file.at = at(table);
        bool right = true;
        for (const auto& member : table.items) {
            if (member.key == "device") {
                const auto text = string(member);
                if (!text) {
                    right = false;
                    continue;
                }
                const auto colon = std::min(text->text.find(':'), text->text.size());
                const std::string_view all = text->text;
                const auto major = number<std::uint32_t>(all.substr(0, colon), 0xfff);
                const auto minor = number<std::uint32_t>(all.substr(std::min(colon + 1, all.size())), 0xfffff);
                right = right && major && minor;
                if (major && minor)
                    file.device = *major << 20 | *minor;
                else
                    error(text->at, fmt::format("{} is no device", quoted(text->text)),
                          "it is \"MAJ:MIN\", as in /proc/self/mountinfo");
            } else if (member.key == "inode") {
                const auto value = whole(member, INT64_MAX);
                right = right && value;
                file.inode = value.value_or(0);
            } else if (member.key == "generation") {
                const auto value = whole(member, UINT32_MAX);
                right = right && value;
                file.generation = static_cast<std::uint32_t>(value.value_or(0));
            } else {
                unknown_key(member, "identity", " in a file's identity");
            }
        }
        for (const auto key : keys_in("identity"))
            if (!has(table, key)) {
                error(file.at, fmt::format("{} is missing", key),
                      "a file is known by all of device, inode and generation: a number is used again",
                      "bpfwarden policy identity FILE prints them");
                return std::nullopt;
            }
        return right ? std::optional(file) : std::nullopt;
    }

    using LookUp = std::function<std::optional<std::uint32_t>(const std::string&)>;

    std::optional<IdRange> id_range(const TomlValue& member, const LookUp& look_up, std::string_view noun) const {
        // The all-ones id means "no change" to the kernel and belongs to nobody.
        static constexpr std::uint32_t most = 0xffff'fffe;
        if (member.kind == Kind::integer) {
            const auto id = whole(member, most);
            if (!id) return std::nullopt;
            return IdRange{static_cast<std::uint32_t>(*id), static_cast<std::uint32_t>(*id)};
        }
        if (!expect(member, Kind::string, fmt::format("{} must be a number, a name or a range", member.key)))
            return std::nullopt;
        const auto text = checked_string(member);
        if (!text) return std::nullopt;
        const auto [first, last] = halves(text->text);
        const auto from = number<std::uint32_t>(first, most), to = number<std::uint32_t>(last, most);
        if (from && to) {
            if (*from <= *to) return IdRange{*from, *to};
            error(text->at, fmt::format("the range {} ends before it begins", quoted(text->text)));
            return std::nullopt;
        }
        if (const auto id = look_up ? look_up(text->text) : std::nullopt) return IdRange{*id, *id};
        error(text->at, fmt::format("there is no {} {}", noun, quoted(text->text)),
              look_up ? fmt::format("this machine knows no {} of that name", noun) : "names are not looked up here",
              fmt::format("write a number, or a range \"1000-1999\""));
        return std::nullopt;
    }

    void rule(const TomlValue& table) {
        if (policy_.rules.size() > most_rules) return;  // compile() tells
        Rule out;
        out.at = at(table);
        out.name = fmt::format("{}:{}", base_name(), out.at.line);
        std::optional<List> operations;
        const TomlValue* effect = nullptr;
        std::optional<Position> capabilities;
        bool sound = true;
        for (const auto& member : table.items) {
            const auto& key = member.key;
            if (key == "name") {
                if (const auto name = string(member)) {
                    if (name->text.size() > 64 || name->text.find_first_of("\n\t\x1b") != std::string::npos)
                        error(name->at, "a rule's name is at most 64 bytes of one line", "it is told in every event");
                    out.name = name->text;
                }
            } else if (key == "allow" || key == "deny" || key == "audit") {
                if (effect) {
                    error(key_at(member),
                          fmt::format("a rule has one of allow, deny and audit, and this one has {} already",
                                      effect->key),
                          "", "write two rules");
                    continue;
                }
                effect = &member;
                out.effect_at = key_at(member);
                out.effect = key == "allow" ? Effect::allow : key == "deny" ? Effect::deny : Effect::audit;
                operations = list(member);
            } else if (key == "domains") {
                out.domains = list(member);
                if (out.domains->entries.empty() && member.kind == Kind::array)
                    error(key_at(member), "an empty list of domains makes a rule about nothing", "",
                          "leave `domains` out for all domains of this policy");
            } else if (key == "mode") {
                out.mode = mode(member);
            } else if (key == "paths") {
                out.paths = globs(member);
                sound = sound && !out.paths.empty();
            } else if (key == "except") {
                out.except = globs(member);
            } else if (key == "file_systems") {
                out.file_systems = globs(member, parse_name_pattern);
                sound = sound && !out.file_systems.empty();
            } else if (key == "identities") {
                each_table(member, "identities", [&](const TomlValue& one) {
                    if (const auto file = identity(one)) out.identities.push_back(*file);
                });
                sound = sound && !out.identities.empty();
                if (member.kind == Kind::array && member.items.empty())
                    error(key_at(member), "an empty list of identities matches nothing", "", "leave the key out");
            } else if (key == "labels" || key == "user_labels") {
                const auto entries = list(member);
                for (const auto& entry : entries.entries)
                    if (auto value = pin(info(key == "labels" ? PinKind::label : PinKind::user_label), entry))
                        out.labels.push_back(std::move(*value));
                sound = sound && !out.labels.empty();
                if (member.kind == Kind::array && member.items.empty())
                    error(key_at(member), "an empty list of labels matches nothing", "", "leave the key out");
            } else if (key == "net") {
                each_table(member, "net", [&](const TomlValue& one) { net(one, out.net); });
                sound = sound && !out.net.empty();
                if (member.kind == Kind::array && member.items.empty())
                    error(key_at(member), "an empty list of addresses matches nothing", "", "leave `net` out for any");
            } else if (key == "peers") {
                out.peers = list(member).entries;
                sound = sound && !out.peers.empty();
                if (member.kind == Kind::array && member.items.empty())
                    error(key_at(member), "an empty list of peers matches nothing", "", "leave `peers` out for any");
            } else if (key == "capabilities") {
                capabilities = key_at(member);
                out.capabilities = capability_list(member);
                sound = sound && out.capabilities;
            } else {
                unknown_key(member, "rule", " in a [[rule]]");
                sound = false;  // it may have been what is missing now
            }
        }
        if (!effect) {
            error(out.at, "this rule has none of allow, deny and audit", "", "write allow = [\"read\"]");
            return;
        }
        objects(out, *operations, effect->key, capabilities.has_value(), sound);
        policy_.rules.push_back(std::move(out));
    }

    // A rule's kind of object, and that its operations are done to that. Where an object is wrong (not SOUND) it may be
    // what seems to be missing: then only the operations' names are looked at.
    void objects(Rule& rule, const List& operations, const std::string& key, bool capabilities, bool sound) {
        std::vector<Object> named;
        if (!rule.paths.empty() || !rule.file_systems.empty() || !rule.identities.empty() || !rule.labels.empty())
            named.push_back(Object::path);
        if (!rule.net.empty()) named.push_back(Object::address);
        if (!rule.peers.empty()) named.push_back(Object::domain);
        if (capabilities) named.push_back(Object::capability);
        if (named.size() > 1)
            return error(rule.at,
                         fmt::format("a rule is about one kind of object, and this one has {} and {}",
                                     keys_of(named[0]), keys_of(named[1])),
                         "", "write two rules");
        if (sound && !rule.except.empty() && rule.paths.empty())
            error(rule.except[0].text.at, "`except` takes names out of `paths`, and there are none");
        if (operations.entries.empty() && diagnostics().ok())
            error(operations.at, fmt::format("an empty list of operations {}s nothing", key));
        const auto object = named.empty() ? std::nullopt : std::optional(named[0]);
        for (const auto& entry : operations.entries) {
            const auto ops = look_up(entry, object, sound);
            if (!ops || !sound) continue;
            rule.ops |= *ops;
            const auto others = object ? *ops & ~operations_on(*object) : 0;
            const auto no_label = rule.labels.empty() || others ? 0 : *ops & ~BW_OPS_LABEL;
            if (!object && *ops & BW_OPS_PATH)
                error(entry.at, fmt::format("{} needs to be told on which files", quoted(entry.text)), "",
                      "write paths = [\"/…\"], or file_systems = [\"*\"] for every file");
            else if (others)
                error(entry.at, fmt::format("{} does not go with {}", quoted(entry.text), keys_of(*object)),
                      fmt::format("its object is {}", keys_of(object_of(others & -others))), "write two rules");
            if (no_label)
                error(entry.at,
                      entry.text.starts_with('@')
                          ? fmt::format("of {}, {} {} not go with labels", quoted(entry.text), names_of(no_label),
                                        std::has_single_bit(no_label) ? "does" : "do")
                          : fmt::format("{} does not go with labels", quoted(entry.text)),
                      fmt::format("a label is read when a file is opened: for {}", names_of(BW_OPS_LABEL)),
                      "write two rules, the other with paths, file_systems or identities");
        }
        if (rule.effect != Effect::deny && rule.mode)
            warning(rule.at, fmt::format("`mode` means nothing for a rule that {}s", key),
                    "it says whether a deny is enforced");
        if (rule.effect != Effect::allow && rule.ops & BW_OP_SOCKET &&
            std::ranges::any_of(rule.net, [](const Net& net) { return !net.family_alone(); }))
            for (const auto& entry : operations.entries)
                if (entry.text == "socket")
                    warning(entry.at, "a socket is made before it has an address or port",
                            "so this operation is not about the entries of `net` that have one",
                            "deny bind, connect, listen or accept, or the family alone");
    }

    std::optional<Operations> look_up(const Entry& entry, std::optional<Object> object, bool sound) const {
        const std::string_view text = entry.text;
        if (text == "@all") {
            if (object) return operations_on(*object);
            if (!sound) return std::nullopt;
            error(entry.at, "@all is all operations on one kind of object, and this rule names none", "",
                  "write paths, net, peers or capabilities, or list the operations");
            return std::nullopt;
        }
        if (const auto bit = operation_bit(text)) return bit;
        if (text.starts_with('@'))
            for (const auto& group : all_groups())
                if (group.name == text.substr(1)) return group.ops;
        std::vector<std::string> groups{"@all"};
        for (const auto& group : all_groups()) groups.push_back(fmt::format("@{}", group.name));
        std::vector<std::string_view> known(groups.begin(), groups.end());
        if (!text.starts_with('@')) {
            known.clear();
            for (const auto& one : all_operations()) known.push_back(one.name);
        }
        const auto near = nearest(text, known);
        const bool group = std::ranges::find(groups, fmt::format("@{}", text)) != groups.end();
        error(entry.at, fmt::format("there is no operation {}", quoted(text)),
              fmt::format("known: {}", fmt::join(known, ", ")),
              near    ? fmt::format("did you mean \"{}\"?", *near)
              : group ? fmt::format("the group is written \"@{}\"", text)
                      : "");
        return std::nullopt;
    }

    std::uint64_t capability_list(const TomlValue& member) const {
        std::uint64_t bits = 0;
        const auto entries = list(member);
        for (const auto& entry : entries.entries) {
            if (const auto bit = capability_bit(entry.text)) {
                bits |= 1ULL << *bit;
                continue;
            }
            const auto names = capability_names();
            const std::vector<std::string_view> known(names.begin(), names.end());
            const auto near = nearest(entry.text, known);
            error(entry.at, fmt::format("there is no capability {}", quoted(entry.text)),
                  "capabilities(7) lists them; they are written without CAP_ and in small letters",
                  near ? fmt::format("did you mean \"{}\"?", *near) : "");
        }
        if (member.kind == Kind::array && member.items.empty())
            error(entries.at, "an empty list of capabilities matches nothing", "", "leave the key out for all");
        return bits;
    }

    void net(const TomlValue& table, std::vector<Net>& into) const {
        Net base;
        std::vector<std::pair<std::uint16_t, std::uint16_t>> ports;
        bool sound = true, has_ports = false;
        std::optional<std::uint16_t> family;
        for (const auto& member : table.items) {
            if (member.key == "family") {
                family = family_number(member);
                sound = sound && family;
            } else if (member.key == "address") {
                const auto text = string(member);
                if (!text) {
                    sound = false;
                } else if (const auto address = parse_address(text->text)) {
                    base = *address;
                } else {
                    error_of(address.error(), text->at);
                    sound = false;
                }
            } else if (member.key == "port") {
                has_ports = true;
                if (member.kind == Kind::array)
                    for (const auto& item : member.items) sound = port(item, ports) && sound;
                else
                    sound = port(member, ports) && sound;
                if (member.kind == Kind::array && member.items.empty()) {
                    error(at(member), "an empty list of ports matches nothing", "", "leave `port` out for any");
                    sound = false;
                }
            } else {
                unknown_key(member, "net", " in net");
            }
        }
        if (table.items.empty())
            return error(at(table), "an empty entry of `net` would match every address", "", "leave `net` out for any");
        if (!sound) return;
        if (family && base.family && *family != *base.family)
            return error(at(table), fmt::format("the address is of family {}, not {}", family_name(*base.family),
                                                family_name(*family)));
        if (family) base.family = family;
        if (has_ports && base.family && *base.family != AF_INET && *base.family != AF_INET6)
            return error(at(table), fmt::format("the family {} has no ports", family_name(*base.family)));
        if (!has_ports) ports.emplace_back(0, 0xffff);
        // Only these two families have ports.
        std::vector<std::optional<std::uint16_t>> families{base.family};
        if (has_ports && !base.family) families = {AF_INET, AF_INET6};
        for (const auto one : families)
            for (const auto& [first, last] : ports) {
                base.family = one;
                base.port_first = first;
                base.port_last = last;
                into.push_back(base);
            }
    }

    bool port(const TomlValue& value, std::vector<std::pair<std::uint16_t, std::uint16_t>>& into) const {
        std::optional<std::uint16_t> first, last;
        if (value.kind == Kind::integer) {
            if (value.integer >= 0 && value.integer <= 0xffff) first = last = static_cast<std::uint16_t>(value.integer);
        } else if (value.kind == Kind::string) {
            const auto [from, to] = halves(value.text);
            first = number<std::uint16_t>(from, 0xffff);
            last = number<std::uint16_t>(to, 0xffff);
        }
        if (first && last && *first <= *last) {
            into.emplace_back(*first, *last);
            return true;
        }
        error(at(value),
              value.kind == Kind::integer  ? fmt::format("{} is no port", value.integer)
              : value.kind == Kind::string ? fmt::format("{} is no port or range of ports", quoted(value.text))
                                           : fmt::format("a port cannot be {}", value.kind_name()),
              "ports are numbers from 0 to 65535, and ranges like \"8000-8099\"");
        return false;
    }

    std::optional<std::uint16_t> family_number(const TomlValue& member) const {
        const auto text = string(member);
        if (!text) return std::nullopt;
        std::vector<std::string_view> known;
        for (const auto& family : all_families()) {
            if (family.name == text->text) return family.number;
            known.push_back(family.name);
        }
        const auto near = nearest(text->text, known);
        error(text->at, fmt::format("there is no address family {}", quoted(text->text)),
              fmt::format("known: {}", fmt::join(known, ", ")), near ? fmt::format("did you mean \"{}\"?", *near) : "");
        return std::nullopt;
    }

    static constexpr std::size_t most_patterns = 500'000;
    static constexpr const char* name_rule =
        "a name is at most 64 of a-z, 0-9, \".\", \"_\" and \"-\", and starts with a letter or digit";

    const Names& names_;
    Policy policy_;
    std::size_t pattern_count_ = 0;
    bool too_many_told_ = false;
};

}  // namespace

std::optional<Policy> parse(std::string_view text, const std::string& file, const Names& names,
                            Diagnostics& diagnostics) {
    const auto tree = parse_toml(text, file, diagnostics, toml_file);
    if (!tree) return std::nullopt;
    return Parser(file, names, diagnostics).parse(*tree);
}

}  // namespace bpfwarden::policy
