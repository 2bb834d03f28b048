// SPDX-License-Identifier: Apache-2.0
#include "filter/profile_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "filter/action.hpp"

namespace bpfwarden::filter {

bool holds(const ArgumentCheck& check, std::uint64_t value) {
    switch (check.op) {
        case Operator::equal:
            return value == check.value;
        case Operator::not_equal:
            return value != check.value;
        case Operator::below:
            return value < check.value;
        case Operator::at_most:
            return value <= check.value;
        case Operator::above:
            return value > check.value;
        case Operator::at_least:
            return value >= check.value;
        case Operator::masked_equal:
            return (value & check.mask) == check.value;
    }
    return false;
}

static std::string text_of(const ArgumentCheck& check) {
    if (check.op == Operator::masked_equal)
        return fmt::format("(args[{}] & {:#x}) == {:#x}", check.argument, check.mask, check.value);
    const char* sign = "==";
    switch (check.op) {
        case Operator::not_equal:
            sign = "!=";
            break;
        case Operator::below:
            sign = "<";
            break;
        case Operator::at_most:
            sign = "<=";
            break;
        case Operator::at_least:
            sign = ">=";
            break;
        case Operator::above:
            sign = ">";
            break;
        default:
            break;
    }
    return fmt::format("args[{}] {} {}", check.argument, sign, check.value);
}

std::vector<ProfileStep> ProfileRules::steps(const Data& data, std::uint32_t result) const {
    std::vector<ProfileStep> steps;
    const auto of_number = numbers.find({data[Word::arch], data[Word::nr]});
    if (of_number != numbers.end())
        for (const auto& rule : of_number->second.rules) {
            const auto fails = std::ranges::find_if(rule.checks, [&](const ArgumentCheck& check) {
                const auto value = data.arg(check.argument);
                return !holds(check, of_number->second.is_32_bit ? value & 0xffffffff : value);
            });
            const bool fits = fails == rule.checks.end();
            std::string conditions;
            for (const auto& check : rule.checks) conditions += (conditions.empty() ? "if " : " and ") + text_of(check);
            steps.push_back({&places[rule.place],
                             fits ? fmt::format("{}{}{}", conditions, conditions.empty() ? "" : ": ", text(rule.action))
                                  : fmt::format("{}: not so", text_of(*fails))});
            if (fits) return steps;
        }
    if (result == default_action)
        steps.push_back({&default_place, fmt::format("no rule fits: {}", text(result))});
    else
        steps.push_back({nullptr, fmt::format("not in the profile: {}", text(result))});
    return steps;
}

}  // namespace bpfwarden::filter
