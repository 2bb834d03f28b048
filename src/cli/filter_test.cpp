// SPDX-License-Identifier: Apache-2.0
// `bpfwarden filter test`
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "base/toml.hpp"
#include "bytecode/classic.hpp"
#include "cli/filter.hpp"
#include "filter/action.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::cli {

namespace {

struct Expectation {
    unsigned line = 0;
    filter::Abi abi = filter::native_abi().value_or(filter::Abi::x86_64);
    std::string call;
    filter::Data data;
    std::uint32_t action = 0;
};

class Table {
  public:
    explicit Table(std::string path) : path_(std::move(path)) {}

    Result<std::vector<Expectation>> read() {
        auto text = kernel::read_file(path_);
        if (!text)
            return fail(std::move(text)
                            .error()
                            .within("reading the table " + bpfwarden::quoted(path_))
                            .with_code(Code::bad_input));
        Diagnostics diagnostics;
        const auto file = parse_toml(*text, path_, diagnostics, {.noun = "table of expectations"});
        if (!file) return fail(Error(Code::bad_input, diagnostics.all().front().text()));
        std::vector<Expectation> all;
        bool has_format = false;
        for (const auto& member : file->items) {
            if (member.key == "format" && member.kind == TomlValue::Kind::integer && member.integer == 1) {
                has_format = true;
                continue;
            }
            if (member.key != "expect" || member.kind != TomlValue::Kind::array)
                return wrong(member, "only format = 1 and [[expect]] can stand here");
            for (const auto& one : member.items) all.push_back(BW_TRY(expectation(one)));
        }
        if (!has_format) return fail(Error(Code::bad_input, path_ + ": format = 1 is missing"));
        if (all.empty())
            return fail(Error(Code::bad_input, path_ + ": nothing is expected")
                            .advise("write [[expect]] tables with syscall and action"));
        return all;
    }

  private:
    Failure wrong(const TomlValue& value, std::string_view what) const {
        const bool has_key = value.key_line != 0;
        return fail(
            Error(Code::bad_input, fmt::format("{}:{}:{}: {}", printable(path_), has_key ? value.key_line : value.line,
                                               has_key ? value.key_column : value.column, what)));
    }

    Result<Expectation> expectation(const TomlValue& table) {
        Expectation made;
        if (table.kind != TomlValue::Kind::table) return wrong(table, "an [[expect]] table is expected");
        made.line = table.line;
        const TomlValue *call = nullptr, *action = nullptr, *arguments = nullptr;
        for (const auto& member : table.items) {
            if (member.key == "syscall") {
                call = &member;
            } else if (member.key == "action") {
                action = &member;
            } else if (member.key == "args") {
                arguments = &member;
            } else if (member.key == "arch") {
                const auto abi = filter::parse_abi(member.text);
                if (!abi) return wrong(member, "arch is one of x86_64, x32, i386, aarch64");
                made.abi = *abi;
            } else {
                return wrong(
                    member, fmt::format("{} is not known: syscall, action, args, arch", bpfwarden::quoted(member.key)));
            }
        }
        if (call == nullptr || action == nullptr) return wrong(table, "syscall or action is missing");
        made.data[filter::Word::arch] = filter::audit_arch(made.abi);
        made.call = call->kind == TomlValue::Kind::integer ? std::to_string(call->integer) : call->text;
        auto number = parse_number(made.abi, made.call);
        if (!number) return wrong(*call, number.error().what());
        made.data[filter::Word::nr] = *number;
        const auto wanted = filter::parse_action(action->text);
        if (!wanted)
            return wrong(*action, fmt::format("{} is no action: ALLOW, ERRNO(EPERM), KILL_PROCESS, …",
                                              bpfwarden::quoted(action->text)));
        made.action = filter::normalized(*wanted);
        if (arguments == nullptr) return made;
        if (arguments->kind != TomlValue::Kind::array || arguments->items.size() > 6)
            return wrong(*arguments, "args is a list of at most six numbers");
        for (unsigned i = 0; i < arguments->items.size(); ++i) {
            if (arguments->items[i].kind != TomlValue::Kind::integer)
                return wrong(arguments->items[i], "an argument is a number");
            made.data.set_arg(i, static_cast<std::uint64_t>(arguments->items[i].integer));
        }
        return made;
    }

    std::string path_;
};

}  // namespace

Result<int> filter_test(const Args& args) {
    const auto& path = args.only("TABLE");
    const auto expected = BW_TRY(Table(path).read());
    const auto built = BW_TRY(open_built(args.only("SOURCE"), args));
    std::size_t wrong = 0;
    auto failures = nlohmann::ordered_json::array();
    for (const auto& one : expected) {
        const auto is = filter::normalized(bytecode::run(built.program, one.data.words).result);
        if (is == one.action) continue;
        ++wrong;
        failures.push_back({{"line", one.line},
                            {"arch", filter::text(one.abi)},
                            {"syscall", printable(one.call)},
                            {"action", filter::text(is)},
                            {"expected", filter::text(one.action)}});
        if (args.json) continue;
        fmt::print("{}:{}: {} {} is {}, expected {}\n", printable(path), one.line, filter::text(one.abi),
                   printable(one.call), filter::text(is), filter::text(one.action));
    }
    if (args.json)
        fmt::print("{}\n",
                   nlohmann::ordered_json{
                       {"schema", "bpfwarden.filter.test/1"}, {"expectations", expected.size()}, {"failures", failures}}
                       .dump(2));
    else
        fmt::print("{} of {} as expected\n", expected.size() - wrong, expected.size());
    return wrong == 0 ? 0 : 1;
}

}  // namespace bpfwarden::cli
