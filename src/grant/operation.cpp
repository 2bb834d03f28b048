// SPDX-License-Identifier: Apache-2.0
#include "grant/operation.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/text.hpp"
#include "grant/lookup.hpp"

namespace bpfwarden::grant {

static constexpr std::string_view verbs[] = {"map_create",      "prog_load", "btf_load", "attach",
                                             "perf_event_open", "command",   "helper",   "kfunc"};

static Failure unknown(Dimension dimension, std::string_view name) {
    auto words = describe_unknown(dimension, name);
    return fail(Error(Code::usage, std::move(words.what)).because(std::move(words.why)).advise(std::move(words.hint)));
}

static Result<std::string> known(Dimension dimension, std::string_view name) {
    if (auto proper = look_up(dimension, name)) return std::move(*proper);
    return unknown(dimension, name);
}

static Failure usage(std::string what, std::string why, std::string hint = "") {
    return fail(Error(Code::usage, std::move(what)).because(std::move(why)).advise(std::move(hint)));
}

namespace {

// KEY=VALUE words.
class Settings {
  public:
    static Result<Settings> read(std::string_view verb, std::span<const std::string> words,
                                 std::span<const std::string_view> known_keys) {
        Settings out;
        for (const auto& word : words) {
            const auto equals = word.find('=');
            const auto key = std::string_view(word).substr(0, equals);
            if (equals == std::string::npos || std::ranges::find(known_keys, key) == known_keys.end()) {
                const auto near = nearest(key, known_keys);
                return usage(fmt::format("{} cannot follow {}", quoted(word), verb),
                             known_keys.empty() ? "nothing follows it"
                                                : fmt::format("what can: {}=…", fmt::join(known_keys, "=…, ")),
                             near ? fmt::format("did you mean {}=?", *near) : "");
            }
            if (equals + 1 == word.size())
                return usage(fmt::format("{} has no value", quoted(word)), fmt::format("write {}=VALUE", key));
            out.values_.emplace_back(key, std::string_view(word).substr(equals + 1));
        }
        return out;
    }
    std::vector<std::string_view> all(std::string_view key) const {
        std::vector<std::string_view> found;
        for (const auto& [name, value] : values_)
            if (name == key) found.push_back(value);
        return found;
    }
    std::string_view last(std::string_view key) const {
        const auto found = all(key);
        return found.empty() ? std::string_view() : found.back();
    }

