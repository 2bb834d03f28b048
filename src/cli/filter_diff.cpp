// SPDX-License-Identifier: Apache-2.0
// `bpfwarden filter diff`
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/filter.hpp"
#include "filter/action.hpp"

namespace bpfwarden::cli {

static std::string call_text(const filter::Data& data) {
    const auto arch = data[filter::Word::arch], number = data[filter::Word::nr];
    const auto abi = abi_of(arch, number);
    std::string args;
    unsigned last = 6;
    while (last > 0 && data.arg(last - 1) == 0) --last;
    for (unsigned i = 0; i < last; ++i) args += fmt::format("{}{:#x}", i == 0 ? "" : ", ", data.arg(i));
    return fmt::format("{} {}({})", abi ? std::string(filter::text(*abi)) : fmt::format("arch {:#x}", arch),
                       abi ? number_text(*abi, number) : fmt::format("{}", static_cast<std::int32_t>(number)), args);
}

Result<int> filter_diff(const Args& args) {
    const auto& paths = args.positional("SOURCE");
    const auto one = BW_TRY(open_source(paths[0], args)), other = BW_TRY(open_source(paths[1], args));
    const auto comparison = filter::compare(one.function, other.function);
    const bool same = comparison.answer == filter::Answer::same;
    if (args.json) {
        nlohmann::ordered_json json{{"schema", "bpfwarden.filter.diff/1"},
                                    {"answer", same                                             ? "same"
                                               : comparison.answer == filter::Answer::different ? "different"
                                                                                                : "undecided"}};
        if (comparison.answer == filter::Answer::different) {
            const auto& data = comparison.example;
            auto& example = json["example"];
            example["arch"] = data[filter::Word::arch];
            example["nr"] = static_cast<std::int32_t>(data[filter::Word::nr]);
            for (unsigned i = 0; i < 6; ++i) example["args"].push_back(data.arg(i));
            json["results"] = {filter::text(comparison.one), filter::text(comparison.other)};
        }
        fmt::print("{}\n", json.dump(2));
        return same ? 0 : 1;
    }
    switch (comparison.answer) {
        case filter::Answer::same:
            fmt::print("the same function\n");
            break;
        case filter::Answer::different:
            fmt::print("different: {}\n  {}: {}\n  {}: {}\n", call_text(comparison.example), printable(paths[0]),
                       filter::text(comparison.one), printable(paths[1]), filter::text(comparison.other));
            break;
        case filter::Answer::undecided:
            fmt::print(
                "not decided: the comparison needs more memory than it may take, or arithmetic that it does not do\n");
            break;
    }
    return same ? 0 : 1;
}

}  // namespace bpfwarden::cli
