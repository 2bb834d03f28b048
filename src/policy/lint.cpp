// SPDX-License-Identifier: Apache-2.0
#include "policy/lint.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "policy/automaton.hpp"

namespace bpfwarden::policy {

using Mark = AutomatonBuilder::Mark;

namespace {

// One entry of a rule's `paths`, `except` or `file_systems`.
struct Written {
    std::uint32_t rule = 0;
    bool except = false;
    const PathGlob* glob = nullptr;
    // What the automaton says of it:
    bool met = false;        // somewhere it matches and no exception takes that out; an exception: it takes something
    Operations granted = 0;  // of an allow rule: what no deny undoes somewhere
    std::uint32_t undone_by = 0;
};

// Rules that say something about one thing: with the operations that they say it of.
struct Saying {
    std::uint32_t rule = 0;
    Operations ops = 0;
};

class Linter {
  public:
    Linter(std::span<const Policy> policies, const LinkOf& link_of, Diagnostics& diagnostics)
        : policies_(policies), link_of_(link_of), diagnostics_(diagnostics), linked_(link(policies, ignored_)) {}

    void run() {
        if (!ignored_.ok()) return;
        names();
        domains();
        ways();
        for (const auto& rule : linked_.rules) places(rule);
        user_labels();
        meet();
        patterns();
        rules();
    }

  private:
    void warning(const Position& at, std::string what, std::string why = "", std::string hint = "") {
        diagnostics_.warning(at, std::move(what), std::move(why), std::move(hint));
    }

    void names() {
        for (const auto& policy : policies_) {
            std::map<std::string_view, const Rule*> seen;
            for (const auto& rule : policy.rules)
                if (const auto [at, fresh] = seen.try_emplace(rule.name, &rule); !fresh)
                    warning(rule.at, fmt::format("another rule is called {} too", quoted(rule.name)),
                            fmt::format("it is in {}; events could not tell them apart", at->second->at.text()));
        }
    }

    void domains() {
        std::set<std::uint32_t> reached{0};
        for (bool more = true; more;) {
            more = false;
            for (const auto& way : linked_.ways)
                if (std::ranges::any_of(reached, [&](std::uint32_t from) { return way.from.has(from); }))
                    more = reached.insert(way.to).second || more;
        }
        for (std::uint32_t i = 1; i < linked_.domains.size(); ++i) {
            const auto& domain = linked_.domains[i];
            const auto name = quoted(domain.name);
            if (domain.written->enter.empty())
                warning(domain.written->at, fmt::format("nothing enters the domain {}", name), "",
                        "write enter = [ { exe = \"/…\" } ]");
            else if (!reached.contains(i))
                warning(domain.written->at, fmt::format("no process can get into the domain {}", name),
                        "the domains that it is entered from are entered by nobody");
            const auto about = std::ranges::any_of(linked_.rules, [&](const auto& rule) { return rule.holds_for(i); });
            if (!about && !domain.written->denies)
                warning(domain.written->at, fmt::format("nothing is refused in the domain {}", name),
                        "it allows by default, and no rule is about it");
        }
    }

    static bool contains(const IdRange& outer, const IdRange& inner) {
        return outer.first <= inner.first && inner.last <= outer.last;
    }
    static bool same(const std::optional<PathGlob>& one, const std::optional<PathGlob>& other) {
        return one && other && one->patterns == other->patterns;
    }

    // Whether whatever LATER fits, EARLIER fits as well.
    static bool takes_all_of(const LinkedWay& earlier, const LinkedWay& later) {
        const auto &first = *earlier.written, &second = *later.written;
        for (std::size_t i = 0; i < later.from.words.size(); ++i)
            if (later.from.words[i] & ~earlier.from.words[i]) return false;
        const bool pins = std::ranges::all_of(
            first.pins, [&](const Pin& pin) { return std::ranges::find(second.pins, pin) != second.pins.end(); });
        return pins && (!first.exe || same(first.exe, second.exe)) &&
               (!first.cgroup || same(first.cgroup, second.cgroup)) &&
               (!first.identity || first.identity == second.identity) && contains(first.uid, second.uid) &&
               contains(first.gid, second.gid) && (!first.userns_init || first.userns_init == second.userns_init);
    }

    void ways() {
        for (std::size_t i = 0; i < linked_.ways.size(); ++i) {
            const auto& way = linked_.ways[i];
            if (way.written->exe) links(*way.written->exe, true);
            for (std::size_t j = 0; j < i && j < 4096; ++j)
                if (takes_all_of(linked_.ways[j], way)) {
                    warning(way.written->at, "nothing takes this way in",
                            fmt::format("what fits it fits the one in {} too, which comes first",
                                        linked_.ways[j].written->at.text()));
                    break;
                }
        }
    }