  private:
    std::vector<std::pair<std::string_view, std::string_view>> values_;
};

}  // namespace

static Result<std::vector<std::string>> names(Dimension dimension, const std::vector<std::string_view>& words) {
    std::vector<std::string> out;
    for (const auto word : words) out.push_back(BW_TRY(known(dimension, word)));
    return out;
}

static Result<Operation> parse_prog_load(std::string type, std::span<const std::string> words) {
    static constexpr std::string_view keys[] = {"attach", "helper", "kfunc",    "feature",   "instructions",
                                                "sha256", "signer", "function", "tracepoint"};
    const auto settings = BW_TRY(Settings::read("prog_load TYPE", words, keys));
    ProgLoad load;
    load.type = std::move(type);
    if (const auto attach = settings.last("attach"); !attach.empty())
        load.attach = BW_TRY(known(Dimension::attach_types, attach));
    load.helpers = BW_TRY(names(Dimension::helpers, settings.all("helper")));
    load.kfuncs = BW_TRY(names(Dimension::kfuncs, settings.all("kfunc")));
    load.features = BW_TRY(names(Dimension::verifier, settings.all("feature")));
    if (const auto count = settings.last("instructions"); !count.empty()) {
        std::uint64_t number = 0;
        const auto [end, err] = std::from_chars(count.data(), count.data() + count.size(), number);
        if (err != std::errc{} || end != count.data() + count.size())
            return usage(fmt::format("{} is no number of instructions", quoted(count)), "it is a whole number");
        load.instructions = number;
    }
    load.sha256 = lower(settings.last("sha256"));
    for (const auto name : settings.all("signer")) load.signers.emplace_back(name);
    load.function = settings.last("function");
    load.tracepoint = settings.last("tracepoint");
    return load;
}

struct TargetWord {
    std::string_view word;
    Target target;
};
static constexpr TargetWord target_words[] = {{"cgroup", Target::cgroups},         {"interface", Target::interfaces},
                                              {"tracepoint", Target::tracepoints}, {"function", Target::functions},
                                              {"uprobe", Target::uprobes},         {"event", Target::perf_events}};

static Result<Operation> parse_attach(std::string type, std::span<const std::string> words) {
    static constexpr std::string_view keys[] = {"program", "cgroup", "interface", "tracepoint", "function", "uprobe"};
    const auto settings = BW_TRY(Settings::read("attach TYPE", words, keys));
    Attach attach;
    attach.type = std::move(type);
    if (const auto program = settings.last("program"); !program.empty())
        attach.program = BW_TRY(known(Dimension::program_types, program));
    for (const auto& [word, target] : target_words)
        for (const auto value : settings.all(word)) attach.targets.emplace_back(target, value);
    return attach;
}

static Result<Operation> parse_perf_event(std::span<const std::string> words) {
    static constexpr std::string_view keys[] = {"tracepoint", "function", "uprobe", "event"};
    const auto settings = BW_TRY(Settings::read("perf_event_open", words, keys));
    if (words.size() == 1)
        for (const auto& [word, target] : target_words)
            if (const auto value = settings.last(word); !value.empty())
                return PerfEventOpen{target, std::string(value)};
    return usage("perf_event_open opens one event",
                 "tracepoint=NAME, function=NAME, uprobe=PATH:SYMBOL or event=KIND/NAME");
}

Result<Operation> parse_operation(std::span<const std::string> words) {
    static constexpr std::string_view example =
        "for example: map_create lpm_trie · prog_load xdp · attach xdp interface=eth0";
    if (words.empty()) return usage("no operation is given", "", std::string(example));
    const std::string verb = lower(words[0]);
    const auto rest = words.subspan(1);
    if (verb == "btf_load" || verb == "perf_event_open") {
        if (verb == "perf_event_open") return parse_perf_event(rest);
        BW_TRY(Settings::read(verb, rest, {}));
        return BtfLoad{};
    }
    if (std::ranges::find(verbs, verb) == std::end(verbs)) {
        // A bare command of bpf() is a likely question too.
        if (words.size() == 1)
            if (auto command = look_up(Dimension::commands, verb)) return OtherCommand{*command};
        const auto near = nearest(verb, verbs);
        return usage(fmt::format("{} is no operation", quoted(words[0])),
                     fmt::format("an operation starts with {}", fmt::join(verbs, ", ")),
                     near ? fmt::format("did you mean {}?", *near) : std::string(example));
    }
    if (rest.empty() || rest[0].find('=') != std::string::npos)
        return usage(fmt::format("{} needs a name after it", verb), "", std::string(example));
    const auto more = rest.subspan(1);
    if (verb == "prog_load") return parse_prog_load(BW_TRY(known(Dimension::program_types, rest[0])), more);
    if (verb == "attach") return parse_attach(BW_TRY(known(Dimension::attach_types, rest[0])), more);
    BW_TRY(Settings::read(fmt::format("{} {}", verb, printable(rest[0])), more, {}));
    if (verb == "map_create") return MapCreate{BW_TRY(known(Dimension::map_types, rest[0]))};
    if (verb == "helper") return UseHelper{BW_TRY(known(Dimension::helpers, rest[0])), false};
    if (verb == "kfunc") return UseHelper{BW_TRY(known(Dimension::kfuncs, rest[0])), true};
    return OtherCommand{BW_TRY(known(Dimension::commands, rest[0]))};
}

std::string describe(const Operation& operation) {
    struct Describe {
        std::string operator()(const MapCreate& op) const { return "map_create " + op.type; }
        std::string operator()(const ProgLoad& op) const {
            std::string out = "prog_load " + op.type;
            const auto add = [&](std::string_view key, std::string_view value) {
                if (!value.empty()) out += fmt::format(" {}={}", key, value);
            };
            add("attach", op.attach);
            for (const auto& one : op.helpers) add("helper", one);
            for (const auto& one : op.kfuncs) add("kfunc", one);
            for (const auto& one : op.features) add("feature", one);
            if (op.instructions) add("instructions", std::to_string(*op.instructions));
            add("sha256", op.sha256);
            for (const auto& one : op.signers) add("signer", one);
            add("function", op.function);
            add("tracepoint", op.tracepoint);
            return out;
        }
        std::string operator()(const BtfLoad&) const { return "btf_load"; }
        std::string operator()(const Attach& op) const {
            std::string out = "attach " + op.type;
            if (!op.program.empty()) out += " program=" + op.program;
            for (const auto& [target, value] : op.targets) out += fmt::format(" {}={}", word_of(target), value);
            return out;
        }
        std::string operator()(const PerfEventOpen& op) const {
            return fmt::format("perf_event_open {}={}", word_of(op.kind), op.event);
        }
        std::string operator()(const OtherCommand& op) const { return "command " + op.command; }
        std::string operator()(const UseHelper& op) const { return (op.kfunc ? "kfunc " : "helper ") + op.name; }
        static std::string_view word_of(Target target) {
            return std::ranges::find(target_words, target, &TargetWord::target)->word;
        }
    };
    return std::visit(Describe{}, operation);
}

}  // namespace bpfwarden::grant
