// SPDX-License-Identifier: Apache-2.0
#include "filter/profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <compare>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "base/text.hpp"
#include "filter/action.hpp"
#include "filter/profile_document.hpp"
#include "filter/signatures.hpp"

namespace bpfwarden::filter {

namespace {

constexpr std::uint32_t no_call = 0xffffffff;  // what a tracer writes to skip a call
constexpr std::uint64_t low_half = 0xffffffff;

// Architectures of seccomp that have no table here, as the specification and as Docker (`arches`) write them.
constexpr std::string_view foreign_archs[] = {
    "SCMP_ARCH_ARM",         "SCMP_ARCH_MIPS",        "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",    "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",    "SCMP_ARCH_PPC64",     "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",        "SCMP_ARCH_S390X",       "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64",  "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K",        "SCMP_ARCH_SH",     "SCMP_ARCH_SHEB",
};
constexpr std::string_view foreign_arches[] = {
    "arm",         "mips",        "mips64",  "mips64n32",   "mipsel",  "mipsle", "mipsel64", "mips64le",
    "mipsel64n32", "mips3l64n32", "ppc",     "ppc64",       "ppc64le", "s390",   "s390x",    "parisc",
    "parisc64",    "riscv64",     "loong64", "loongarch64", "m68k",    "sh",     "sheb",
};

// One rule for one number: what must hold, in the order that counts, and what then.
struct Rule {
    std::vector<ArgumentCheck> checks;
    std::uint32_t action = 0;
    const RuleEntry* from = nullptr;
};

unsigned rank(Operator op) {
    switch (op) {
        case Operator::equal:
        case Operator::not_equal:
        case Operator::masked_equal:
            return 0;
        case Operator::below:
        case Operator::at_most:
            return 1;
        case Operator::above:
        case Operator::at_least:
            return 2;
    }
    return 3;
}

// Less comes first.
std::weak_ordering compare(const ArgumentCheck& one, const ArgumentCheck& other) {
    if (one.argument != other.argument) return other.argument <=> one.argument;
    if (rank(one.op) != rank(other.op)) return rank(one.op) <=> rank(other.op);
    if (rank(one.op) == 1) return one.value <=> other.value;
    return other.value <=> one.value;
}

bool comes_before(const Rule& one, const Rule& other) {
    return std::ranges::lexicographical_compare(one.checks, other.checks,
                                                [](const auto& a, const auto& b) { return compare(a, b) < 0; });
}

// Equal for rules that say the same of a call.
std::vector<std::uint64_t> conditions_of(const Rule& rule) {
    std::vector<std::uint64_t> all;
    for (const auto& check : rule.checks)
        all.insert(all.end(), {check.argument, static_cast<std::uint64_t>(check.op), check.value, check.mask});
    return all;
}

// No value of the argument is known to satisfy both. Not all such pairs are seen.
bool exclude_each_other(const ArgumentCheck& one, const ArgumentCheck& other) {
    if (one.argument != other.argument) return false;
    if (one.op == Operator::equal) return !holds(other, one.value);
    if (other.op == Operator::equal) return !holds(one, other.value);
    if (one.op == Operator::masked_equal && other.op == Operator::masked_equal)
        return ((one.value ^ other.value) & one.mask & other.mask) != 0;
    // Two ranges that both go to one end overlap; else the nearest value of each tells.
    if (rank(one.op) == 1 && rank(other.op) == 2)
        return !holds(other, one.op == Operator::below ? one.value - 1 : one.value);
    if (rank(one.op) == 2 && rank(other.op) == 1) return exclude_each_other(other, one);
    return false;
}

bool may_both_fit(const Rule& one, const Rule& other) {
    return std::ranges::none_of(one.checks, [&](const ArgumentCheck& check) {
        return std::ranges::any_of(other.checks,
                                   [&](const ArgumentCheck& second) { return exclude_each_other(check, second); });
    });
}
// Pairs are looked at: only for as many rules of one call as people write.
constexpr std::size_t max_paired_rules = 64;

// Several conditions on one argument.
bool repeats_argument(std::span<const ArgumentCheck> checks) {
    std::set<unsigned> arguments;
    for (const auto& check : checks) arguments.insert(check.argument);
    return arguments.size() < checks.size();
}

std::string capability(std::string_view name) {
    std::string upper;
    for (const char c : name) upper += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return upper.starts_with("CAP_") ? upper : "CAP_" + upper;
}

class Builder {
  public:
    Builder(ProfileDocument document, const ProfileOptions& options)
        : document_(std::move(document)), options_(options), decisions_(*profile_.function.decisions) {
        for (const auto& one : options.capabilities) capabilities_.insert(capability(one));
    }

