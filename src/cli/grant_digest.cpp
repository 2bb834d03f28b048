// SPDX-License-Identifier: Apache-2.0
// `bpfwarden grant digest OBJECT`
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "bytecode/reading.hpp"
#include "bytecode/relocate.hpp"
#include "cli/grant.hpp"
#include "cli/grant_json.hpp"
#include "cli/recorded_load.hpp"
#include "trust/digest.hpp"

namespace bpfwarden::cli {

static Result<std::string> content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (!file) return fail_errno(fmt::format("cannot read {}", quoted(path)));
    return bytes;
}

// An ELF object by what libbpf makes of it; all else is taken as the instructions themselves.
static Result<std::vector<RecordedProgram>> programs_of(const std::string& path) {
    const auto bytes = BW_TRY(content_of(path));
    if (bytes.starts_with("\x7f"
                          "ELF"))
        return record_load(path);
    std::vector<bpf_insn> code(bytes.size() / sizeof(bpf_insn));
    if (bytes.empty() || bytes.size() % sizeof(bpf_insn) != 0)
        return fail(Error(Code::bad_input,
                          fmt::format("{} is neither an ELF object nor a stream of instructions", quoted(path)))
                        .because("instructions have 8 bytes each"));
    std::memcpy(code.data(), bytes.data(), bytes.size());
    return std::vector<RecordedProgram>{{path.substr(path.rfind('/') + 1), "", "", std::move(code)}};
}

static Result<> write_stream(const std::string& path, std::span<const std::byte> stream) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file) return fail_errno(fmt::format("cannot make {}", quoted(path)));
    for (std::size_t at = 0; at < stream.size();) {
        const auto n = ::write(file.get(), stream.data() + at, stream.size() - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            const auto failure = fail_errno(fmt::format("cannot write {}", quoted(path)));
            ::unlink(path.c_str());
            return failure;
        }
        at += static_cast<std::size_t>(n);
    }
    return {};
}

Result<int> grant_digest(const Args& args) {
    const auto& path = args.only("OBJECT");
    auto programs = BW_TRY(programs_of(path));
    if (const auto wanted = args.value("--program")) {
        std::vector<std::string_view> names;
        for (const auto& one : programs) names.push_back(one.name);
        const auto near = nearest(*wanted, names);
        const auto known = fmt::format("it has {}", fmt::join(names, ", "));
        if (std::ranges::find(programs, *wanted, &RecordedProgram::name) == programs.end())
            return fail(Error(Code::not_found, fmt::format("{} has no program {}", quoted(path), quoted(*wanted)))
                            .because(known)
                            .advise(near ? fmt::format("did you mean {}?", *near) : ""));
        std::erase_if(programs, [&](const RecordedProgram& one) { return one.name != *wanted; });
    }
    const auto out = args.value("--output");
    if (out && programs.size() != 1)
        return fail(
            Error(Code::usage, fmt::format("{} has {} programs, and --output takes one", quoted(path), programs.size()))
                .advise("choose it with --program NAME"));
    std::vector<ProgramDigest> digests;
    for (auto& one : programs) {
        // What the broker would not read it does not load either.
        BW_TRY_WITHIN(bytecode::read(one.instructions), printable(one.name));
        const auto stream = bytecode::canonical(one.instructions);
        const auto bytes = std::as_bytes(std::span(stream));
        if (out) BW_TRY(write_stream(*out, bytes));
        digests.push_back({std::move(one.name), std::move(one.section), std::move(one.type), stream.size(),
                           BW_TRY(trust::sha256(bytes))});
    }
    utsname system{};
    ::uname(&system);
    if (args.json) {
        print_digest_json(path, system.release, digests);
        return 0;
    }
    std::size_t width = 0;
    for (const auto& one : digests) width = std::max(width, printable(one.name).size());
    for (const auto& one : digests)
        fmt::print("{}  {:<{}}  {}{}{} instructions\n", one.sha256, printable(one.name), width, one.type,
                   one.type.empty() ? "" : ", ", one.instructions);
    return 0;
}

}  // namespace bpfwarden::cli
