// SPDX-License-Identifier: Apache-2.0
#include "grant/learn.hpp"

#include <algorithm>
#include <map>
#include <ranges>

#include <fmt/format.h>

#include "base/text.hpp"
#include "grant/check.hpp"
#include "grant/danger.hpp"
#include "grant/facts.hpp"
#include "grant/lint.hpp"

namespace bpfwarden::grant {

namespace {

// A grant of its own text includes nothing.
class NoIncludes : public Loader {
  public:
    Result<Source> include(std::string_view name, const Source&) override {
        return fail(Error(Code::bad_input, fmt::format("nothing is included here, and {} would be", quoted(name))));
    }
};

std::optional<Resolved> read(const std::string& text) {
    NoIncludes loader;
    Diagnostics diagnostics;
    auto grant = resolve({"learned", "learned", text}, loader, diagnostics);
    if (!diagnostics.ok()) return std::nullopt;
    return grant;
}

struct Seen {
    std::string text;
    Operation operation;
};

// Value -> the operation that needed it first.
using Values = std::map<std::string, std::string>;

class Draft {
  public:
    void add(const Seen& seen) {
        std::visit([&](const auto& operation) { take(operation, seen.text); }, seen.operation);
    }

    // The least type, for what did nothing but ask.
    void add_type_for_probes() {
        if (!probe_.empty() && of(Dimension::program_types).empty())
            of(Dimension::program_types).try_emplace("socket_filter", probe_);
    }
    // Each with what it takes in the kernel beyond the grant's own lists.
    void add_capabilities() {
        const auto need = [&](std::string_view capability, const std::string& because) {
            capabilities_.try_emplace(std::string(capability), because);
        };
        for (const auto& [type, why] : of(Dimension::map_types)) {
            need("bpf", why);
            if (const auto more = map_capability(type); !more.empty()) need(more, why);
        }
        for (const auto& [type, why] : of(Dimension::program_types)) {
            need("bpf", why);
            const auto* facts = program_facts(type);
            if (facts != nullptr && facts->net_admin) need("net_admin", why);
            if (facts != nullptr && facts->perfmon) need("perfmon", why);
        }
        if (!events_.empty()) need("perfmon", events_);
    }

    std::string text(std::string_view name, std::string_view subject, const std::vector<std::string>& dangers) const {
        std::string out =
            "# Learned by `bpfwarden grant learn`; bpfwarden-grant(5) explains every key. Each entry says what needed "
            "it first.\n";
        out += fmt::format("format = 1\nname = {}\n", toml(name));
        if (subject.empty())
            out += "# Without a subject it is for root alone: subject = [ { user = \"NAME\" } ]\n";
        else
            out += fmt::format("subject = [ {{ {} }} ]\n", subject);
        if (!dangers.empty()) {
            for (const auto& one : dangers)
                out += fmt::format("# DANGEROUS: {}: this grant {}\n", one, danger(one)->hands_over);
            out += fmt::format("dangerous = [{}]\n", fmt::join(dangers | std::views::transform(toml), ", "));
        }
        out += "\n[allow]\n";
        for (const auto dimension : all_dimensions)
            if (dimension != Dimension::capabilities) write(out, key_of(dimension), of(dimension));
        write(out, key_of(Dimension::capabilities), capabilities_);
        if (std::ranges::any_of(targets_, [](const Values& values) { return !values.empty(); })) {
            out += "\n[targets]\n";
            for (const auto target : all_targets) {
                propose_globs(out, targets_[index_of(target)]);
                write(out, key_of(target), targets_[index_of(target)]);
            }
        }
        if (not_revocable_) out += "\n[session]\nnot_revocable = true\n";
        return out;
    }

    // Every list, to be tried without one of its values. Capabilities are the kernel's to ask for.
    std::vector<Values*> lists() {
        std::vector<Values*> all;
        for (const auto dimension : all_dimensions)
            if (dimension != Dimension::capabilities && dimension != Dimension::commands) all.push_back(&of(dimension));
        // Of the others none would mean all.
        for (const auto target : all_targets)
            if (absent_means_none(target)) all.push_back(&targets_[index_of(target)]);
        return all;
    }
    void write_attach_type(const std::string& type, const std::string& why) {
        of(Dimension::attach_types).try_emplace(type, why);
    }
    void go_on_after_revocation() { not_revocable_ = true; }

  private:
    const Values& of(Dimension dimension) const { return allow_[index_of(dimension)]; }
    Values& of(Dimension dimension) { return allow_[index_of(dimension)]; }

    void take(const MapCreate& map, const std::string& text) { of(Dimension::map_types).try_emplace(map.type, text); }
    void take(const BtfLoad&, const std::string&) {}
    void take(const ProgLoad& load, const std::string& text) {
        // Which every grant allows that allows any program.
        if (probe_of(load) != nullptr) {
            if (probe_.empty()) probe_ = text;
            return;
        }
        const auto short_text = fmt::format("prog_load {}", load.type);
        of(Dimension::program_types).try_emplace(load.type, short_text);
        for (const auto& helper : load.helpers) of(Dimension::helpers).try_emplace(helper, short_text);
        for (const auto& kfunc : load.kfuncs) of(Dimension::kfuncs).try_emplace(kfunc, short_text);
        for (const auto& feature : load.features) of(Dimension::verifier).try_emplace(feature, short_text);
        if (!load.function.empty()) target(Target::functions, load.function, short_text);
        if (!load.tracepoint.empty()) target(Target::tracepoints, load.tracepoint, short_text);
    }
    void take(const Attach& attach, const std::string& text) {
        for (const auto& [kind, name] : attach.targets) target(kind, name, text);
    }
    void take(const PerfEventOpen& event, const std::string& text) {
        events_ = text;
        // It comes with the maps that programs write to events through.
        if (event.kind != Target::perf_events || event.event != "software/bpf-output")
            target(event.kind, event.event, text);
    }
    // They follow from the types.
    void take(const OtherCommand&, const std::string&) {}
    void take(const UseHelper&, const std::string&) {}
    void target(Target kind, const std::string& name, const std::string& text) {
        targets_[index_of(kind)].try_emplace(name, text);
    }