    Result<Profile> build() {
        profile_.warnings = document_.warnings;
        profile_.default_action = document_.default_action;
        default_ = decisions_.action(document_.default_action);
        bad_arch_ = decisions_.action(options_.bad_arch);
        warn_of_names();
        BW_TRY(choose_abis());
        choose_entries();
        rules_of_numbers_.default_place = {"defaultAction", document_.default_line};
        rules_of_numbers_.default_action = normalized(document_.default_action);
        for (const auto& entry : document_.rules) rules_of_numbers_.places.push_back({entry.path, entry.line});
        for (const Abi abi : profile_.abis) BW_TRY(add_abi(abi));
        profile_.rules = std::make_shared<const ProfileRules>(std::move(rules_of_numbers_));
        profile_.function.other = bad_arch_;
        for (auto& [arch, runs] : runs_) profile_.function.parts.push_back({arch, std::move(runs).done()});
        set_flags();
        return std::move(profile_);
    }

  private:
    void warn(const std::string& path, std::string text) {
        if (warned_.emplace(path, text).second) profile_.warnings.push_back({path, std::move(text)});
    }

    void warn_of_names() {
        for (const auto& entry : document_.rules)
            for (const auto& name : entry.names)
                if (!is_known_name(name))
                    warn(entry.path,
                         fmt::format("no architecture has a system call {}: left out", bpfwarden::quoted(name)));
    }

    // Adds the ABI that a profile's SCMP_ARCH_… is.
    Result<> add_arch(const std::string& name, const std::string& path) {
        const auto abi = name == "SCMP_ARCH_NATIVE"       ? std::optional(options_.native)
                         : name.starts_with("SCMP_ARCH_") ? parse_abi(name)
                                                          : std::nullopt;
        if (abi) {
            if (std::ranges::find(profile_.abis, *abi) == profile_.abis.end()) profile_.abis.push_back(*abi);
            return {};
        }
        if (std::ranges::find(foreign_archs, name) == std::end(foreign_archs))
            return fail(Error(Code::bad_input, fmt::format("the profile is wrong at {}", path))
                            .because(fmt::format("{} is no architecture", bpfwarden::quoted(name)))
                            .advise("SCMP_ARCH_X86_64, SCMP_ARCH_X32, SCMP_ARCH_X86, SCMP_ARCH_AARCH64, …"));
        warn(path, fmt::format("{} is not supported: its calls get {}", name, filter::text(options_.bad_arch)));
        return {};
    }

    // The native one is always in, as libseccomp has it.
    Result<> choose_abis() {
        profile_.abis.push_back(options_.native);
        for (std::size_t i = 0; i < document_.architectures.size(); ++i)
            BW_TRY(add_arch(document_.architectures[i], fmt::format("architectures[{}]", i)));
        bool found = false;
        for (std::size_t i = 0; i < document_.arch_map.size(); ++i) {
            const auto& entry = document_.arch_map[i];
            if (found || parse_abi(entry.architecture) != options_.native) continue;
            found = true;
            for (std::size_t k = 0; k < entry.sub_architectures.size(); ++k)
                BW_TRY(add_arch(entry.sub_architectures[k], fmt::format("archMap[{}].subArchitectures[{}]", i, k)));
        }
        if (!options_.abis.empty()) {
            profile_.abis.clear();
            for (const Abi abi : options_.abis)
                if (std::ranges::find(profile_.abis, abi) == profile_.abis.end()) profile_.abis.push_back(abi);
        }
        return {};
    }

    bool is_native(const std::string& arch, const std::string& path) {
        const auto abi = parse_abi(arch);
        if (!abi && std::ranges::find(foreign_arches, arch) == std::end(foreign_arches))
            warn(path, fmt::format("{} is no architecture", bpfwarden::quoted(arch)));
        return abi == options_.native;
    }

