// SPDX-License-Identifier: Apache-2.0
#include "grant/resolve.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "grant/facts.hpp"
#include "grant/groups.hpp"
#include "grant/implied.hpp"
#include "grant/lookup.hpp"
#include "grant/parse.hpp"

namespace bpfwarden::grant {

const Origin* Resolved::kfunc(std::string_view wanted) const {
    const auto& kfuncs = of(Dimension::kfuncs);
    if (const auto exact = kfuncs.values.find(wanted); exact != kfuncs.values.end()) return &exact->second;
    for (const auto& [glob, origin] : kfuncs.values)
        if (glob_match(glob, wanted)) return &origin;
    return nullptr;
}

bool Resolved::covers_all(Dimension dimension) const {
    const auto& allowed = of(dimension);
    if (allowed.any) return true;
    if (dimension == Dimension::kfuncs) return allowed.contains("*") || allowed.contains("**");
    return std::ranges::all_of(all_values(dimension), [&](std::string_view one) { return allowed.contains(one); });
}

bool Resolved::acknowledges(std::string_view danger) const {
    return std::ranges::any_of(dangerous, [&](const Entry& one) { return one.text == danger; });
}

namespace {

struct ReadFile {
    Source source;
    Grant grant;
};

// The top file and everything that it includes, each file once, depth first.
class Includes {
  public:
    Includes(Loader& loader, Diagnostics& diagnostics) : loader_(loader), diagnostics_(diagnostics) {}

    bool read(const Source& source) {
        seen_.insert(source.identity);
        auto grant = parse(source.text, source.file, diagnostics_);
        if (!grant) return false;
        const auto includes = grant->includes;
        files.push_back({source, std::move(*grant)});
        open_.push_back(source.identity);
        for (const auto& include : includes) follow(include, source);
        open_.pop_back();
        return true;
    }

    std::vector<ReadFile> files;

  private:
    void follow(const Entry& include, const Source& from) {
        auto source = loader_.include(include.text, from);
        if (!source) {
            const auto& error = source.error();
            diagnostics_.error(include.at, fmt::format("cannot include {}: {}", quoted(include.text), error.what()),
                               error.why(), error.hint());
        } else if (std::ranges::find(open_, source->identity) != open_.end()) {
            diagnostics_.error(include.at, fmt::format("{} includes itself", quoted(include.text)),
                               "the chain of includes comes back to a file that it started from");
        } else if (seen_.size() >= most_files) {
            if (!std::exchange(too_many_, true))
                diagnostics_.error(include.at, fmt::format("more than {} files in one grant", most_files));
        } else if (!seen_.contains(source->identity)) {
            read(*source);
        }
    }

    Loader& loader_;
    Diagnostics& diagnostics_;
    std::set<std::string> seen_;
    std::vector<std::string> open_;
    bool too_many_ = false;
};

// Spells out one file's lists: groups, `any`, aliases.
class Expander {
  public:
    Expander(const Grant& grant, Diagnostics& diagnostics) : grant_(grant), diagnostics_(diagnostics) {
        for (const auto& [name, list] : grant_.groups)
            for (const auto& builtin : builtin_groups())
                if (builtin.name == name) {
                    diagnostics_.error(
                        list.at, fmt::format("@{} is a built-in group already", name),
                        fmt::format("it stands for {}: {}", plural(noun_of(builtin.dimension)), builtin.what),
                        "give the group another name");
                    break;
                }
    }

    void expand(Dimension dimension, const List& list, Allowed& into) {
        if (!into.key_at) into.key_at = list.at;
        for (const auto& entry : list.entries)
            each(
                entry,
                [&](std::string_view group) -> std::optional<std::span<const std::string_view>> {
                    const auto* builtin = builtin_group(dimension, group);
                    if (!builtin) return std::nullopt;
                    return builtin->members;
                },
                [&](const Entry& leaf) { take(dimension, entry, leaf, into); }, noun_of(dimension));
    }

    PatternList expand(const List& list, std::string_view noun) {
        PatternList out{list.at, {}};
        for (const auto& entry : list.entries)
            each(
                entry,
                [](std::string_view) -> std::optional<std::span<const std::string_view>> { return std::nullopt; },
                [&](const Entry& leaf) {
                    const bool via = &leaf != &entry;
                    out.patterns.push_back({leaf.text == "any" ? "**" : leaf.text, entry.at, via ? entry.text : ""});
                },
                noun);
        return out;
    }

