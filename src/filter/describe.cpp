// SPDX-License-Identifier: Apache-2.0
#include "filter/describe.hpp"

#include <fmt/format.h>

#include <optional>

namespace bpfwarden::filter {

namespace {

constexpr int deepest = 4;
constexpr std::size_t longest = 100;
constexpr std::size_t most_values = 4;

std::string number(std::uint64_t value) {
    if (value > ~std::uint64_t{0} - 4096) return fmt::format("-{}", 0 - value);
    return value < 1000 ? fmt::format("{}", value) : fmt::format("{:#x}", value);
}

std::string word(std::uint64_t which) {
    switch (static_cast<Word>(which)) {
        case Word::nr:
            return "nr";
        case Word::arch:
            return "arch";
        case Word::ip_low:
            return "(__u32)instruction_pointer";
        case Word::ip_high:
            return "(instruction_pointer >> 32)";
        default:
            return which % 2 == 0 ? fmt::format("(__u32)args[{}]", (which - 4) / 2)
                                  : fmt::format("(args[{}] >> 32)", (which - 4) / 2);
    }
}

const char* sign(TermKind kind) {
    switch (kind) {
        case TermKind::add:
            return "+";
        case TermKind::multiply:
            return "*";
        case TermKind::divide:
            return "/";
        case TermKind::modulo:
            return "%";
        case TermKind::divide_signed:
            return "s/";
        case TermKind::modulo_signed:
            return "s%";
        case TermKind::bit_and:
            return "&";
        case TermKind::bit_or:
            return "|";
        case TermKind::bit_xor:
            return "^";
        case TermKind::shift_left:
            return "<<";
        case TermKind::shift_right:
            return ">>";
        default:
            return "s>>";
    }
}

class Writer {
  public:
    explicit Writer(const Terms& terms) : terms_(terms) {}

    std::string term(Term term_, int depth) const {
        const auto view = terms_[term_];
        if (view.kind == TermKind::constant) return number(view.number);
        if (view.kind == TermKind::word) return word(view.number);
        if (const auto whole = pair(view)) return *whole;
        if (depth >= deepest) return "…";
        const auto part = [&](Term of) { return term(of, depth + 1); };
        switch (view.kind) {
            case TermKind::sign_extend:
                return fmt::format("(__s{}){}", view.number, part(view.a));
            case TermKind::table:
                return fmt::format("table[{}]", part(view.a));
            case TermKind::select:
                return fmt::format("({} ? {} : {})", condition(view.condition, false, depth + 1), part(view.a),
                                   part(view.b));
            default:
                return fmt::format("({} {} {})", part(view.a), sign(view.kind), part(view.b));
        }
    }

    std::string condition(Condition condition_, bool opposite, int depth) const {
        const auto view = terms_[condition_];
        const auto compared = [&](const char* yes, const char* no) {
            return fmt::format("{} {} {}", term(view.a, depth), opposite ? no : yes, term(view.b, depth));
        };
        switch (view.kind) {
            case ConditionKind::never:
                return opposite ? "always" : "never";
            case ConditionKind::always:
                return opposite ? "never" : "always";
            case ConditionKind::equal:
                return compared("==", "!=");
            case ConditionKind::below:
                return compared("<", ">=");
            case ConditionKind::below_signed:
                return compared("s<", "s>=");
            case ConditionKind::opposite:
                return condition(view.c, !opposite, depth);
            case ConditionKind::both:
                if (depth >= deepest) return "…";
                return fmt::format("({} {} {})", condition(view.c, opposite, depth + 1), opposite ? "or" : "and",
                                   condition(view.d, opposite, depth + 1));
            case ConditionKind::one_of: {
                std::string values;
                for (std::size_t at = 0; at < view.values.size() && at < most_values; ++at)
                    values += (at == 0 ? "" : ", ") + number(view.values[at]);
                if (view.values.size() > most_values) values += fmt::format(", … ({} values)", view.values.size());
                return fmt::format("{} {} {{{}}}", term(view.a, depth), opposite ? "not in" : "in", values);
            }
        }
        return "";
    }

  private:
    // low | high << 32 of one field
    std::optional<std::string> pair(const TermView& view) const {
        if (view.kind != TermKind::bit_or) return std::nullopt;
        for (const auto& [one, other] : {std::pair(view.a, view.b), std::pair(view.b, view.a)}) {
            const auto low = terms_[one], high = terms_[other];
            if (low.kind != TermKind::word || high.kind != TermKind::shift_left || terms_.value(high.b) != 32) continue;
            const auto upper = terms_[high.a];
            if (upper.kind != TermKind::word || upper.number != low.number + 1 || low.number % 2 != 0) continue;
            if (low.number < 2) continue;
            return low.number == 2 ? "instruction_pointer" : fmt::format("args[{}]", (low.number - 4) / 2);
        }
        return std::nullopt;
    }

    const Terms& terms_;
};

}  // namespace

std::string describe(const Terms& terms, Term term) { return Writer(terms).term(term, 0); }
std::string describe(const Terms& terms, Condition condition) {
    const auto text = Writer(terms).condition(condition, false, 0);
    return text.size() <= longest ? text : "a condition on what was computed";
}

}  // namespace bpfwarden::filter