    // Names that are links: what is behind one has the name that it has there.
    void links(const PathGlob& glob, bool itself) {
        for (const auto& pattern : glob.patterns) {
            if (pattern.detached) continue;
            std::string path;
            for (std::size_t i = 0; i < pattern.components.size(); ++i) {
                if (pattern.components[i].kind != Component::Kind::literal) break;
                path += "/" + pattern.components[i].text;
                if (i + 1 == pattern.components.size() && !itself) break;
                const auto to = link_at(path);
                if (!to) continue;
                warning(glob.text.at, fmt::format("{} is a symbolic link, to {}", quoted(path), quoted(*to)),
                        "a file has the name of the place where it is, so this pattern does not match what is behind "
                        "the link",
                        "write the path without links");
                return;
            }
        }
    }

    std::optional<std::string> link_at(const std::string& path) {
        static const std::map<std::string, std::string, std::less<>> always{
            {"/proc/self", "PID"}, {"/proc/thread-self", "PID/task/TID"}, {"/dev/fd", "/proc/PID/fd"}};
        if (const auto known = always.find(path); known != always.end()) return known->second;
        if (!link_of_) return std::nullopt;
        const auto [at, fresh] = links_.try_emplace(path);
        if (fresh) at->second = link_of_(path);
        return at->second;
    }

    void places(const LinkedRule& rule) {
        for (const auto& glob : rule.written->paths) {
            links(glob, false);
            bool own = true, any = false;
            for (std::uint32_t i = 1; i < linked_.domains.size(); ++i)
                if (rule.holds_for(i)) {
                    any = true;
                    own = own && linked_.domains[i].written->own_root;
                }
            if (any && own && std::ranges::none_of(glob.patterns, &Pattern::detached))
                warning(glob.text.at,
                        fmt::format("{} matches nothing in a domain with root = \"own\"", quoted(glob.text.text)),
                        "there every file is named by the type of its file system",
                        fmt::format("write \"overlay:{}\"", glob.patterns[0].text()));
        }
    }

    // Whether DOMAIN may set extended attributes of any file that is its user's: unless that is refused it everywhere.
    bool may_label(std::uint32_t domain) const {
        const auto& of = linked_.domains[domain];
        bool refused = of.written->denies && of.default_deny, allowed = false;
        for (const auto& rule : linked_.rules) {
            if (!(rule.written->ops & BW_OP_SETXATTR) || !rule.holds_for(domain)) continue;
            const bool every = std::ranges::any_of(rule.written->file_systems,
                                                   [](const PathGlob& glob) { return glob.text.text == "*"; });
            if (rule.effect_in(domain) == BW_EFFECT_DENY && every) return false;
            allowed = allowed || rule.written->effect == Effect::allow;
        }
        return !refused || allowed;
    }

    // A label that a confined process can give itself, or its files, holds nobody.
    void user_labels() {
        std::string by;
        for (std::uint32_t i = 1; i < linked_.domains.size() && by.empty(); ++i)
            if (linked_.domains[i].written && may_label(i)) by = linked_.domains[i].name;
        if (by.empty()) return;
        const auto tell = [&](const Pin& label, std::string_view what) {
            if (label.kind != PinKind::user_label) return;
            warning(label.at,
                    fmt::format("processes of the domain {} can set the label {}", quoted(by), quoted(label.bytes)),
                    fmt::format("{} belongs to a file's owner, and {} by it", info(label.kind).attribute, what),
                    "deny = [\"setxattr\"] with file_systems = [\"*\"], or use `label`, which only CAP_SYS_ADMIN sets");
        };
        for (const auto& way : linked_.ways)
            for (const auto& pin : way.written->pins) tell(pin, "a domain is entered");
        for (const auto& rule : linked_.rules)
            if (rule.written->effect == Effect::allow)
                for (const auto& label : rule.written->labels) tell(label, "something is allowed");
    }

    void add(AutomatonBuilder& builder, std::uint32_t rule, const std::vector<PathGlob>& globs, bool except,
             bool types) {
        for (const auto& glob : globs) {
            for (const auto& pattern : glob.patterns)
                builder.add(types              ? Start::types
                            : pattern.detached ? Start::detached
                                               : Start::path,
                            pattern, static_cast<Mark>(written_.size()));
            written_.push_back({rule, except, &glob, false, 0, 0});
        }
    }

