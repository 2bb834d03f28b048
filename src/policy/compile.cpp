// SPDX-License-Identifier: Apache-2.0
#include "policy/compile.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "policy/automaton.hpp"
#include "policy/image_writer.hpp"
#include "trust/digest.hpp"

namespace bpfwarden::policy {

using Mark = AutomatonBuilder::Mark;

namespace {

enum class MarkKind : Mark { rule, except, way };
constexpr Mark mark(MarkKind kind, std::size_t index) {
    return static_cast<Mark>(index) << 2 | static_cast<Mark>(kind);
}

class Compiler {
  public:
    Compiler(const Linked& linked, Diagnostics& diagnostics) : linked_(linked), diagnostics_(diagnostics) {}

    std::optional<Compiled> run() {
        if (linked_.rules.size() > most_rules) {
            const auto& rule = linked_.rules[most_rules];
            diagnostics_.error(rule.written->at, fmt::format("more than {} rules", most_rules));
            return std::nullopt;
        }
        rule_lines();
        if (!automaton()) return std::nullopt;
        identities();
        pins();
        domains();
        net();
        ways();
        if (!diagnostics_.ok()) return std::nullopt;
        cells();
        live();
        if (auto lines = write_image(image_)) {
            out_.lines = std::move(*lines);
        } else {
            too_large(lines.error());
            return std::nullopt;
        }
        facts();
        return std::move(out_);
    }

  private:
    void too_large(const Error& error) {
        const auto* policy = linked_.rules.empty() ? nullptr : linked_.rules[0].policy;
        diagnostics_.error({policy ? policy->file : "policy", 0, 0}, error.what(), error.why(), error.hint());
    }

    // A rule's line for each effect that it has.
    void rule_lines() {
        lines_of_.resize(linked_.rules.size());
        for (std::size_t i = 0; i < linked_.rules.size(); ++i) {
            const auto& rule = linked_.rules[i];
            for (std::uint32_t effect = 0; effect < effect_count; ++effect) {
                if (rule.domains[effect].empty()) continue;
                bw_rule line{};
                line.ops = rule.written->ops;
                line.effect = effect;
                line.number = static_cast<std::uint32_t>(i + 1);
                std::ranges::copy(rule.domains[effect].words, line.domains);
                line.capabilities = rule.written->capabilities;
                lines_of_[i].push_back(static_cast<std::uint32_t>(image_.rules.size()));
                image_.rules.push_back(line);
            }
        }
    }

    std::uint32_t set_of_marks(std::span<const Mark> marks) {
        SetContents set;
        for (const auto one : marks) {
            const auto index = one >> 2;
            if ((one & 3) == static_cast<Mark>(MarkKind::way))
                set.ways.push_back(index);
            else if ((one & 3) == static_cast<Mark>(MarkKind::rule) &&
                     !std::ranges::binary_search(marks, mark(MarkKind::except, index)))
                set.rules.insert(set.rules.end(), lines_of_[index].begin(), lines_of_[index].end());
        }
        if (set.ways.size() > BW_MAX_ENTRIES) {
            const auto* way = linked_.ways[set.ways[BW_MAX_ENTRIES]].written;
            diagnostics_.error(
                way->at, fmt::format("more than {} ways into domains fit one file or control group", BW_MAX_ENTRIES));
        }
        return image_.intern_set(std::move(set));
    }

