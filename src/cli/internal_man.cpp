// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>

#include "base/text.hpp"
#include "cli/help.hpp"
#include "cli/internal.hpp"

namespace bpfwarden::cli {
namespace {

constexpr std::string_view marker = ".\\\" @";

// The code point that starts at `at` (our own text: valid UTF-8), which is moved behind it.
std::uint32_t code_point(std::string_view text, std::size_t& at) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const auto first = byte(at++);
    const unsigned more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    std::uint32_t point = more == 0 ? first : first & (0x3fU >> more);
    for (unsigned i = 0; i < more && at < text.size(); ++i) point = point << 6 | (byte(at++) & 0x3fU);
    return point;
}

// A word of a synopsis: --options and literal words bold, placeholders italic.
std::string styled(std::string_view part) {
    std::string text;
    std::string word;
    const auto flush = [&] {
        if (word.empty()) return;
        const bool placeholder =
            std::ranges::any_of(word, [](char c) { return c >= 'A' && c <= 'Z'; }) && !word.starts_with("--");
        text += fmt::format("\\f{}{}\\fR", placeholder ? 'I' : 'B', roff(word));
        word.clear();
    };
    for (std::size_t at = 0; at < part.size();) {
        const auto start = at;
        const auto point = code_point(part, at);
        if ((point < 0x80 && std::string_view("[]| :,").contains(static_cast<char>(point))) || point >= 0x80) {
            flush();
            text += roff(part.substr(start, at - start));
        } else {
            word += part.substr(start, at - start);
        }
    }
    flush();
    return text;
}

// "say whether …" as a sentence.
std::string sentence(std::string_view text) {
    std::string made(text);
    if (!made.empty() && made[0] >= 'a' && made[0] <= 'z') made[0] = static_cast<char>(made[0] - 'a' + 'A');
    if (!made.ends_with('.')) made += '.';
    return roff(made);
}

std::string paragraphs(std::string_view details) {
    std::string text;
    bool open = false;
    for (const auto line : split(details, '\n')) {
        if (!line.empty() && !open) text += ".PP\n";
        open = !line.empty();
        if (open) text += roff(line) + "\n";
    }
    return text;
}

// Hand-written prose for one option or command, by "VERB" or "VERB --OPTION".
using Notes = std::map<std::string, std::string, std::less<>>;

std::string take_note(Notes& notes, const std::string& key) {
    const auto found = notes.find(key);
    if (found == notes.end()) return "";
    auto text = std::move(found->second);
    notes.erase(found);
    return text;
}

std::string option_entry(const Option& option) {
    auto text = std::string(".TP\n");
    if (!option.letter.empty()) text += fmt::format("\\fB{}\\fR, ", roff(option.letter));
    text += fmt::format("\\fB{}\\fR", roff(option.name));
    if (!option.value.empty()) text += " " + styled(option.value);
    text += "\n" + sentence(option.help) + "\n";
    if (option.required) text += "Required.\n";
    if (option.repeated) text += "May be given more than once.\n";
    return text;
}

std::string arguments(const Command& command, Notes& notes) {
    std::string text;
    for (const auto& positional : command.positionals)
        text += fmt::format(
            ".TP\n{}\n{}\n{}", styled(fmt::format("{}{}", positional.name, positional.most == many ? "…" : "")),
            sentence(positional.help), take_note(notes, fmt::format("{} {}", command.verb, positional.name)));
    for (const auto& option : command.options)
        text += option_entry(option) + take_note(notes, fmt::format("{} {}", command.verb, option.name));
    return text;
}

std::string synopsis_of(const Command& command) {
    auto text = fmt::format(".SY \"bpfwarden {}\"\n", roff(full_name(command)));
    // \& keeps roff from taking "...]" for the end of a sentence.
    for (const auto& part : synopsis(command)) text += styled(part) + "\\&\n";
    return text + ".YS\n";
}

struct Page {
    std::string_view subject;  // "run", "grant"; empty: the overview