    static std::string toml(std::string_view text) {
        std::string out = "\"";
        for (const char c : text) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        return out + "\"";
    }
    static void write(std::string& out, std::string_view key, const Values& values) {
        if (values.empty()) return;
        out += fmt::format("{} = [\n", key);
        for (const auto& [value, why] : values)
            out += fmt::format("    {:<28} # {}\n", toml(value) + ",", printable(why));
        out += "]\n";
    }
    // Three or more with a beginning in common: what a person would write, if they mean all of that shape.
    static void propose_globs(std::string& out, const Values& values) {
        std::map<std::string, unsigned> shapes;
        for (const auto& [value, why] : values) {
            const auto end = value.find_last_of("_/");
            if (end != std::string::npos && end + 1 < value.size()) ++shapes[value.substr(0, end + 1) + "*"];
        }
        for (const auto& [shape, count] : shapes)
            if (count >= 3)
                out += fmt::format("# {} of these have one shape: {} would allow all of it\n", count, toml(shape));
    }

    std::array<Values, std::size(all_dimensions)> allow_;
    std::array<Values, std::size(all_targets)> targets_;
    Values capabilities_;
    std::string events_, probe_;
    bool not_revocable_ = false;
};

bool allows(const std::optional<Resolved>& grant, const std::vector<Seen>& all) {
    return grant && std::ranges::all_of(all, [&](const Seen& one) { return check(*grant, one.operation).allowed; });
}

}  // namespace

std::string everything() {
    std::string dangers;
    for (const auto& one : all_dangers()) dangers += fmt::format("{}\"{}\"", dangers.empty() ? "" : ", ", one.name);
    std::string capabilities;
    for (const auto& one : all_capability_facts())
        if (one.name != "sys_admin")
            capabilities += fmt::format("{}\"{}\"", capabilities.empty() ? "" : ", ", one.name);
    std::string text = fmt::format("format = 1\nname = \"everything\"\ndangerous = [{}]\n[allow]\n", dangers);
    for (const auto dimension : all_dimensions)
        if (dimension == Dimension::capabilities)
            text += fmt::format("capabilities = [{}]\n", capabilities);
        else if (dimension != Dimension::commands)
            text += fmt::format("{} = [\"any\"]\n", key_of(dimension));
    text += "[targets]\n";
    for (const auto target : all_targets) text += fmt::format("{} = [\"any\"]\n", key_of(target));
    return text + "[session]\nnot_revocable = true\n";
}

Result<Learned> learn(std::string_view name, std::string_view subject, const std::vector<std::string>& operations) {
    Learned learned;
    std::vector<Seen> all;
    Draft draft;
    for (const auto& text : operations) {
        std::vector<std::string> words;
        for (const auto word : split(text, ' ')) words.emplace_back(word);
        auto operation = parse_operation(words);
        if (!operation) {
            learned.left_out.push_back(text);
            continue;
        }
        all.push_back({text, std::move(*operation)});
        draft.add(all.back());
    }
    draft.add_type_for_probes();
    draft.add_capabilities();
    const auto read_draft = [&] { return read(draft.text(name, subject, {})); };

    // What the types do not imply: attach types of programs that have a choice.
    auto grant = read_draft();
    if (!grant) return fail(Error(Code::failed, "what was learned makes no grant"));
    std::erase_if(all, [&](const Seen& one) {
        if (check(*grant, one.operation).allowed) return false;
        if (const auto* load = std::get_if<ProgLoad>(&one.operation); load != nullptr && !load->attach.empty())
            draft.write_attach_type(load->attach, fmt::format("prog_load {}", load->type));
        else if (const auto* attach = std::get_if<Attach>(&one.operation))
            draft.write_attach_type(attach->type, one.text);
        const auto more = read_draft();
        if (more && check(*more, one.operation).allowed) return false;
        learned.left_out.push_back(one.text);
        return true;
    });
    // Whatever is not needed by any of them goes again.
    for (auto* list : draft.lists()) {
        const Values whole = *list;
        for (const auto& [value, why] : whole) {
            list->erase(value);
            if (!allows(read_draft(), all)) list->emplace(value, why);
        }
    }
    grant = read_draft();
    if (!allows(grant, all)) return fail(Error(Code::failed, "what was learned does not allow what was done"));
    std::vector<std::string> dangers;
    for (const auto& need : dangers_of(*grant))
        if (std::ranges::find(dangers, need.danger->name) == dangers.end()) dangers.emplace_back(need.danger->name);
    learned.text = draft.text(name, subject, dangers);
    return learned;
}

}  // namespace bpfwarden::grant
