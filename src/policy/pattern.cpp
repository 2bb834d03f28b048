// SPDX-License-Identifier: Apache-2.0
#include "policy/pattern.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"

namespace bpfwarden::policy {

static Error bad(std::string what, std::string why = "", std::string hint = "") {
    return Error(Code::bad_input, std::move(what)).because(std::move(why)).advise(std::move(hint));
}

// Where what begins at text[i] ends: a quoted byte, a whole class, or one byte.
static Result<std::size_t> end_of_unit(std::string_view text, std::size_t i) {
    if (text[i] == '\\') {
        if (i + 1 == text.size())
            return fail(bad("a pattern cannot end in \"\\\"", "it takes the next byte as it is, and there is none",
                            "write \\\\ for a backslash (in TOML: '\\\\')"));
        if (text[i + 1] == '/') return fail(bad("\"\\/\" is nothing", "no name has a \"/\" in it"));
        return i + 2;
    }
    if (text[i] != '[') return i + 1;
    std::size_t at = i + 1;
    if (at < text.size() && (text[at] == '!' || text[at] == '^')) ++at;
    for (const std::size_t first = at; at < text.size(); ++at) {
        if (text[at] == ']' && at > first) return at + 1;
        if (text[at] == '/') break;
        if (text[at] == '\\' && ++at < text.size() && text[at] == '/') break;
    }
    return fail(bad("a \"[\" is never closed", "it begins a class like [a-z], within one name",
                    "write \\[ for the character itself"));
}

namespace {

// Expands braces depth first, from left to right.
class Braces {
  public:
    static Result<std::vector<std::string>> expand(std::string_view text) {
        Braces braces(text);
        auto all = BW_TRY(braces.sequence(0));
        if (braces.at_ < text.size())
            return fail(bad("a \"}\" closes nothing", "", "write \\} for the character itself"));
        return all;
    }

  private:
    explicit Braces(std::string_view text) : text_(text) {}

    // What stands up to the end, or to the "," or "}" of the braces around it.
    Result<std::vector<std::string>> sequence(unsigned depth) {
        if (depth > 16) return fail(bad("braces stand more than 16 deep in each other"));
        std::vector<std::string> all{""};
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '}' || (c == ',' && depth > 0)) break;
            if (c == '{') {
                const auto choices = BW_TRY(alternatives(depth + 1));
                if (all.size() * choices.size() > most_alternatives)
                    return fail(bad(fmt::format("this pattern stands for more than {} patterns", most_alternatives),
                                    "each combination of alternatives in braces is one",
                                    "write several patterns, or a wildcard"));
                std::vector<std::string> product;
                for (const auto& before : all)
                    for (const auto& choice : choices) product.push_back(before + choice);
                all = std::move(product);
                continue;
            }
            const auto end = BW_TRY(end_of_unit(text_, at_));
            for (auto& one : all) one += text_.substr(at_, end - at_);
            at_ = end;
        }
        return all;
    }

