// SPDX-License-Identifier: Apache-2.0
#include "filter/source.hpp"

#include <algorithm>

#include "bytecode/classic.hpp"
#include "bytecode/classic_text.hpp"
#include "filter/evaluate.hpp"
#include "filter/int_arguments.hpp"
#include "filter/read_classic.hpp"

namespace bpfwarden::filter {

SourceKind kind_of(std::string_view bytes) {
    if (bytes.starts_with("\x7f"
                          "ELF"))
        return SourceKind::object;
    const auto first = bytes.find_first_not_of(" \t\r\n");
    if (first != bytes.npos && bytes[first] == '{') return SourceKind::profile;
    return SourceKind::classic;
}

std::string_view text(SourceKind kind) {
    switch (kind) {
        case SourceKind::object:
            return "eBPF object";
        case SourceKind::profile:
            return "container profile";
        case SourceKind::classic:
            return "classic BPF";
    }
    return "";
}

std::vector<Abi> abis_of_machine(Abi native) {
    if (native == Abi::x86_64) return {Abi::x86_64, Abi::x32, Abi::i386};
    return {native};
}

static std::vector<Abi> abis_of(const SourceOptions& options) {
    return options.abis.empty() ? abis_of_machine(native_abi().value_or(Abi::x86_64)) : options.abis;
}

static Result<Source> read_as_object(std::string_view bytes, const SourceOptions& options) {
    auto object =
        BW_TRY(read_object(Blob(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()), options.sets));
    Source source{.kind = SourceKind::object,
                  .function = {},
                  .abis = abis_of(options),
                  .program = {},
                  .ebpf = {},
                  .warnings = object.warnings};
    EvaluateOptions how{.architectures = {}, .bad_arch = options.bad_arch, .limits = {}};
    for (const auto abi : source.abis) {
        const auto arch = audit_arch(abi);
        auto at = std::ranges::find(how.architectures, arch, &Architecture::arch);
        if (at == how.architectures.end()) {
            how.architectures.push_back({arch, std::string(text(abi)), {}});
            at = how.architectures.end() - 1;
        }
        const auto numbers = all_numbers(abi, options.kernel);
        at->numbers.insert(at->numbers.end(), numbers.begin(), numbers.end());
    }
    for (auto& one : how.architectures) std::ranges::sort(one.numbers);
    auto evaluated = evaluate(object.program, how);
    if (!evaluated) return fail(std::move(evaluated.error()));
    source.function = std::move(evaluated->function);
    source.ebpf = std::move(object.program);
    source.warnings.insert(source.warnings.end(), evaluated->warnings.begin(), evaluated->warnings.end());
    const auto ints = warn_of_ints(source.function, source.abis, options.kernel, evaluated->met_at);
    source.warnings.insert(source.warnings.end(), ints.begin(), ints.end());
    return source;
}

static Result<Source> read_as_profile(std::string_view bytes, const SourceOptions& options) {
    ProfileOptions how;
    how.abis = options.abis;
    how.capabilities = options.capabilities;
    how.kernel = options.kernel;
    if (options.bad_arch) how.bad_arch = *options.bad_arch;
    how.same_argument = options.same_argument;
    how.no_rule = options.no_rule;
    auto profile = BW_TRY(read_profile(bytes, how));
    return Source{.kind = SourceKind::profile,
                  .function = std::move(profile.function),
                  .abis = std::move(profile.abis),
                  .program = {},
                  .ebpf = {},
                  .flags = profile.flags,
                  .rules = std::move(profile.rules),
                  .warnings = std::move(profile.warnings)};
}

static Result<Source> read_as_classic(std::string_view bytes, const SourceOptions& options) {
    auto program = BW_TRY(bytecode::read_raw(bytes));
    BW_TRY(bytecode::check(program));
    auto function = BW_TRY(read_classic(program));
    return Source{.kind = SourceKind::classic,
                  .function = std::move(function),
                  .abis = abis_of(options),
                  .program = std::move(program),
                  .ebpf = {},
                  .warnings = {}};
}

Result<Source> read_source(std::string_view bytes, const SourceOptions& options) {
    switch (kind_of(bytes)) {
        case SourceKind::object:
            return read_as_object(bytes, options);
        case SourceKind::profile:
            return read_as_profile(bytes, options);
        case SourceKind::classic:
            break;
    }
    return read_as_classic(bytes, options);
}

}  // namespace bpfwarden::filter