    // Every combination of patterns that some name meets.
    void meet() {
        AutomatonBuilder builder;
        for (std::uint32_t i = 0; i < linked_.rules.size(); ++i) {
            const auto& rule = *linked_.rules[i].written;
            add(builder, i, rule.paths, false, false);
            add(builder, i, rule.except, true, false);
            add(builder, i, rule.file_systems, false, true);
        }
        const auto built = builder.build([&](std::span<const Mark> marks) {
            const auto [at, fresh] = meetings_.try_emplace({marks.begin(), marks.end()}, meetings_.size() + 1);
            return static_cast<std::uint32_t>(at->second);
        });
        if (!built) return;  // compile() has told
        needed_.assign(linked_.rules.size(), true);
        // Twice: first against the rules before each, then against all that this left.
        for (const bool again : {false, true}) {
            std::vector<bool> needed(linked_.rules.size(), false);
            for (const auto& [marks, number] : meetings_) file(marks, again, needed);
            others(again, needed);
            if (again)
                for (std::size_t i = 0; i < needed.size(); ++i) needed[i] = needed[i] && needed_[i];
            needed_ = std::move(needed);
        }
    }

    void file(const std::vector<Mark>& marks, bool again, std::vector<bool>& needed) {
        std::set<std::uint32_t> excepted, rules;
        for (const auto mark : marks)
            if (written_[mark].except) excepted.insert(written_[mark].rule);
        for (const auto mark : marks) {
            auto& written = written_[mark];
            if (written.except) continue;
            if (excepted.contains(written.rule)) {
                for (const auto other : marks)
                    if (written_[other].except && written_[other].rule == written.rule) written_[other].met = true;
            } else {
                written.met = true;
                rules.insert(written.rule);
            }
        }
        std::vector<Saying> sayings;
        for (const auto rule : rules) sayings.push_back({rule, linked_.rules[rule].written->ops & BW_OPS_PATH});
        each_domain(sayings, again, needed);
        if (!again) granted(marks, sayings);
    }

    DomainSet domains_of(std::span<const Saying> sayings) const {
        DomainSet domains;
        for (const auto& saying : sayings)
            for (const auto& by_effect : linked_.rules[saying.rule].domains)
                for (std::size_t i = 0; i < domains.words.size(); ++i) domains.words[i] |= by_effect.words[i];
        return domains;
    }

    // What of an allowed pattern no deny undoes.
    void granted(const std::vector<Mark>& marks, std::span<const Saying> sayings) {
        const auto domains = domains_of(sayings);
        for (std::uint32_t domain = 1; domain < linked_.domains.size(); ++domain) {
            if (!domains.has(domain)) continue;
            Operations denied = 0;
            std::uint32_t by = 0;
            for (const auto& saying : sayings)
                if (linked_.rules[saying.rule].domains[BW_EFFECT_DENY].has(domain) ||
                    linked_.rules[saying.rule].domains[BW_EFFECT_WARN].has(domain)) {
                    denied |= saying.ops;
                    by = saying.rule;
                }
            for (const auto mark : marks) {
                auto& written = written_[mark];
                const auto& rule = linked_.rules[written.rule];
                if (written.except || !rule.domains[BW_EFFECT_ALLOW].has(domain)) continue;
                written.granted |= rule.written->ops & ~denied;
                if (rule.written->ops & denied) written.undone_by = by;
            }
        }
    }

    // Rules that go by no file: one meeting for each thing.
    void others(bool again, std::vector<bool>& needed) {
        std::vector<Saying> plain, sayings;
        for (std::uint32_t i = 0; i < linked_.rules.size(); ++i) {
            const auto& rule = *linked_.rules[i].written;
            if (rule.ops & BW_OPS_PLAIN) plain.push_back({i, rule.ops & BW_OPS_PLAIN});
            // Addresses overlap in too many ways to look at all; identities are few.
            if (rule.ops & BW_OPS_ADDRESS || !rule.identities.empty() || !rule.labels.empty()) needed[i] = true;
        }
        each_domain(plain, again, needed);
        for (unsigned bit = 0; bit < 64; ++bit) {
            sayings.clear();
            for (std::uint32_t i = 0; i < linked_.rules.size(); ++i) {
                const auto& rule = *linked_.rules[i].written;
                if (rule.ops & BW_OP_CAPABLE && rule.capabilities >> bit & 1) sayings.push_back({i, BW_OP_CAPABLE});
            }
            each_domain(sayings, again, needed);
        }
        for (std::uint32_t peer = 0; peer < linked_.domains.size(); ++peer) {
            sayings.clear();
            for (std::uint32_t i = 0; i < linked_.rules.size(); ++i) {
                const auto& rule = linked_.rules[i];
                if (rule.written->ops & BW_OPS_DOMAIN && rule.peers.has(peer))
                    sayings.push_back({i, rule.written->ops & BW_OPS_DOMAIN});
            }
            each_domain(sayings, again, needed);
        }
    }