    Result<std::vector<std::string>> alternatives(unsigned depth) {
        std::vector<std::string> all;
        while (true) {
            ++at_;  // the "{" or ","
            auto more = BW_TRY(sequence(depth));
            for (auto& one : more) all.push_back(std::move(one));
            if (all.size() > most_alternatives)
                return fail(bad(fmt::format("more than {} alternatives in braces", most_alternatives)));
            if (at_ == text_.size())
                return fail(bad("a \"{\" is never closed", "it begins alternatives like {a,b}",
                                "write \\{ for the character itself"));
            if (text_[at_] == '}') {
                ++at_;
                return all;
            }
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

static Result<> add_class(std::string_view unit, std::bitset<256>& bytes) {
    std::size_t i = 1;
    const std::size_t end = unit.size() - 1;
    const bool negated = unit[i] == '!' || unit[i] == '^';
    if (negated) ++i;
    const auto next = [&] {
        if (unit[i] == '\\' && i + 1 < end) ++i;
        return static_cast<unsigned char>(unit[i++]);
    };
    while (i < end) {
        const unsigned first = next();
        unsigned last = first;
        if (i + 1 < end && unit[i] == '-') {
            ++i;
            last = next();
        }
        if (first > 0x7f || last > 0x7f)
            return fail(bad(fmt::format("the class {} has a letter of several bytes", quoted(unit)),
                            "a class stands for one byte", "write alternatives: {ä,ö}"));
        if (first > last)
            return fail(bad(fmt::format("the class {} has a range that ends before it begins", quoted(unit))));
        for (unsigned byte = first; byte <= last; ++byte) bytes.set(byte);
    }
    if (negated) bytes.flip();
    // What no name has.
    bytes.reset('/').reset(0);
    if (bytes.none()) return fail(bad(fmt::format("the class {} stands for nothing", quoted(unit))));
    return {};
}

static Result<std::vector<GlobToken>> tokens_of(std::string_view glob) {
    std::vector<GlobToken> tokens;
    for (std::size_t i = 0; i < glob.size();) {
        const auto end = BW_TRY(end_of_unit(glob, i));
        const auto unit = glob.substr(i, end - i);
        i = end;
        GlobToken token;
        if (unit == "*") {
            token.star = true;
        } else if (unit == "?") {
            token.bytes.set().reset('/').reset(0);
        } else if (unit[0] == '[') {
            if (auto done = add_class(unit, token.bytes); !done) return fail(std::move(done).error());
        } else {
            token.bytes.set(static_cast<unsigned char>(unit.back()));
        }
        tokens.push_back(token);
    }
    return tokens;
}

std::vector<GlobToken> glob_tokens(std::string_view glob) { return tokens_of(glob).value(); }

static Result<Component> component(std::string_view text) {
    using Kind = Component::Kind;
    if (text == "*") return Component{Kind::any, "*"};
    if (text == "**") return Component{Kind::deep, "**"};
    const auto tokens = BW_TRY(tokens_of(text));
    std::string literal;
    std::size_t shortest = 0;
    bool wild = false, star = false;
    for (const auto& token : tokens) {
        if (token.star && star)
            return fail(bad(fmt::format("\"**\" stands for whole names, and is a part of one in {}", quoted(text)),
                            "\"/a/**\" is everything below /a; within a name one \"*\" is enough",
                            "write \"*\", or \"**/\" for any number of directories"));
        star = token.star;
        wild = wild || star || token.bytes.count() != 1;
        if (!star) ++shortest;
        for (unsigned byte = 0; !wild && byte < 256; ++byte)
            if (token.bytes[byte]) literal += static_cast<char>(byte);
    }
    if (shortest > longest_name)
        return fail(bad(fmt::format("{}… matches no name", quoted(text.substr(0, 40))),
                        fmt::format("a name has at most {} bytes", longest_name)));
    // A class of one letter is that letter.
    if (wild) return Component{Kind::glob, std::string(text)};
    if (literal == "." || literal == "..")
        return fail(bad(fmt::format("{} is no name of a file", quoted(literal)),
                        "files are known by their real path, without links, \".\" and \"..\""));
    return Component{Kind::literal, std::move(literal)};
}

static Result<> add_components(std::string_view text, std::vector<Component>& into) {
    if (text.empty()) return {};  // "/" itself
    for (const auto part : split(text, '/')) {
        if (part.empty())
            return fail(text.ends_with('/') && text.find("//") == std::string_view::npos
                            ? bad("a pattern does not end in \"/\"", "a directory's name ends in its last letter",
                                  "write /a for the directory, /a/* for what is in it, /a/** for all below it")
                            : bad("\"//\" is an empty name", "no file has one"));
        auto one = BW_TRY(component(part));
        // "**/**" is "**".
        if (one.kind == Component::Kind::deep && !into.empty() && into.back() == one) continue;
        into.push_back(std::move(one));
    }
    if (into.size() > deepest_path)
        return fail(bad(fmt::format("a path of {} names matches nothing", into.size()),
                        fmt::format("names of files are told down to {} directories", deepest_path)));
    return {};
}

static Result<Pattern> single(std::string_view text) {
    Pattern pattern;
    if (!text.starts_with('/')) {
        const auto colon = text.find(":/");
        const auto type = text.substr(0, colon);
        if (colon == std::string_view::npos || type.empty() || type.find('/') != std::string_view::npos)
            return fail(bad(fmt::format("the pattern {} does not begin with \"/\"", quoted(text)),
                            "a pattern is a whole path, or TYPE:/… in a file system that is not mounted",
                            text.empty() || text[0] == '~' || text[0] == '.'
                                ? "write the full path: /home/*/…"
                                : "write \"/**/NAME\" for a name in any directory"));
        pattern.detached = true;
        auto first = BW_TRY(component(type));
        if (first.kind == Component::Kind::deep)
            return fail(bad("\"**\" is no type of a file system", "", "write \"*:/…\" for any type"));
        pattern.components.push_back(std::move(first));
        text.remove_prefix(colon + 1);
    }
    if (auto done = add_components(text.substr(1), pattern.components); !done) return fail(std::move(done).error());
    return pattern;
}

static Result<std::vector<Pattern>> each(std::string_view text, Result<Pattern> (*parse)(std::string_view)) {
    const auto alternatives = BW_TRY(Braces::expand(text));
    std::vector<Pattern> all;
    for (const auto& one : alternatives) {
        auto pattern = parse(one);
        if (!pattern) {
            if (alternatives.size() == 1) return fail(std::move(pattern).error());
            return fail(std::move(pattern).error().within(fmt::format("the alternative {}", quoted(one))));
        }
        if (std::ranges::find(all, *pattern) == all.end()) all.push_back(std::move(*pattern));
    }
    return all;
}

Result<std::vector<Pattern>> parse_pattern(std::string_view text) { return each(text, single); }

Result<std::vector<Pattern>> parse_name_pattern(std::string_view text) {
    return each(text, [](std::string_view one) -> Result<Pattern> {
        if (one.empty() || one.find('/') != std::string_view::npos)
            return fail(bad(fmt::format("{} is no type of a file system", quoted(one)),
                            "the types are in /proc/filesystems: \"tmpfs\", \"ext4\""));
        Pattern pattern;
        pattern.components.push_back(BW_TRY(component(one)));
        if (pattern.components[0].kind == Component::Kind::deep)
            return fail(bad("\"**\" is no type of a file system", "", "write \"*\" for any type"));
        return pattern;
    });
}

std::string escape_name(std::string_view name) {
    std::string out;
    for (const char c : name) {
        if (std::string_view("*?[]{},\\").find(c) != std::string_view::npos) out += '\\';
        out += c;
    }
    return out;
}

std::string Pattern::text() const {
    std::string out;
    for (std::size_t i = 0; i < components.size(); ++i) {
        const auto& one = components[i];
        if (!detached || i > 0) out += '/';
        out += one.kind == Component::Kind::literal ? escape_name(one.text) : one.text;
        if (detached && i == 0) out += ':';
    }
    if (components.empty() || (detached && components.size() == 1)) out += '/';
    return out;
}

}  // namespace bpfwarden::policy