    std::vector<const Command*> commands() const {
        if (subject.empty()) return {};
        auto found = visible_commands();
        std::erase_if(found, [&](const Command* command) {
            return (command->object.empty() ? command->verb : command->object) != subject;
        });
        return found;
    }
    bool is_object() const { return std::ranges::find(all_objects(), subject, &Object::name) != all_objects().end(); }
};

std::string all_commands(const Page& page, Notes& notes) {
    std::string text;
    for (const auto* command : page.commands()) {
        if (page.is_object()) {
            text += fmt::format(".SS {}\n", roff(command->verb));
            text += synopsis_of(*command);
            text += ".PP\n" + sentence(command->summary) + "\n";
        }
        text += paragraphs(command->details) + take_note(notes, std::string(command->verb));
        text += arguments(*command, notes);
    }
    return text;
}

std::string overview() {
    std::string text;
    const auto entry = [&](std::string_view name, std::string_view summary, const std::vector<const Command*>& verbs) {
        text += fmt::format(".TP\n\\fB{}\\fR\n{}\n", roff(name), sentence(summary));
        if (!verbs.empty()) text += ".RS\n";
        for (const auto* verb : verbs)
            text += fmt::format(".TP\n\\fB{}\\fR\n{}\n", roff(verb->verb), sentence(verb->summary));
        if (!verbs.empty()) text += ".RE\n.IP\n";
        text += fmt::format("See\n.BR bpfwarden\\-{} (1).\n", roff(name));
    };
    for (const auto* command : visible_commands("")) entry(command->verb, command->summary, {});
    for (const auto& object : all_objects())
        if (const auto verbs = visible_commands(object.name); !verbs.empty()) entry(object.name, object.summary, verbs);
    return text;
}

std::string exit_status() {
    std::string text;
    for (const auto& [code, meaning] : exit_codes()) text += fmt::format(".TP\n.B {}\n{}\n", code, sentence(meaning));
    return text;
}

std::optional<std::string> generate(std::string_view what, const Page& page, Notes& notes) {
    if (what == "heading")
        return fmt::format(
            ".\\\" Made by `make man` from man/fragments and the command table: do not edit.\n.TH {} 1 \"\" bpfwarden "
            "\"bpfwarden manual\"\n",
            page.subject.empty() ? "BPFWARDEN" : fmt::format("BPFWARDEN\\-{}", [&] {
                std::string upper(page.subject);
                for (auto& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
                return upper;
            }()));
    if (what == "synopsis") {
        std::string text;
        for (const auto* command : page.commands()) text += synopsis_of(*command);
        return text;
    }
    if (what == "commands") return all_commands(page, notes);
    if (what == "overview") return overview();
    if (what == "exit-status") return exit_status();
    if (what == "global-options") {
        std::string text;
        for (const auto& option : global_options()) text += option_entry(option);
        return text;
    }
    return std::nullopt;
}

struct Fragment {
    std::vector<std::string_view> lines;  // without the notes
    Notes notes;
};

Result<Fragment> read_fragment(std::string_view text) {
    Fragment fragment;
    std::string* note = nullptr;
    for (const auto line : split(text, '\n')) {
        const auto what = line.starts_with(marker) ? line.substr(marker.size()) : std::string_view();
        if (what == "end") {
            if (note == nullptr) return fail(Code::bad_input, "@end without @note");
            note = nullptr;
        } else if (what.starts_with("note ")) {
            if (note != nullptr) return fail(Code::bad_input, fmt::format("@{} inside a note", what));
            note = &fragment.notes[std::string(what.substr(5))];
        } else if (note != nullptr) {
            *note += fmt::format("{}\n", line);
        } else {
            fragment.lines.push_back(line);
        }
    }
    if (note != nullptr) return fail(Code::bad_input, "a @note has no @end");
    while (!fragment.lines.empty() && fragment.lines.back().empty()) fragment.lines.pop_back();
    return fragment;
}

}  // namespace

std::string roff(std::string_view text) {
    std::string made;
    bool bold = false;
    for (std::size_t at = 0; at < text.size();) {
        const auto point = code_point(text, at);
        if (point == '`') {
            made += (bold = !bold) ? "\\fB" : "\\fR";
        } else if (point == '\\') {
            made += "\\e";
        } else if (point == '-') {
            made += "\\-";
        } else if ((point == '.' || point == '\'') && made.empty()) {
            made += fmt::format("\\&{}", static_cast<char>(point));
        } else if (point == 0x2026) {
            made += "...";
        } else if (point >= 0x80) {
            made += fmt::format("\\[u{:04X}]", point);
        } else {
            made += static_cast<char>(point);
        }
    }
    return made;
}

std::vector<std::string> manual_pages() {
    std::vector<std::string> pages{"bpfwarden.1"};
    for (const auto word : first_words()) pages.push_back(fmt::format("bpfwarden-{}.1", word));
    return pages;
}

Result<std::string> manual_page(std::string_view page, std::string_view template_text) {
    constexpr std::string_view before = "bpfwarden-", after = ".1";
    Page made;
    if (page.starts_with(before)) made.subject = page.substr(before.size(), page.size() - before.size() - after.size());
    auto fragment = BW_TRY(read_fragment(template_text));
    std::string text;
    bool has_commands = made.subject.empty();
    for (const auto line : fragment.lines) {
        if (!line.starts_with(marker)) {
            text += fmt::format("{}\n", line);
            continue;
        }
        const auto what = line.substr(marker.size());
        auto generated = generate(what, made, fragment.notes);
        if (!generated) return fail(Code::bad_input, fmt::format("nothing is generated for @{}", what));
        has_commands |= what == "commands";
        text += *generated;
    }
    if (!has_commands) return fail(Code::bad_input, "there is no @commands");
    if (!fragment.notes.empty())
        return fail(Code::bad_input, fmt::format("@note {}: there is no such command or option, or no @commands",
                                                 fragment.notes.begin()->first));
    return text;
}

}  // namespace bpfwarden::cli