    bool automaton() {
        AutomatonBuilder builder;
        const auto add = [&](const PathGlob& glob, Mark with) {
            for (const auto& pattern : glob.patterns)
                builder.add(pattern.detached ? Start::detached : Start::path, pattern, with);
        };
        for (std::size_t i = 0; i < linked_.rules.size(); ++i) {
            const auto& rule = *linked_.rules[i].written;
            for (const auto& glob : rule.paths) add(glob, mark(MarkKind::rule, i));
            for (const auto& glob : rule.except) add(glob, mark(MarkKind::except, i));
            for (const auto& glob : rule.file_systems)
                for (const auto& pattern : glob.patterns) builder.add(Start::types, pattern, mark(MarkKind::rule, i));
        }
        for (std::size_t i = 0; i < linked_.ways.size(); ++i) {
            const auto& way = *linked_.ways[i].written;
            if (way.exe) add(*way.exe, mark(MarkKind::way, i));
            if (!way.cgroup) continue;
            for (const auto& pattern : way.cgroup->patterns)
                builder.add(Start::cgroups, pattern, mark(MarkKind::way, i));
        }
        auto built = builder.build([this](std::span<const Mark> marks) { return set_of_marks(marks); });
        if (!built) {
            too_large(built.error());
            return false;
        }
        image_.automaton = std::move(*built);
        return true;
    }

    void identities() {
        std::map<std::tuple<std::uint32_t, std::uint64_t, std::uint32_t>, std::vector<Mark>> files;
        const auto add = [&](const Identity& file, Mark with) {
            files[{file.device, file.inode, file.generation}].push_back(with);
        };
        for (std::size_t i = 0; i < linked_.rules.size(); ++i)
            for (const auto& file : linked_.rules[i].written->identities) add(file, mark(MarkKind::rule, i));
        for (std::size_t i = 0; i < linked_.ways.size(); ++i)
            if (const auto& file = linked_.ways[i].written->identity) add(*file, mark(MarkKind::way, i));
        for (auto& [file, marks] : files) {
            std::ranges::sort(marks);
            const auto rest = std::ranges::unique(marks);
            marks.erase(rest.begin(), rest.end());
            bw_identity line{};
            std::tie(line.device, line.inode, line.inode_generation) = file;
            line.set = set_of_marks(marks);
            if (line.set) image_.identities.push_back(line);
        }
    }

    // Values are numbered by themselves, so what the same policies give does not depend on their order in memory.
    void pins() {
        std::map<std::tuple<std::uint8_t, std::uint8_t, std::string>, std::vector<Mark>> values;
        const auto add = [&](const Pin& pin, Mark with) {
            values[{static_cast<std::uint8_t>(pin.kind), pin.algorithm, pin.bytes}].push_back(with);
        };
        for (std::size_t i = 0; i < linked_.rules.size(); ++i)
            for (const auto& label : linked_.rules[i].written->labels) {
                add(label, mark(MarkKind::rule, i));
                image_.rule_kinds |= bit(label.kind);
            }
        for (std::size_t i = 0; i < linked_.ways.size(); ++i)
            for (const auto& pin : linked_.ways[i].written->pins) {
                add(pin, mark(MarkKind::way, i));
                image_.way_kinds |= bit(pin.kind);
                if (pin.kind == PinKind::ima) out_.ima_algorithms |= 1U << pin.algorithm;
            }
        image_.way_pins.resize(linked_.ways.size());
        for (auto& [key, marks] : values) {
            const auto& [kind, algorithm, bytes] = key;
            bw_pin line{};
            line.number = static_cast<std::uint32_t>(image_.pins.size() + 1);
            line.kind = kind;
            line.algorithm = algorithm;
            line.length = static_cast<std::uint8_t>(bytes.size());
            std::memcpy(line.words, bytes.data(), std::min(bytes.size(), sizeof line.words));
            std::vector<Mark> rules;
            for (const auto with : marks)
                if ((with & 3) == static_cast<Mark>(MarkKind::way))
                    image_.way_pins[with >> 2].numbers[kind] = line.number;
                else
                    rules.push_back(with);
            std::ranges::sort(rules);
            const auto rest = std::ranges::unique(rules);
            rules.erase(rest.begin(), rest.end());
            line.set = set_of_marks(rules);
            image_.pins.push_back(line);
        }
    }

    // What rules that go by no path say to one domain.
    static void say(bw_cell& cell, std::uint32_t effect, std::uint64_t bits) {
        (effect == BW_EFFECT_ALLOW  ? cell.allow
         : effect == BW_EFFECT_DENY ? cell.deny
         : effect == BW_EFFECT_WARN ? cell.warn
                                    : cell.audit) |= bits;
    }

