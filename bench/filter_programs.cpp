// SPDX-License-Identifier: Apache-2.0
// filter_programs PROFILE WEIGHTS OBJECT: what filters of the profile look like, without any clock: the same on every
// machine. A line for each: SIDE MEASURE VALUE. Executed instructions are counted for all arguments 0 unless said
// otherwise; those of WEIGHTS are means weighted by how often each call is made. OBJECT is a C filter with two sets
// from outside, which gets 300 entries, and the same in JSON.
#include <fmt/format.h>
#include <linux/audit.h>

#include <algorithm>
#include <cstdio>

#include "bytecode/classic.hpp"
#include "bytecode/classic_text.hpp"
#include "filter/action.hpp"
#include "filter_sides.hpp"

namespace bpfwarden::bench {
namespace {

using filter::Data;
using filter::Effort;
using filter::Objective;
using filter::Word;
using Program = std::vector<sock_filter>;

Data call(std::uint32_t number, std::uint64_t first = 0, std::uint64_t second = 0) {
    Data data;
    data[Word::arch] = AUDIT_ARCH_X86_64;
    data[Word::nr] = number;
    data.set_arg(0, first);
    data.set_arg(1, second);
    return data;
}

void describe(std::string_view side, const Program& program, const filter::Function& function,
              const filter::Weights& weights) {
    const auto say = [&](std::string_view measure, auto value) { fmt::print("{} {} {}\n", side, measure, value); };
    const auto executed = [&](const Data& data) { return double(bytecode::run(program, data.words).executed); };
    double all = 0, uncached = 0;
    std::size_t calls = 0, left = 0, allowed = 0, answered = 0;
    for (const auto nr : filter::all_numbers(filter::Abi::x86_64)) {
        const double cost = executed(call(nr));
        const bool cached = bytecode::cached(program, AUDIT_ARCH_X86_64, nr);
        all += cost;
        ++calls;
        if (!cached) uncached += cost, ++left;
        const auto& part = function.parts.front();
        const auto& residual =
            (*function.decisions)[std::ranges::lower_bound(part.runs, nr, {}, &filter::Run::last)->node];
        if (residual.kind != filter::NodeKind::action || residual.action != filter::allow) continue;
        ++allowed;
        answered += cached;
    }
    double weighted = 0, weight = 0;
    for (const auto& one : weights) {
        weighted += double(one.weight) * executed(call(one.nr));
        weight += double(one.weight);
    }
    say("calls", calls);
    say("length", program.size());
    say("converted", bytecode::converted_length(program));
    say("mean", all / double(calls));
    say("mean_uncached", uncached / double(left));
    say("mean_weighted", weighted / weight);
    say("socket", executed(call(*filter::number_of(filter::Abi::x86_64, "socket"), 1, 1)));
    say("personality", executed(call(*filter::number_of(filter::Abi::x86_64, "personality"), 0xffffffff)));
    say("always_allowed", allowed);
    say("always_allowed_cached", answered);
}

// 300 numbers, as a profile and as the contents of a set.
Result<> compare_sets(const std::string& object) {
    auto numbers = filter::all_numbers(filter::Abi::x86_64);
    std::erase_if(numbers, [](std::uint32_t nr) { return nr % 7 == 3; });
    numbers.resize(300);
    nlohmann::json names = nlohmann::json::array();
    auto options = only_x86_64();
    for (const auto nr : numbers) {
        names.push_back(filter::name_of(filter::Abi::x86_64, nr));
        options.sets["allowed"].push_back(nr);
    }
    const nlohmann::json profile{{"defaultAction", "SCMP_ACT_ERRNO"},
                                 {"defaultErrnoRet", 1},
                                 {"syscalls", {{{"names", names}, {"action", "SCMP_ACT_ALLOW"}}}}};
    const auto from_json = BW_TRY(filter::read_source(profile.dump(), only_x86_64()));
    const auto from_c = BW_TRY(filter::read_source(object, options));
    const auto one = BW_TRY(filter::build(from_json, filter::newest_kernel));
    const auto other = BW_TRY(filter::build(from_c, filter::newest_kernel));
    fmt::print("set_of_{} length {}\n", numbers.size(), one.program.size());
    fmt::print("set_of_{} same_function {}\n", numbers.size(),
               int{filter::compare(from_json.function, from_c.function).answer == filter::Answer::same});
    fmt::print("set_of_{} same_bytes {}\n", numbers.size(),
               int{bytecode::write_raw(one.program) == bytecode::write_raw(other.program)});
    return {};
}

Result<> measure(const std::string& profile_path, const std::string& weights_path, const std::string& object_path) {
    const auto profile = BW_TRY(contents(profile_path));
    const auto weights = BW_TRY(read_weights(weights_path));
    const auto source = BW_TRY(filter::read_source(profile, only_x86_64()));
    struct Side {
        const char* name;
        filter::BuildOptions options;
    };
    const Side sides[] = {
        {"usual", {}},
        {"uniform", {.objective = Objective::uniform, .weights = {}}},
        {"uniform_high", {.objective = Objective::uniform, .weights = {}, .effort = Effort::high}},
        {"weighted_5.10", {.objective = Objective::given, .weights = weights, .cached_count = true}},
    };
    for (const auto& side : sides) {
        const auto built = BW_TRY_WITHIN(filter::build(source, filter::newest_kernel, side.options), side.name);
        describe(side.name, built.program, source.function, weights);
        fmt::print("{} proven {}\n", side.name, int{built.proof == filter::Answer::same});
    }
    const auto rules = filter::libseccomp::rules_of(profile, {});
    for (const int level : {1, 2})
        describe(level == 1 ? "libseccomp" : "libseccomp_tree", BW_TRY(of_libseccomp(rules, level)), source.function,
                 weights);
    return compare_sets(BW_TRY(contents(object_path)));
}

}  // namespace
}  // namespace bpfwarden::bench

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fputs("usage: filter_programs PROFILE WEIGHTS OBJECT\n", stderr);
        return 2;
    }
    const auto done = bpfwarden::bench::measure(argv[1], argv[2], argv[3]);
    if (done) return 0;
    fmt::print(stderr, "{}\n", done.error().text("filter_programs"));
    return 1;
}
