// SPDX-License-Identifier: Apache-2.0
// `bpfwarden filter explain`
#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "bytecode/classic_text.hpp"
#include "cli/filter.hpp"
#include "filter/action.hpp"

namespace bpfwarden::cli {

namespace {

Result<std::uint64_t> parse_argument(std::string_view text) {
    const bool negative = text.starts_with('-');
    auto digits = text.substr(negative ? 1 : 0);
    const bool hexadecimal = digits.starts_with("0x");
    if (hexadecimal) digits.remove_prefix(2);
    std::uint64_t value = 0;
    const auto [end, problem] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, hexadecimal ? 16 : 10);
    if (problem != std::errc{} || end != digits.data() + digits.size() || digits.empty())
        return fail(Error(Code::usage, bpfwarden::quoted(text) + " is no argument of a system call")
                        .advise("write numbers: 1, 0x10, -100"));
    return negative ? 0 - value : value;
}

// One filter's way for one call.
struct Walk {
    std::string path;
    filter::Built built;
    std::vector<std::uint32_t> steps;
    bytecode::Outcome outcome;
    bool cached = false;
};

void print(const Walk& walk, const filter::Data& data) {
    fmt::print("{}: {}\n", walk.path, filter::text(walk.outcome.result));
    for (const auto at : walk.steps) {
        const auto& insn = walk.built.program[at];
        std::string remark;
        if (insn.code == bytecode::classic::load_word)
            remark = fmt::format("{} = {:#x}", bytecode::word_name(insn.k), data.words[insn.k / 4]);
        else if (insn.code == bytecode::classic::return_constant)
            remark = filter::text(insn.k);
        const auto text = bytecode::assembly(walk.built.program, at);
        fmt::print("  {:>4}  {}\n", at, remark.empty() ? text : fmt::format("{:<28}; {}", text, remark));
    }
    fmt::print("  {} instructions, {} of the kernel's eBPF{}\n", walk.outcome.executed, walk.outcome.converted,
               walk.cached ? "; none since 5.11, whose cache allows the call" : "");
}

}  // namespace

Result<int> filter_explain(const Args& args) {
    const auto abi = BW_TRY(abi_of(args));
    filter::Data data;
    data[filter::Word::arch] = filter::audit_arch(abi);
    data[filter::Word::nr] = BW_TRY(parse_number(abi, *args.value("--syscall")));
    if (const auto list = args.value("--args")) {
        const auto words = split(*list, ',');
        if (words.size() > 6) return fail(Error(Code::usage, "a system call has at most six arguments"));
        for (unsigned i = 0; i < words.size(); ++i) data.set_arg(i, BW_TRY(parse_argument(words[i])));
    }
    std::vector<Walk> walks;
    for (const auto& path : args.positional("SOURCE")) {
        Walk walk{.path = printable(path), .built = BW_TRY(open_built(path, args)), .steps = {}, .outcome = {}};
        walk.outcome = bytecode::run(walk.built.program, data.words, &walk.steps);
        walk.cached = bytecode::cached(walk.built.program, data[filter::Word::arch], data[filter::Word::nr]);
        walks.push_back(std::move(walk));
    }
    // The kernel runs the newest first, and an older one only takes over with a smaller action.
    const Walk* decides = &walks.back();
    for (auto walk = walks.rbegin(); walk != walks.rend(); ++walk)
        if (filter::outranks(walk->outcome.result, decides->outcome.result)) decides = &*walk;
    // A bit of the newest filter's cache is only set where all filters allow.
    bool cached = true;
    std::uint32_t executed = 0;
    for (const auto& walk : walks) {
        cached &= walk.cached;
        executed += walk.outcome.executed;
    }
    if (args.json) {
        nlohmann::ordered_json json{{"schema", "bpfwarden.filter.explain/1"},
                                    {"action", filter::text(decides->outcome.result)},
                                    {"decided_by", decides->path},
                                    {"executed", executed},
                                    {"cached", cached}};
        for (const auto& walk : walks)
            json["filters"].push_back({{"source", walk.path},
                                       {"action", filter::text(walk.outcome.result)},
                                       {"executed", walk.outcome.executed},
                                       {"converted", walk.outcome.converted},
                                       {"path", walk.steps}});
        fmt::print("{}\n", json.dump(2));
        return 0;
    }
    for (auto walk = walks.rbegin(); walk != walks.rend(); ++walk) print(*walk, data);
    if (walks.size() > 1)
        fmt::print("{} filters: {}, by {}; {} instructions{}\n", walks.size(), filter::text(decides->outcome.result),
                   decides->path, executed, cached ? ", none since 5.11" : "");
    return 0;
}

}  // namespace bpfwarden::cli
