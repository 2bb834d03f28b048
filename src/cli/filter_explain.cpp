// SPDX-License-Identifier: Apache-2.0
// `bpfwarden filter explain`
#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "bytecode/classic_text.hpp"
#include "bytecode/instruction.hpp"
#include "bytecode/interpret.hpp"
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
    std::vector<std::string> lines;  // of the source, as it goes
    std::vector<std::uint32_t> steps;
    bytecode::Outcome outcome;
    bool cached = false;
};

// The lines that a C filter runs through for this call, as its interpreter says: each decision, and what is returned.
std::vector<std::string> lines_of(const bytecode::Program& program, const filter::Data& data) {
    std::vector<std::string> lines;
    std::vector<std::uint32_t> steps;
    constexpr std::uint64_t most = 1'000'000;
    const auto* context = reinterpret_cast<const std::uint8_t*>(data.words.data());
    if (program.lines.empty() || !bytecode::interpret(program, {context, sizeof data.words}, most, &steps))
        return lines;
    for (const auto at : steps) {
        const auto kind = bytecode::kind_of(program.code[at]);
        const bool decides = kind == bytecode::Kind::conditional || kind == bytecode::Kind::exit;
        const auto* line = decides ? program.line_of(at) : nullptr;
        if (line == nullptr) continue;
        const auto first = line->text.find_first_not_of(" \t");
        auto text =
            fmt::format("{}:{}: {}", line->file, line->line, first == line->text.npos ? "" : line->text.substr(first));
        // A list that is looked through is one line many times.
        if (lines.empty() || lines.back() != text) lines.push_back(std::move(text));
    }
    return lines;
}

// The rules of a profile that are looked at, and where they stand in it.
std::vector<std::string> lines_of(const filter::ProfileRules& rules, const std::string& path, const filter::Data& data,
                                  std::uint32_t result) {
    std::vector<std::string> lines;
    for (const auto& [place, text] : rules.steps(data, result))
        lines.push_back(place == nullptr ? text : fmt::format("{}:{}: {}: {}", path, place->line, place->path, text));
    return lines;
}

void print(const Walk& walk, const filter::Data& data) {
    fmt::print("{}: {}\n", walk.path, filter::text(walk.outcome.result));
    for (const auto& line : walk.lines) fmt::print("  {}\n", printable(line));
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
        const auto source = BW_TRY(open_source(path, args));
        Walk walk{.path = printable(path),
                  .built = BW_TRY(build_source(source, args)),
                  .lines = lines_of(source.ebpf, data),
                  .steps = {},
                  .outcome = {}};
        walk.outcome = bytecode::run(walk.built.program, data.words, &walk.steps);
        if (source.rules) walk.lines = lines_of(*source.rules, path, data, source.function.evaluate(data));
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
                                       {"lines", walk.lines},
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
