// SPDX-License-Identifier: Apache-2.0
// What libseccomp says that a filter means: its pseudo code (seccomp_export_pfc), run. Its program is made of the same
// tree in further steps, and in some of them the library goes wrong.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filter/action.hpp"
#include "filter/data.hpp"
#include "filter/numbers.hpp"

namespace bpfwarden::filter::libseccomp {

class Pseudo {
  public:
    explicit Pseudo(std::string_view text) {
        while (!text.empty()) {
            const auto end = std::min(text.find('\n'), text.size());
            const auto line = text.substr(0, end);
            const auto from = std::min(line.find_first_not_of(' '), line.size());
            if (from < line.size()) add(from / 2, line.substr(from));
            text.remove_prefix(std::min(end + 1, text.size()));
        }
    }

    // Of a call of an ABI that the filter has. Neither x32's bit nor -1 are looked at in pseudo code.
    std::uint32_t run(Abi abi, const Data& data) const {
        const auto at = filters_.find(abi == Abi::i386 ? "x86" : std::string(text(abi)));
        return at == filters_.end() ? 0 : block(at->second, 0, data).value_or(0);
    }

  private:
    struct Line {
        std::size_t depth = 0;
        enum { test, otherwise, action } kind = test;
        Word word = Word::nr;
        std::uint32_t mask = 0xffffffff;
        char op = '=';  // or > or G (>=)
        std::uint32_t value = 0;
    };

    void add(std::size_t depth, std::string_view line) {
        constexpr std::string_view filter = "# filter for arch ";
        if (line.starts_with(filter))
            filters_[std::string(line.substr(filter.size(), line.find(' ', filter.size()) - filter.size()))] =
                lines_.size();
        if (line.starts_with('#')) return;
        if (line == "else") {
            lines_.push_back({.depth = depth, .kind = Line::otherwise});
        } else if (line.starts_with("action ")) {
            const std::string name(line.substr(7, line.size() - 8));
            const std::uint32_t value = name.starts_with("0x") ? number(name, 16) : parse_action(name).value();
            lines_.push_back({.depth = depth, .kind = Line::action, .value = value});
        } else {
            lines_.push_back(condition(depth, line));
        }
    }

    // "if ($a2.hi32 & 0x000000ff == 0)"
    static Line condition(std::size_t depth, std::string_view line) {
        Line made{.depth = depth};
        line.remove_prefix(4);
        const auto name = line.substr(0, line.find(' '));
        if (name == "$arch")
            made.word = Word::arch;
        else if (name.starts_with("$a"))
            made.word = (name.ends_with(".hi32") ? arg_high : arg_low)(static_cast<unsigned>(name[2] - '0'));
        line.remove_prefix(name.size() + 1);
        if (line.starts_with("& ")) {
            made.mask = number(line.substr(2), 16);
            line.remove_prefix(line.find(' ', 2) + 1);
        }
        made.op = line.starts_with(">=") ? 'G' : line[0];
        made.value = number(line.substr(line.find(' ') + 1), 10);
        return made;
    }
    static std::uint32_t number(std::string_view text, int base) {
        return static_cast<std::uint32_t>(std::stoul(std::string(text), nullptr, base));
    }

    std::size_t after_body(std::size_t at) const {
        const std::size_t depth = lines_[at].depth;
        do ++at;
        while (at < lines_.size() && lines_[at].depth > depth);
        return at;
    }

    std::optional<std::uint32_t> block(std::size_t at, std::size_t depth, const Data& data) const {
        while (at < lines_.size() && lines_[at].depth == depth) {
            const auto& line = lines_[at];
            if (line.kind == Line::action) return line.value;
            const std::size_t rest = after_body(at);
            const bool has_else =
                rest < lines_.size() && lines_[rest].depth == depth && lines_[rest].kind == Line::otherwise;
            const bool yes = holds(line, data);
            if (yes || has_else)
                if (const auto result = block((yes ? at : rest) + 1, depth + 1, data)) return result;
            at = has_else ? after_body(rest) : rest;
        }
        return std::nullopt;
    }
    static bool holds(const Line& line, const Data& data) {
        const std::uint32_t have = data[line.word] & line.mask;
        if (line.op == '=') return have == line.value;
        return line.op == 'G' ? have >= line.value : have > line.value;
    }

    std::vector<Line> lines_;
    std::map<std::string, std::size_t> filters_;
};

}  // namespace bpfwarden::filter::libseccomp