    void warn_of_unused_groups() {
        for (const auto& [name, list] : grant_.groups)
            if (!used_.contains(name)) diagnostics_.warning(list.at, fmt::format("the group {} is not used", name));
    }

  private:
    // Calls `leaf` for the entry itself, or for everything in the group that it names.
    template <class Builtin, class Leaf>
    void each(const Entry& entry, Builtin builtin, Leaf leaf, std::string_view noun) {
        if (!entry.text.starts_with('@')) return leaf(entry);
        const auto name = std::string_view(entry.text).substr(1);
        if (const auto own = grant_.groups.find(name); own != grant_.groups.end()) {
            used_.insert(own->first);
            if (std::ranges::find(open_, own->first) != open_.end()) {
                if (reported_.insert({entry.at.line, entry.at.column, std::string(noun)}).second)
                    diagnostics_.error(entry.at, fmt::format("the group @{} contains itself", own->first));
                return;
            }
            // Each use is a walk, so groups that double at every level would otherwise cost without bound.
            if (++walks_ > most_walks) {
                if (walks_ == most_walks + 1)
                    diagnostics_.error(entry.at, "groups are used in groups too often",
                                       fmt::format("at most {} uses of groups in one file", most_walks));
                return;
            }
            open_.push_back(own->first);
            for (const auto& member : own->second.entries) each(member, builtin, leaf, noun);
            open_.pop_back();
        } else if (const auto members = builtin(name)) {
            for (const auto member : *members) leaf(Entry{std::string(member), entry.at});
        } else if (reported_.insert({entry.at.line, entry.at.column, std::string(noun)}).second) {
            unknown_group(entry, name, noun);
        }
    }

    void unknown_group(const Entry& entry, std::string_view name, std::string_view noun) {
        std::vector<std::string_view> known;
        std::string elsewhere;
        for (const auto& group : builtin_groups()) {
            if (noun_of(group.dimension) == noun)
                known.push_back(group.name);
            else if (group.name == name)
                elsewhere = fmt::format("@{} stands for {}", name, plural(noun_of(group.dimension)));
        }
        for (const auto& [own, list] : grant_.groups) known.push_back(own);
        const auto near = nearest(name, known);
        diagnostics_.error(entry.at, fmt::format("there is no group {} of {}", quoted(entry.text), plural(noun)),
                           !elsewhere.empty()
                               ? elsewhere
                               : fmt::format("known here: {}{}", known.empty() ? "none" : "@", fmt::join(known, ", @")),
                           near ? fmt::format("did you mean \"@{}\"?", *near) : "");
    }

    void take(Dimension dimension, const Entry& entry, const Entry& leaf, Allowed& into) {
        std::string via = &leaf != &entry ? entry.text : "";
        if (leaf.text == "any") {
            if (!into.any) into.any = entry.at;
            if (dimension == Dimension::kfuncs) return add(into, "**", entry.at, "any");
            for (const auto value : all_values(dimension)) add(into, value, entry.at, "any");
            return;
        }
        if (auto value = look_up(dimension, leaf.text))
            add(into, *value, entry.at, std::move(via));
        else if (reported_.insert({leaf.at.line, leaf.at.column, std::string(noun_of(dimension))}).second)
            explain_unknown(dimension, leaf, diagnostics_);
    }

    static void add(Allowed& into, std::string_view value, const Position& at, std::string via) {
        auto [place, fresh] = into.values.try_emplace(std::string(value));
        auto& origin = place->second;
        // The entry that names the value itself tells more than a group or `any`.
        if (fresh || (via.empty() && !origin.via.empty())) {
            origin.written = true;
            origin.at = at;
            origin.via = std::move(via);
        }
    }

