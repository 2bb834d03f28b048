// SPDX-License-Identifier: Apache-2.0
// `bpfwarden filter build`, `check` and `dump`
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "bytecode/classic_text.hpp"
#include "cli/filter.hpp"
#include "filter/action.hpp"

namespace bpfwarden::cli {

namespace {

Result<> write_all(int fd, std::string_view text, const std::string& path) {
    while (!text.empty()) {
        const auto n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("cannot write " + bpfwarden::quoted(path));
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

// All of it or nothing: beside the file, and then in its place. What is no plain file is written to as it is.
Result<> write_file(const std::string& path, std::string_view text) {
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
        const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
        return fd ? write_all(fd.get(), text, path) : fail_errno("cannot write " + bpfwarden::quoted(path));
    }
    auto beside = path + ".XXXXXX";
    UniqueFd fd(::mkostemp(beside.data(), O_CLOEXEC));
    if (!fd) return fail_errno("cannot write " + bpfwarden::quoted(path));
    auto done = write_all(fd.get(), text, path);
    if (done && (::fchmod(fd.get(), 0644) != 0 || ::rename(beside.c_str(), path.c_str()) != 0))
        done = fail_errno("cannot write " + bpfwarden::quoted(path));
    if (!done) ::unlink(beside.c_str());
    return done;
}

// What an action, an architecture or a number means beside an instruction.
bytecode::Remark remark_of(const std::vector<sock_filter>& program) {
    return [&program](std::size_t at) -> std::string {
        const auto& insn = program[at];
        if (insn.code == bytecode::classic::return_constant) return filter::text(insn.k);
        if (insn.code != bytecode::classic::jump_equal) return "";
        for (const auto abi : filter::all_abis)
            if (filter::audit_arch(abi) == insn.k) return std::string(filter::text(abi));
        return "";
    };
}

}  // namespace

Result<int> filter_build(const Args& args) {
    const auto source = BW_TRY(open_source(args.only("SOURCE"), args));
    const auto built = BW_TRY(build_source(source, args));
    const auto raw = bytecode::write_raw(built.program);
    const auto output = args.value("--output");
    if (!output && args.json)
        return fail(Error(Code::usage, "the program would go where the JSON goes").advise("name a file with --output"));
    if (!output && ::isatty(1) != 0)
        return fail(Error(Code::usage, "the program is binary, and standard output is a terminal")
                        .advise("name a file with --output, or look at it with `bpfwarden filter dump`"));
    if (output)
        BW_TRY(write_file(*output, raw));
    else
        BW_TRY(write_all(1, raw, "standard output"));
    const bool proven = built.proof == filter::Answer::same;
    if (args.json) {
        const nlohmann::ordered_json json{{"schema", "bpfwarden.filter.build/1"},
                                          {"output", printable(*output)},
                                          {"instructions", built.program.size()},
                                          {"converted", built.converted_length},
                                          {"proven", proven}};
        fmt::print("{}\n", json.dump(2));
        return 0;
    }
    fmt::print(stderr, "{} instructions, {} of the kernel's eBPF; {}proven to be the source's function\n",
               built.program.size(), built.converted_length, proven ? "" : "not ");
    return 0;
}

Result<int> filter_check(const Args& args) {
    const auto source = BW_TRY(open_source(args.only("SOURCE"), args));
    if (args.json) {
        nlohmann::ordered_json json{{"schema", "bpfwarden.filter.check/1"},
                                    {"kind", filter::text(source.kind)},
                                    {"architectures", nlohmann::ordered_json::array()},
                                    {"warnings", nlohmann::ordered_json::array()}};
        for (const auto abi : source.abis) json["architectures"].push_back(filter::text(abi));
        for (const auto& warning : source.warnings)
            json["warnings"].push_back({{"where", printable(warning.where)}, {"text", printable(warning.text)}});
        fmt::print("{}\n", json.dump(2));
        return 0;
    }
    std::string abis;
    for (const auto abi : source.abis) abis += fmt::format("{}{}", abis.empty() ? "" : ", ", filter::text(abi));
    fmt::print("{}: {}{}{}\n", printable(args.only("SOURCE")), filter::text(source.kind),
               source.kind == filter::SourceKind::classic ? fmt::format(", {} instructions", source.program.size())
                                                          : " for " + abis,
               source.warnings.empty()
                   ? ""
                   : fmt::format(", {} warning{}", source.warnings.size(), source.warnings.size() == 1 ? "" : "s"));
    return 0;
}

Result<int> filter_dump(const Args& args) {
    const auto format = args.value("--format").value_or(args.json ? "json" : "asm");
    if (args.json && format != "json")
        return fail(Error(Code::usage, "--json and --format " + bpfwarden::quoted(format) + " are two formats"));
    const auto built = BW_TRY(open_built(args.only("SOURCE"), args));
    const auto remark = remark_of(built.program);
    if (format == "asm")
        fmt::print("{}", bytecode::as_assembly(built.program, remark));
    else if (format == "c")
        fmt::print("{}", bytecode::as_c(built.program, "filter", remark));
    else if (format == "json")
        fmt::print("{{\"schema\": \"bpfwarden.filter.dump/1\",\n \"instructions\": {}}}\n",
                   bytecode::as_json(built.program));
    else if (format == "dot")
        fmt::print("{}", bytecode::as_dot(built.program, remark));
    else if (format == "raw")
        BW_TRY(write_all(1, bytecode::write_raw(built.program), "standard output"));
    else
        return fail(Error(Code::usage, fmt::format("--format cannot be {}", bpfwarden::quoted(format)))
                        .advise("one of: asm, c, json, dot, raw"));
    return 0;
}

}  // namespace bpfwarden::cli