    void domains() {
        // Sets without cells come last: they only tell which rule it was.
        image_.sets_with_cells = image_.set_count();
        for (std::uint32_t number = 0; number < linked_.domains.size(); ++number) {
            const auto& linked = linked_.domains[number];
            DomainLines lines{};
            auto& paths = lines.domain;
            SetContents plain, capabilities;
            std::vector<bw_cell> peers(linked_.domains.size());
            std::vector<SetContents> peer_sets(linked_.domains.size());
            paths.default_deny = linked.default_deny;
            paths.default_warn = linked.default_warn;
            paths.blind_deny = linked.default_deny & BW_OPS_PATH;
            paths.blind_warn = linked.default_warn & BW_OPS_PATH;
            if (linked.written) {
                if (linked.written->secure_exec) paths.flags |= BW_DOMAIN_SECURE_EXEC;
                if (linked.written->own_root) paths.flags |= BW_DOMAIN_OWN_ROOT;
                if (linked.policy->loss_denies) paths.flags |= BW_DOMAIN_LOSS_DENIES;
            }
            for (std::size_t i = 0; i < linked_.rules.size(); ++i) {
                const auto& rule = linked_.rules[i];
                if (!rule.holds_for(number)) continue;
                const auto effect = rule.effect_in(number);
                const auto ops = rule.written->ops;
                const auto line = *std::ranges::find(lines_of_[i], effect,
                                                     [&](std::uint32_t one) { return image_.rules[one].effect; });
                if (effect == BW_EFFECT_DENY) paths.blind_deny |= ops & BW_OPS_PATH;
                if (effect == BW_EFFECT_WARN) paths.blind_warn |= ops & BW_OPS_PATH;
                if (!rule.written->file_systems.empty()) paths.flags |= BW_DOMAIN_BY_TYPE;
                if (!rule.written->identities.empty()) paths.flags |= BW_DOMAIN_BY_IDENTITY;
                if (!rule.written->labels.empty()) paths.flags |= BW_DOMAIN_BY_LABEL;
                if (ops & BW_OPS_PLAIN) {
                    say(paths.plain, effect, ops & BW_OPS_PLAIN);
                    plain.rules.push_back(line);
                }
                if (ops & BW_OP_CAPABLE) {
                    say(paths.capabilities, effect, rule.written->capabilities);
                    capabilities.rules.push_back(line);
                }
                for (std::uint32_t peer = 0; ops & BW_OPS_DOMAIN && peer < peers.size(); ++peer)
                    if (rule.peers.has(peer)) {
                        say(peers[peer], effect, ops & BW_OPS_DOMAIN);
                        peer_sets[peer].rules.push_back(line);
                    }
            }
            paths.plain_set = image_.intern_set(std::move(plain));
            paths.capability_set = image_.intern_set(std::move(capabilities));
            lines.peers = std::move(peers);
            for (auto& set : peer_sets) lines.peer_sets.push_back(image_.intern_set(std::move(set)));
            image_.domains.push_back(std::move(lines));
        }
    }