    bool included(const RuleEntry& entry) {
        const auto has = [&](const std::string& name) { return capabilities_.contains(capability(name)); };
        const auto native = [&](const std::string& arch) { return is_native(arch, entry.path); };
        const auto& [caps, arches, kernel] = entry.includes;
        const auto& [no_caps, no_arches, no_kernel] = entry.excludes;
        // Each is looked at, for its warning.
        const auto arch_in = std::ranges::count_if(arches, native);
        const auto arch_out = std::ranges::count_if(no_arches, native);
        return (arches.empty() || arch_in > 0) && arch_out == 0 && std::ranges::all_of(caps, has) &&
               std::ranges::none_of(no_caps, has) && (!kernel || options_.kernel >= *kernel) &&
               (!no_kernel || options_.kernel < *no_kernel);
    }

    void choose_entries() {
        for (const auto& entry : document_.rules) {
            if (!included(entry)) continue;
            entries_.push_back(&entry);
            if (entry.action == SECCOMP_RET_USER_NOTIF && std::ranges::find(entry.names, "write") != entry.names.end())
                warn(entry.path, "runc refuses SCMP_ACT_NOTIFY for write: it writes before its agent can answer");
        }
        if (document_.default_action == SECCOMP_RET_USER_NOTIF)
            warn("defaultAction", "runc refuses SCMP_ACT_NOTIFY as default action");
    }

    // One entry's conditions, for one ABI. Those that always hold are left out.
    std::vector<ArgumentCheck> checks_of(const std::vector<ArgumentCheck>& written, Abi abi) {
        std::vector<ArgumentCheck> checks;
        for (ArgumentCheck check : written) {
            if (is_32_bit(abi)) {
                check.value &= low_half;
                check.mask &= low_half;
            }
            check.value &= check.mask;
            if (check.mask != 0) checks.push_back(check);
        }
        // Conditions of one rule are looked at from the first argument on; their order changes nothing else.
        std::ranges::stable_sort(checks, [](const auto& a, const auto& b) {
            return a.argument != b.argument ? a.argument < b.argument : compare(a, b) < 0;
        });
        return checks;
    }

    void add_rule(std::uint32_t number, Rule rule) { rules_[number].push_back(std::move(rule)); }

    void add_rules(std::uint32_t number, const RuleEntry& entry, Abi abi) {
        if (options_.same_argument == SameArgument::any && repeats_argument(entry.checks))
            for (const auto& check : entry.checks)
                add_rule(number, {checks_of({check}, abi), normalized(entry.action), &entry});
        else
            add_rule(number, {checks_of(entry.checks, abi), normalized(entry.action), &entry});
    }

    void add_multiplexed(const Multiplexed& through, std::string_view name, const RuleEntry& entry) {
        if (!entry.checks.empty())
            warn(entry.path, fmt::format("i386 has {} behind {} too, where its arguments cannot be looked at", name,
                                         name_of(Abi::i386, through.number)));
        // As libseccomp: the selector in place of the condition on argument 0, the others on what is in the registers.
        const auto one = [&](std::span<const ArgumentCheck> written) {
            std::vector<ArgumentCheck> checks = {{.argument = 0, .op = Operator::equal, .value = through.selector}};
            for (const auto& check : written)
                if (check.argument != 0) checks.push_back(check);
            add_rule(through.number, {checks_of(checks, Abi::i386), normalized(entry.action), &entry});
        };
        if (options_.same_argument == SameArgument::any && repeats_argument(entry.checks))
            for (const auto& check : entry.checks) one({&check, 1});
        else
            one(entry.checks);
    }

    void collect_rules(Abi abi) {
        rules_.clear();
        for (const auto* entry : entries_)
            for (const auto& name : entry->names) {
                if (const auto through = multiplexed(abi, name)) add_multiplexed(*through, name, *entry);
                if (const auto number = number_of(abi, name)) {
                    add_rules(*number, *entry, abi);
                    if (!is_32_bit(abi)) warn_of_ints(name, *entry);
                }
            }
    }

    void warn_of_ints(std::string_view name, const RuleEntry& entry) {
        for (std::size_t i = 0; i < entry.checks.size(); ++i) {
            const auto& check = entry.checks[i];
            if (!is_int_argument(name, check.argument)) continue;
            if (check.op == Operator::masked_equal && check.mask <= low_half) continue;
            const bool fits_large =
                check.op == Operator::not_equal || check.op == Operator::above || check.op == Operator::at_least;
            const bool allows_more = outranks(document_.default_action, entry.action);
            warn(fmt::format("{}.args[{}]", entry.path, i),
                 fmt::format("argument {} of {} is an int, and this compares 64 bits: {}", check.argument, name,
                             check.value > low_half ? "no value that the kernel acts on is so large"
                             : fits_large == allows_more
                                 ? "it can be evaded with a value whose upper half is set, which the kernel drops"
                                 : "a value whose upper half is set does not fit, though the kernel drops that half"));
        }
    }

