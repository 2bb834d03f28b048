// SPDX-License-Identifier: Apache-2.0
#include "filter/build.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bytecode/classic.hpp"
#include "filter/action.hpp"
#include "filter/read_classic.hpp"

namespace bpfwarden::filter {

std::vector<NumberTable> tables_of(const Source& source, Kernel kernel) {
    std::vector<NumberTable> tables;
    for (const auto abi : source.abis) {
        const auto arch = audit_arch(abi);
        auto at = std::ranges::find(tables, arch, &NumberTable::arch);
        if (at == tables.end()) {
            tables.push_back({arch, {}});
            at = tables.end() - 1;
        }
        const auto numbers = all_numbers(abi, kernel);
        at->numbers.insert(at->numbers.end(), numbers.begin(), numbers.end());
    }
    for (auto& table : tables) std::ranges::sort(table.numbers);
    return tables;
}

static std::string example_text(const Comparison& comparison) {
    const auto& data = comparison.example;
    std::string args;
    for (unsigned i = 0; i < 6; ++i) args += fmt::format("{}{:#x}", i == 0 ? "" : ", ", data.arg(i));
    return fmt::format("arch {:#x}, number {}, arguments {}: {} and {}", data[Word::arch], data[Word::nr], args,
                       text(comparison.one), text(comparison.other));
}

Result<Built> build(const Source& source, Kernel kernel, const BuildOptions& options) {
    if (source.kind == SourceKind::classic)
        return Built{source.program, bytecode::converted_length(source.program), Answer::same};
    const auto tables = tables_of(source, kernel);
    CompileOptions how{.weights = {}, .effort = options.effort};
    switch (options.objective) {
        case Objective::usual:
            how.weights = usual_weights(source.function, tables, options.cached_count);
            break;
        case Objective::uniform:
            how.weights = uniform_weights(tables);
            break;
        case Objective::given:
            how.weights = options.weights;
            break;
    }
    auto compiled = BW_TRY(compile(source.function, how));
    Built built{std::move(compiled.program), compiled.converted_length, Answer::undecided};
    // Not to be reached; the compiler is not trusted all the same.
    BW_TRY_WITHIN(bytecode::check(built.program), "checking what was compiled");
    const auto read = read_classic(built.program);
    const auto comparison = read ? compare(source.function, *read, options.proof_nodes) : Comparison{};
    built.proof = comparison.answer;
    if (built.proof == Answer::different)
        return fail(Error(Code::failed, "what was compiled is not the source's function")
                        .because(example_text(comparison))
                        .advise("this is a defect of the compiler: please report it with the source"));
    if (built.proof == Answer::undecided && options.require_proof)
        return fail(
            Error(Code::failed, "it was not proven that what was compiled is the source's function")
                .because(read
                             ? fmt::format("the comparison needs more than {} nodes, or arithmetic that it does not do",
                                           options.proof_nodes)
                             : read.error().what() + ": " + read.error().why())
                .advise("leave --require-proof out, or write the source with less arithmetic"));
    return built;
}

}  // namespace bpfwarden::filter
