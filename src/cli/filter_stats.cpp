// SPDX-License-Identifier: Apache-2.0
// `bpfwarden filter stats`
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bytecode/classic.hpp"
#include "cli/filter.hpp"
#include "filter/action.hpp"

namespace bpfwarden::cli {

namespace {

struct Row {
    filter::Abi abi;
    std::size_t calls = 0, allowed = 0, cached = 0;
    std::uint64_t executed = 0, converted = 0;
    std::uint64_t executed_uncached = 0;
    double mean() const { return calls == 0 ? 0 : static_cast<double>(executed) / static_cast<double>(calls); }
    double mean_uncached() const {
        return calls == cached ? 0 : static_cast<double>(executed_uncached) / static_cast<double>(calls - cached);
    }
};

Row row_of(const std::vector<sock_filter>& program, filter::Abi abi, filter::Kernel kernel) {
    Row row{.abi = abi};
    for (const auto number : filter::all_numbers(abi, kernel)) {
        filter::Data data;
        data[filter::Word::arch] = filter::audit_arch(abi);
        data[filter::Word::nr] = number;
        const auto outcome = bytecode::run(program, data.words);
        const bool cached = bytecode::cached(program, data[filter::Word::arch], number);
        ++row.calls;
        row.allowed += outcome.result == filter::allow;
        row.cached += cached;
        row.executed += outcome.executed;
        row.converted += outcome.converted;
        if (!cached) row.executed_uncached += outcome.executed;
    }
    return row;
}

}  // namespace

Result<int> filter_stats(const Args& args) {
    const auto source = BW_TRY(open_source(args.only("SOURCE"), args));
    const auto built = BW_TRY(build_source(source, args));
    const auto kernel = BW_TRY(kernel_of(args));
    std::vector<Row> rows;
    for (const auto abi : source.abis) rows.push_back(row_of(built.program, abi, kernel));
    if (args.json) {
        nlohmann::ordered_json json{{"schema", "bpfwarden.filter.stats/1"},
                                    {"instructions", built.program.size()},
                                    {"converted", built.converted_length}};
        for (const auto& row : rows)
            json["architectures"].push_back({{"arch", filter::text(row.abi)},
                                             {"calls", row.calls},
                                             {"allowed", row.allowed},
                                             {"cached", row.cached},
                                             {"mean_executed", row.mean()},
                                             {"mean_executed_uncached", row.mean_uncached()}});
        fmt::print("{}\n", json.dump(2));
        return 0;
    }
    fmt::print("{} instructions, {} of the eBPF that the kernel makes of them\n\n", built.program.size(),
               built.converted_length);
    fmt::print("{:<10}{:>7}{:>10}{:>9}{:>16}{:>22}\n", "arch", "calls", "allowed", "cached", "executed, mean",
               "mean of the uncached");
    for (const auto& row : rows)
        fmt::print("{:<10}{:>7}{:>10}{:>9}{:>16.2f}{:>22.2f}\n", filter::text(row.abi), row.calls, row.allowed,
                   row.cached, row.mean(), row.mean_uncached());
    fmt::print(
        "\nallowed: with all arguments 0; cached: answered since 5.11 without running the filter; x32 never is\n");
    return 0;
}

}  // namespace bpfwarden::cli