    static constexpr unsigned most_walks = 10'000;
    const Grant& grant_;
    Diagnostics& diagnostics_;
    std::set<std::string, std::less<>> used_;
    std::vector<std::string> open_;
    std::set<std::tuple<unsigned, unsigned, std::string>> reported_;
    unsigned walks_ = 0;
};

// Joins the files of one grant. Lists that allow are united; whatever narrows in one of the files narrows the whole, so
// that including a file adds what it allows and never loosens what the including file holds. Who may open it and which
// dangers are acknowledged is read in the top file alone: there a reviewer looks.
class Joiner {
  public:
    explicit Joiner(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

    Resolved join(const std::vector<ReadFile>& files) {
        const auto& top = files.front().grant;
        out_.file = top.file;
        out_.name = top.name ? top.name->text : default_name(top.file);
        if (top.description) out_.description = top.description->text;
        out_.subject = top.subject;
        if (top.dangerous) out_.dangerous = top.dangerous->entries;
        out_.allow_at = top.allow_at.known() ? top.allow_at : Position{top.file, 0, 0};
        for (const auto& file : files) {
            out_.files.push_back(file.grant.file);
            one_file(file.grant, &file == &files.front());
        }
        if (commands_) out_.commands_narrowed = true;
        add_implied(out_, commands_, diagnostics_);
        return std::move(out_);
    }

  private:
    void one_file(const Grant& grant, bool is_top) {
        Expander expander(grant, diagnostics_);
        for (const auto dimension : all_dimensions) {
            const auto& list = grant.allow[index_of(dimension)];
            if (!list) continue;
            if (dimension != Dimension::commands) {
                expander.expand(dimension, *list, out_.of(dimension));
                continue;
            }
            Allowed commands;
            expander.expand(dimension, *list, commands);
            narrow_commands(std::move(commands));
        }
        for (const auto target : all_targets) {
            const auto& list = grant.targets[index_of(target)];
            if (!list) continue;
            auto expanded = expander.expand(*list, noun_of(target));
            auto& lists = out_.targets[index_of(target)];
            if (absent_means_none(target) && !lists.empty())
                std::ranges::move(expanded.patterns, std::back_inserter(lists.front().patterns));
            else
                lists.push_back(std::move(expanded));
        }
        if (grant.digests) out_.digests.push_back(*grant.digests);
        if (grant.signers) {
            PatternList names = expander.expand(*grant.signers, "signer");
            List signers{names.at, {}};
            for (auto& one : names.patterns) signers.entries.push_back({one.glob, one.at});
            out_.signers.push_back(std::move(signers));
        }
        expander.warn_of_unused_groups();
        for (const auto limit : all_limits) {
            const auto& value = grant.limits[index_of(limit)];
            auto& into = out_.limits[index_of(limit)];
            if (value && (!into || value->value < into->value)) into = value;
        }
        session(grant, is_top);
    }

    void narrow_commands(Allowed commands) {
        if (!commands_) {
            commands_ = std::move(commands);
            return;
        }
        std::erase_if(commands_->values, [&](const auto& one) { return !commands.contains(one.first); });
        if (!commands.any) commands_->any.reset();
    }

    void session(const Grant& grant, bool is_top) {
        if (grant.lifetime_ms && (!out_.lifetime_ms || grant.lifetime_ms->value < out_.lifetime_ms->value))
            out_.lifetime_ms = grant.lifetime_ms;
        const auto not_taken = [&](const Position& at, std::string_view what) {
            diagnostics_.warning(at, fmt::format("{} of an included file is not taken over", what),
                                 "an include never loosens a session: write it in the including file");
        };
        if (grant.hand_out) {
            if (grant.hand_out->value == HandOut::link || is_top)
                out_.hand_out = grant.hand_out;
            else if (!out_.hand_out)
                not_taken(grant.hand_out->at, "hand_out = \"program\"");
        }
        if (grant.on_close) {
            if (grant.on_close->value == OnClose::detach || is_top)
                out_.on_close = grant.on_close;
            else if (!out_.on_close)
                not_taken(grant.on_close->at, "on_close = \"keep\"");
        }
        if (grant.not_revocable) {
            if (!grant.not_revocable->value || is_top)
                out_.not_revocable = grant.not_revocable;
            else if (!out_.not_revocable)
                not_taken(grant.not_revocable->at, "not_revocable = true");
        }
    }

    Resolved out_;
    std::optional<Allowed> commands_;  // as written, all files together
    Diagnostics& diagnostics_;
};

}  // namespace

std::optional<Resolved> resolve(const Source& source, Loader& loader, Diagnostics& diagnostics) {
    Includes includes(loader, diagnostics);
    if (!includes.read(source)) return std::nullopt;
    return Joiner(diagnostics).join(includes.files);
}

}  // namespace bpfwarden::grant