    void net() {
        for (std::uint32_t number = 0; number < linked_.domains.size(); ++number) {
            std::vector<bw_net_rule> run;
            for (std::size_t i = 0; i < linked_.rules.size(); ++i) {
                const auto& rule = linked_.rules[i];
                const auto ops = rule.written->ops & BW_OPS_ADDRESS;
                if (!ops || !rule.holds_for(number)) continue;
                static const std::vector<Net> any{Net{}};
                for (const auto& net : rule.written->net.empty() ? any : rule.written->net) {
                    auto line = net_line(net);
                    line.effect = rule.effect_in(number);
                    // A socket is made by its family alone: to refuse one address is not to refuse its family.
                    line.ops = rule.written->effect == Effect::allow || net.family_alone() ? ops : ops & ~BW_OP_SOCKET;
                    line.number = static_cast<std::uint32_t>(i + 1);
                    if (line.ops) run.push_back(line);
                }
                if (run.size() > BW_MAX_NET_RULES) {
                    diagnostics_.error(rule.written->at,
                                       fmt::format("more than {} addresses and ports in the domain {}",
                                                   BW_MAX_NET_RULES, quoted(linked_.domains[number].name)),
                                       "each entry of `net`, and each of its ports, is looked at one after the other",
                                       "write networks and ranges of ports");
                    break;
                }
            }
            auto& domain = image_.domains[number].domain;
            domain.net_count = static_cast<std::uint32_t>(run.size());
            domain.net_first = image_.intern_net(run);
        }
    }

    void ways() {
        for (std::uint32_t i = 0; i < linked_.ways.size(); ++i) {
            const auto& way = *linked_.ways[i].written;
            bw_entry line{};
            std::ranges::copy(linked_.ways[i].from.words, line.from);
            line.to = linked_.ways[i].to;
            if (way.cgroup) line.flags |= BW_ENTRY_CGROUP;
            if (way.identity) line.flags |= BW_ENTRY_IDENTITY;
            if (way.userns_init) line.flags |= *way.userns_init ? BW_ENTRY_USERNS_INIT : BW_ENTRY_USERNS_OTHER;
            line.uid_first = way.uid.first;
            line.uid_last = way.uid.last;
            line.gid_first = way.gid.first;
            line.gid_last = way.gid.last;
            line.number = i;
            image_.ways.push_back(line);
            if (!way.exe) image_.any_ways.push_back(i);
            out_.ways.push_back({line.to, way.at});
        }
        if (image_.any_ways.size() > BW_MAX_ENTRIES)
            diagnostics_.error(linked_.ways[image_.any_ways[BW_MAX_ENTRIES]].written->at,
                               fmt::format("more than {} ways into domains without `exe`", BW_MAX_ENTRIES),
                               "each is looked at when anything is executed", "add exe = \"GLOB\" to some");
    }

    void cells() {
        image_.cells.push_back(bw_cell{});
        std::vector<bw_cell> row(linked_.domains.size());
        for (std::uint32_t set = 0; set < image_.sets_with_cells; ++set) {
            std::ranges::fill(row, bw_cell{});
            for (const auto line : image_.set(set).rules) {
                const auto& rule = image_.rules[line];
                for (std::uint32_t domain = 0; domain < row.size(); ++domain)
                    if (rule.domains[domain / 64] >> domain % 64 & 1)
                        say(row[domain], rule.effect, rule.ops & BW_OPS_PATH);
            }
            for (const auto& cell : row) image_.cell_index.push_back(image_.intern_cell(cell));
        }
    }

    // Which domains something may be refused to, or told of, at a state or below. Starts with the state itself and
    // carries that up until nothing changes.
    void live() {
        const auto& states = image_.automaton.states;
        std::vector<bw_live> of_set(image_.sets_with_cells);
        for (std::uint32_t set = 0; set < of_set.size(); ++set)
            for (std::uint32_t domain = 0; domain < linked_.domains.size(); ++domain) {
                const auto& cell = image_.cells[image_.cell_index[set * linked_.domains.size() + domain]];
                const auto& linked = linked_.domains[domain];
                const auto bit = 1ULL << domain % 64;
                if ((cell.deny | (linked.default_deny & ~cell.allow)) & BW_OPS_PATH)
                    of_set[set].deny[domain / 64] |= bit;
                if ((cell.warn | (linked.default_warn & ~cell.allow)) & BW_OPS_PATH)
                    of_set[set].warn[domain / 64] |= bit;
            }
        auto& live = image_.live;
        for (const auto& state : states) live.push_back(of_set[state.set]);
        const auto join = [&](bw_live& into, std::uint32_t from) {
            bool more = false;
            for (std::size_t i = 0; i < 4; ++i) {
                more = more || (live[from].deny[i] & ~into.deny[i]) || (live[from].warn[i] & ~into.warn[i]);
                into.deny[i] |= live[from].deny[i];
                into.warn[i] |= live[from].warn[i];
            }
            return more;
        };
        // States are numbered as they are met from the starts, so backwards most of it is done in one pass.
        for (bool more = true; more;) {
            more = false;
            for (std::size_t i = states.size(); i-- > 0;) {
                more = join(live[i], states[i].other) || more;
                for (const auto to : states[i].targets) more = join(live[i], to) || more;
                for (const auto& edge : states[i].edges) more = join(live[i], edge.to) || more;
            }
        }
    }