    void each_domain(std::span<const Saying> sayings, bool again, std::vector<bool>& needed) {
        if (sayings.empty()) return;
        const auto domains = domains_of(sayings);
        for (std::uint32_t domain = 1; domain < linked_.domains.size(); ++domain)
            if (domains.has(domain)) decide(sayings, domain, again, needed);
    }

    // Which of the rules decide something here that the others do not: those before each, or (again) all others that
    // are still needed.
    void decide(std::span<const Saying> sayings, std::uint32_t domain, bool again, std::vector<bool>& needed) {
        const auto& of = linked_.domains[domain];
        Operations denied = 0, warned = 0;
        for (const auto& saying : sayings) {
            const auto& rule = linked_.rules[saying.rule];
            if (rule.domains[BW_EFFECT_DENY].has(domain)) denied |= saying.ops;
            if (rule.domains[BW_EFFECT_WARN].has(domain)) warned |= saying.ops;
        }
        for (std::uint32_t effect = 0; effect < effect_count; ++effect) {
            Operations open = ~Operations{0};  // what rules of this effect can decide
            if (effect == BW_EFFECT_ALLOW) open = (of.default_deny | of.default_warn) & ~denied;
            if (effect == BW_EFFECT_WARN) open = ~denied;
            if (effect == BW_EFFECT_AUDIT) open = ~denied & ~warned;
            std::vector<Saying> same;
            for (const auto& saying : sayings)
                if (linked_.rules[saying.rule].domains[effect].has(domain) && (!again || needed_[saying.rule]))
                    same.push_back(saying);
            std::vector<Operations> after(same.size() + 1, 0);
            for (std::size_t i = same.size(); again && i-- > 0;) after[i] = after[i + 1] | same[i].ops;
            Operations before = 0;
            for (std::size_t i = 0; i < same.size(); ++i) {
                const auto others = before | (again ? after[i + 1] : 0);
                if (same[i].ops & open & ~others) needed[same[i].rule] = true;
                before |= same[i].ops;
            }
        }
    }

    void patterns() {
        for (const auto& written : written_) {
            const auto& rule = *linked_.rules[written.rule].written;
            if (written.met) {
                if (written.except || rule.effect != Effect::allow || !needed_[written.rule]) continue;
                const auto in_vain = rule.ops & ~written.granted & BW_OPS_PATH;
                if (!in_vain) continue;
                const auto& by = *linked_.rules[written.undone_by].written;
                warning(
                    written.glob->text.at,
                    fmt::format("{} is allowed here in vain: {}", quoted(written.glob->text.text), names_of(in_vain)),
                    fmt::format("the rule {} denies it ({}), and a deny wins however long the patterns are",
                                quoted(by.name), by.at.text()),
                    "take the exception out of the deny: except = […]");
            } else if (written.except) {
                warning(written.glob->text.at,
                        fmt::format("the exception {} takes nothing out", quoted(written.glob->text.text)),
                        "none of this rule's paths matches what it matches");
            } else {
                warning(written.glob->text.at, fmt::format("{} matches nothing", quoted(written.glob->text.text)),
                        "the rule's exceptions take out all that it matches");
            }
        }
    }

    void rules() {
        for (std::size_t i = 0; i < needed_.size(); ++i) {
            if (needed_[i]) continue;
            const auto& rule = linked_.rules[i];
            bool defaults = rule.written->effect == Effect::allow;
            for (std::uint32_t domain = 1; domain < linked_.domains.size(); ++domain)
                if (rule.holds_for(domain) && linked_.domains[domain].written->denies) defaults = false;
            warning(rule.written->at, fmt::format("the rule {} decides nothing", quoted(rule.written->name)),
                    defaults ? "its domains allow by default, and no allow undoes a deny"
                             : "wherever it matches, other rules have decided",
                    defaults ? "write default = \"deny\" in the domain, or leave the rule out" : "");
        }
    }

    std::span<const Policy> policies_;
    const LinkOf& link_of_;
    Diagnostics& diagnostics_;
    Diagnostics ignored_;
    Linked linked_;
    std::vector<Written> written_;
    std::map<std::vector<Mark>, std::size_t> meetings_;
    std::vector<bool> needed_;
    std::map<std::string, std::optional<std::string>> links_;
};

}  // namespace

void lint(std::span<const Policy> policies, const LinkOf& link_of, Diagnostics& diagnostics) {
    Linter(policies, link_of, diagnostics).run();
}

}  // namespace bpfwarden::policy