    // What the rules of one number mean, or an error where two contradict each other. Those that count are left, in the
    // order in which they do.
    Result<Node> decide(std::uint32_t number, std::vector<Rule>& rules, Abi abi) {
        const std::uint32_t by_default = normalized(document_.default_action);
        const auto other_action = [&](const Rule& rule) { return rule.action != by_default; };
        if (std::ranges::any_of(rules, other_action))
            for (const auto& rule : rules)
                if (!other_action(rule))
                    warn(rule.from->path,
                         fmt::format("the action for {} is the default action: the rule does not count beside "
                                     "others of the call",
                                     name_of(abi, number)));
        std::erase_if(rules, [&](const Rule& rule) { return !other_action(rule); });
        const auto whole = std::ranges::find_if(rules, [](const Rule& rule) { return rule.checks.empty(); });
        if (whole != rules.end()) {
            for (const auto& rule : rules)
                if (rule.action != whole->action)
                    warn(rule.from->path, fmt::format("for {}, {} decides without conditions: this rule does not count",
                                                      name_of(abi, number), whole->from->path));
            const Rule decides = *whole;
            rules = {decides};
            return decisions_.action(decides.action);
        }
        std::ranges::stable_sort(rules, comes_before);
        std::map<std::vector<std::uint64_t>, const Rule*> known;
        for (const auto& rule : rules) {
            const auto [at, is_new] = known.try_emplace(conditions_of(rule), &rule);
            if (!is_new && at->second->action != rule.action)
                return fail(Error(Code::bad_input, fmt::format("the profile is wrong at {}", rule.from->path))
                                .because(fmt::format("for {}, {} has the same conditions and another action",
                                                     name_of(abi, number), at->second->from->path))
                                .advise("leave one of them out"));
        }
        warn_of_overlaps(number, rules, abi);
        Node node = default_;
        for (std::size_t end = rules.size(); end > 0;) {
            const std::size_t first = same_value_list(rules, end);
            const auto condition =
                end - first > 1 ? one_of(rules, first, end, abi) : all_hold(rules[first].checks, abi);
            node = decisions_.test(condition, decisions_.action(rules[first].action), node);
            end = first;
        }
        return node;
    }

    void warn_of_overlaps(std::uint32_t number, std::span<const Rule> rules, Abi abi) {
        if (rules.size() > max_paired_rules) return;
        for (std::size_t i = 0; i < rules.size(); ++i)
            for (std::size_t k = i + 1; k < rules.size(); ++k)
                if (rules[i].action != rules[k].action && may_both_fit(rules[i], rules[k]))
                    warn(rules[k].from->path,
                         fmt::format("a call of {} may fit {} too, which comes first here and has another action",
                                     name_of(abi, number), rules[i].from->path));
    }

    static bool is_single_value(const Rule& rule) {
        return rule.checks.size() == 1 && rule.checks.front().op == Operator::equal;
    }
    // The first of the rules before `end` that, with those after it, say the same of several values of one argument.
    static std::size_t same_value_list(std::span<const Rule> rules, std::size_t end) {
        std::size_t first = end - 1;
        if (!is_single_value(rules[first])) return first;
        while (first > 0 && is_single_value(rules[first - 1]) && rules[first - 1].action == rules[first].action &&
               rules[first - 1].checks.front().argument == rules[first].checks.front().argument)
            --first;
        return first;
    }

    Term argument(unsigned index, Abi abi) {
        auto& terms = decisions_.terms();
        return is_32_bit(abi) ? terms.word(arg_low(index)) : terms.pair(arg_low(index), arg_high(index));
    }

    Condition one_of(std::span<const Rule> rules, std::size_t first, std::size_t end, Abi abi) {
        std::set<std::uint64_t> values;
        for (std::size_t i = first; i < end; ++i) values.insert(rules[i].checks.front().value);
        return decisions_.terms().one_of(argument(rules[first].checks.front().argument, abi),
                                         {values.begin(), values.end()});
    }