    void facts() {
        for (const auto& rule : linked_.rules)
            out_.rules.push_back(
                {rule.written->name, rule.policy->name, rule.written->effect_at, rule.written->effect});
        for (const auto& domain : image_.domains) {
            const auto& lines = domain.domain;
            out_.ops |= lines.default_deny | lines.default_warn;
            out_.enforces = out_.enforces || lines.default_deny;
            out_.types = out_.types || lines.flags & BW_DOMAIN_BY_TYPE;
            out_.loss_denies = out_.loss_denies || lines.flags & BW_DOMAIN_LOSS_DENIES;
        }
        for (const auto& rule : image_.rules) {
            out_.ops |= rule.ops;
            out_.enforces = out_.enforces || rule.effect == BW_EFFECT_DENY;
        }
        for (const auto& way : image_.ways) out_.cgroups = out_.cgroups || way.flags & BW_ENTRY_CGROUP;
        out_.identities = !image_.identities.empty();
        out_.kinds = image_.way_kinds | image_.rule_kinds;
        for (const auto& domain : linked_.domains) out_.domains.push_back(domain.name);
        out_.sizes.states = image_.automaton.states.size();
        for (const auto& state : image_.automaton.states) out_.sizes.edges += state.edges.size();
        out_.sizes.glob_rows = image_.automaton.globs->rows().size();
        out_.sizes.sets = image_.set_count();
        out_.sizes.cells = image_.cells.size();
        out_.sizes.net_rules = image_.net.size();
        digest();
    }

    void digest() {
        std::vector<std::byte> bytes(out_.lines.size() * sizeof(Line));
        std::memcpy(bytes.data(), out_.lines.data(), bytes.size());
        const auto add = [&](const std::string& text) {
            for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
            bytes.push_back(std::byte{});
        };
        for (const auto& name : out_.domains) add(name);
        for (const auto& rule : out_.rules) add(rule.name);
        if (auto digest = trust::sha256(bytes))
            out_.digest = std::move(*digest);
        else
            too_large(digest.error());
    }

    const Linked& linked_;
    Diagnostics& diagnostics_;
    ImageParts image_;
    std::vector<std::vector<std::uint32_t>> lines_of_;  // [rule]: its lines
    Compiled out_;
};

}  // namespace

std::optional<Compiled> compile(std::span<const Policy> policies, Diagnostics& diagnostics,
                                std::span<const std::string> numbered) {
    const auto linked = link(policies, diagnostics, numbered);
    if (!diagnostics.ok()) return std::nullopt;
    return Compiler(linked, diagnostics).run();
}

bw_net_rule net_line(const Net& net) {
    bw_net_rule line{};
    std::ranges::copy(net.address, line.address);
    for (unsigned bit = 0; bit < net.prefix; ++bit) line.mask[bit / 8] |= static_cast<std::uint8_t>(0x80U >> bit % 8);
    line.family = net.family.value_or(BW_NET_ANY);
    line.port_first = net.port_first;
    line.port_last = net.port_last;
    return line;
}

void set_generation(std::span<Line> lines, std::uint32_t generation) {
    std::memcpy(lines[0].bytes.data() + offsetof(bw_image_head, generation), &generation, sizeof generation);
}

}  // namespace bpfwarden::policy
