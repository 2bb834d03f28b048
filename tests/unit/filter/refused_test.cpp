// SPDX-License-Identifier: Apache-2.0
// Every program of refused.bpf.c is refused with the line that is wrong, and with what to write instead.
#include <gmock/gmock.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "unit/filter/source_tools.hpp"

namespace bpfwarden::filter {
namespace {

using testing::HasSubstr;

const std::string source = std::string(BPFWARDEN_SOURCE) + "/tests/unit/filter/refused.bpf.c";

struct Case {
    const char* name;
    const char* what;
    const char* hint;
};

class Refused : public testing::TestWithParam<Case> {};

// Where in the source the comment `here` of a case is.
std::size_t line_of(const std::string& name) {
    std::ifstream file(source);
    bool inside = false;
    std::size_t number = 0;
    for (std::string line; std::getline(file, line);) {
        ++number;
        if (line.starts_with("#if") || line.starts_with("#elif"))
            inside = line.find("CASE_" + name + ")") != std::string::npos;
        if (inside && line.ends_with("// here")) return number;
    }
    ADD_FAILURE() << "no line of " << name;
    return 0;
}

Result<Evaluated> evaluated(const std::string& name) {
    auto object = read_object(bytes_of_file(std::string(BPFWARDEN_OBJECTS) + "/refused.CASE_" + name + ".bpf.o"), {});
    if (!object) return fail(std::move(object).error());
    auto options = small_tables(16);
    for (auto& one : options.architectures) std::erase_if(one.numbers, [](auto number) { return number > 15; });
    return evaluate(object->program, options);
}

TEST_P(Refused, NamesTheLineAndWhatToDo) {
    const auto result = evaluated(GetParam().name);
    ASSERT_FALSE(result) << "accepted";
    const auto& error = result.error();
    EXPECT_EQ(error.code(), Code::bad_input);
    EXPECT_THAT(error.what(), HasSubstr("refused.bpf.c:" + std::to_string(line_of(GetParam().name)) + ": "));
    EXPECT_THAT(error.what(), HasSubstr(GetParam().what));
    EXPECT_THAT(error.why(), HasSubstr("// here`")) << "the line itself is shown";
    EXPECT_THAT(error.hint(), HasSubstr(GetParam().hint));
}

INSTANTIATE_TEST_SUITE_P(
    Case, Refused,
    testing::Values(
        Case{"function_pointer", "takes the address of the function `", "call functions by their names"},
        Case{"pointer_table", "table of pointers", "keep the data itself in the table"},
        Case{"data_pointers", "table of pointers", "keep the data itself in the table"},
        Case{"atomic", "atomic", "plain assignments"},
        Case{"symbolic_store", "writes to a local array at an index that is not constant", "bounds are constants"},
        Case{"bpf_loop", "takes the address of the function `step`", "not with bpf_loop()"},
        Case{"helper", "calls helper 5", "only helper"}, Case{"kfunc", "uses `elsewhere`", "functions of its own"},
        Case{"extern", "uses `setting`", "no externs"}, Case{"written_global", "uses `calls`", "make it const"},
        Case{"initialised_global", "uses `setting`", "make it const"},
        Case{"wide_division", "divides 64-bit numbers", "divide by a constant"},
        Case{"hash", "a table of 256 entries at an index that mixes bits", "BPFW_SET"},
        Case{"unguarded_table", "may read outside", "compare the index with the number of entries"},
        Case{"rest", "may read outside", "if ((__u32)ctx->nr > 15) return SECCOMP_RET_ERRNO | ENOSYS;"},
        Case{"null", "it may have found nothing", "compare the pointer with null"},
        Case{"no_action", "0x12340000, which is no action", "SECCOMP_RET_ALLOW"},
        Case{"computed_action", "which action that is depends on the input", "choose the action with `if`"},
        Case{"pointer_result", "calculates with a pointer to struct seccomp_data", "cannot depend on addresses"},
        Case{"unset", "was not set", "give every variable a value"},
        Case{"endless", "does not end", "give the loop a bound"},
        Case{"context_write", "writes to struct seccomp_data", "local variables only"},
        Case{"context_outside", "outside of struct seccomp_data", "args[]"},
        Case{"context_index", "not the same one for every input", "switch"},
        Case{"map_write", "writes to a value of the map `errors`", "local variables only"}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(Refusal, ALoopWithoutABoundIsNamed) {
    const auto result = evaluated("unbounded_loop");
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().what(), HasSubstr("it was most often at refused.bpf.c:"));
    EXPECT_THAT(result.error().hint(), HasSubstr("give loops constant bounds"));
}

TEST(Refusal, TellsThePath) {
    const auto guarded = evaluated("unguarded_table");
    ASSERT_FALSE(guarded);
    EXPECT_THAT(guarded.error().why(), HasSubstr("reached with x86_64, nr 0, line "));
    EXPECT_THAT(guarded.error().why(), HasSubstr(": (__u32)args[0] < 9"));
    const auto rest = evaluated("rest");
    ASSERT_FALSE(rest);
    EXPECT_THAT(rest.error().why(), HasSubstr("a number that is not in its table; such as 16"));
}

}  // namespace
}  // namespace bpfwarden::filter