    Condition condition(const ArgumentCheck& check, Abi abi) {
        auto& terms = decisions_.terms();
        const Term have = argument(check.argument, abi), value = terms.constant(check.value);
        switch (check.op) {
            case Operator::equal:
                return terms.equal(have, value);
            case Operator::not_equal:
                return terms.opposite(terms.equal(have, value));
            case Operator::below:
                return terms.below(have, value);
            case Operator::at_least:
                return terms.opposite(terms.below(have, value));
            case Operator::above:
                return terms.below(value, have);
            case Operator::at_most:
                return terms.opposite(terms.below(value, have));
            case Operator::masked_equal:
                return terms.equal(terms.binary(TermKind::bit_and, have, terms.constant(check.mask)), value);
        }
        return terms.never();
    }

    Condition all_hold(std::span<const ArgumentCheck> checks, Abi abi) {
        auto& terms = decisions_.terms();
        Condition all = terms.always();
        for (const auto& check : checks) all = terms.both(all, condition(check, abi));
        return all;
    }

    Result<> add_abi(Abi abi) {
        auto& runs = runs_.try_emplace(audit_arch(abi), abi_rest(abi)).first->second;
        const std::uint32_t first = abi == Abi::x32 ? x32_bit : 0;
        const std::uint32_t last = abi == Abi::x86_64 ? x32_bit - 1 : no_call - 1;
        collect_rules(abi);
        runs.set(first, last, default_);
        set_unruled(runs, abi, first, last);
        runs.set(no_call, no_call, default_);
        for (auto& [number, rules] : rules_) {
            runs.set(number, number, BW_TRY(decide(number, rules, abi)));
            auto& kept = rules_of_numbers_.numbers[{audit_arch(abi), number}];
            kept.is_32_bit = is_32_bit(abi);
            for (auto& rule : rules)
                kept.rules.push_back({std::move(rule.checks), rule.action,
                                      static_cast<std::size_t>(rule.from - document_.rules.data())});
        }
        return {};
    }

    // Of the two ABIs with one value of arch, one may be missing: then it is as foreign as any other.
    Runs abi_rest(Abi abi) const { return Runs(abi == Abi::x86_64 || abi == Abi::x32 ? bad_arch_ : default_); }

    void set_unruled(Runs& runs, Abi abi, std::uint32_t first, std::uint32_t last) {
        const std::uint32_t by_default = document_.default_action & action_mask;
        if (by_default == SECCOMP_RET_ALLOW || by_default == SECCOMP_RET_LOG || by_default == SECCOMP_RET_TRACE) return;
        const Node enosys = decisions_.action(error_of(ENOSYS));
        if (options_.no_rule == NoRule::enosys_above && !rules_.empty()) {
            const std::uint32_t largest = rules_.rbegin()->first;
            if (largest < last) runs.set(largest + 1, last, enosys);
        } else if (options_.no_rule == NoRule::enosys_unknown) {
            runs.set(first, last, enosys);
            for (const std::uint32_t number : all_numbers(abi, options_.kernel)) runs.set(number, number, default_);
        }
    }

    void set_flags() {
        profile_.has_flags = document_.has_flags;
        profile_.flags = document_.flags;
        profile_.listener_path = document_.listener_path;
        profile_.listener_metadata = document_.listener_metadata;
        const bool notifies =
            document_.default_action == SECCOMP_RET_USER_NOTIF ||
            std::ranges::any_of(entries_, [](const auto* entry) { return entry->action == SECCOMP_RET_USER_NOTIF; });
        if (notifies) profile_.flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
        if (notifies && document_.listener_path.empty())
            warn("listenerPath", "an action notifies, and there is no listener to send the notifications to");
    }

    ProfileDocument document_;
    const ProfileOptions& options_;
    Profile profile_;
    Decisions& decisions_;
    Node default_, bad_arch_;
    std::set<std::string> capabilities_;
    std::vector<const RuleEntry*> entries_;
    std::map<std::uint32_t, std::vector<Rule>> rules_;  // of the ABI at hand
    std::map<std::uint32_t, Runs> runs_;
    ProfileRules rules_of_numbers_;
    std::set<std::pair<std::string, std::string>> warned_;
};

}  // namespace

Result<Profile> read_profile(std::string_view json, const ProfileOptions& options) {
    return Builder(BW_TRY(parse_profile(json)), options).build();
}

}  // namespace bpfwarden::filter
