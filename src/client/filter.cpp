// SPDX-License-Identifier: Apache-2.0
#include "client/filter.hpp"

#include <linux/seccomp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/text.hpp"
#include "filter/action.hpp"
#include "filter/build.hpp"
#include "filter/read_classic.hpp"
#include "kernel/file.hpp"
#include "kernel/seccomp_filter.hpp"

namespace bpfwarden::client {

namespace {

constexpr std::size_t largest_file = 64 << 20;
constexpr std::size_t largest_options = 4096;

// The same error, with an errno for C.
Error numbered(const Error& error, int number) {
    return Error::from_errno(number, error.what()).because(error.why()).advise(error.hint());
}

Failure wrong(std::string what, std::string hint) {
    return fail(Error::from_errno(EINVAL, std::move(what)).because("").advise(std::move(hint)));
}

// What this release knows of the options; a longer structure must have nothing in what is beyond.
Result<bpfw_filter_options> known_part(const bpfw_filter_options* given) {
    bpfw_filter_options options{};
    if (given == nullptr) return options;
    if (given->size < sizeof options)
        return wrong("the filter's options have no size", "set `size` to sizeof(struct bpfw_filter_options)");
    const auto* bytes = reinterpret_cast<const unsigned char*>(given);
    const bool more = given->size > largest_options ||
                      std::any_of(bytes + sizeof options, bytes + given->size, [](auto byte) { return byte != 0; });
    if (more)
        return fail(Error::from_errno(E2BIG, "the filter's options have members that this release does not know")
                        .because("")
                        .advise("leave them 0, or use the libbpfwarden that the program was written for"));
    std::memcpy(&options, given, sizeof options);
    if (options.reserved != 0) return wrong("a reserved member of the filter's options is not 0", "set it to 0");
    return options;
}

std::vector<std::string> texts(const char* const* list) {
    std::vector<std::string> all;
    for (; list != nullptr && *list != nullptr; ++list) all.emplace_back(*list);
    return all;
}

Result<filter::Kernel> kernel_of(const char* text) {
    if (text == nullptr) return filter::newest_kernel;
    const auto kernel = filter::parse_kernel(text);
    if (!kernel) return wrong(bpfwarden::quoted(text) + " is no kernel's version", "write \"5.10\", or \"6.12.94\"");
    return *kernel;
}

Result<std::uint32_t> at_most(std::uint32_t last, std::uint32_t value, std::string_view member) {
    if (value > last)
        return wrong("the filter's options: " + std::string(member) + " cannot be " + std::to_string(value),
                     "bpfwarden/filter.h has the values that it can have");
    return value;
}

Result<filter::SourceOptions> source_options(const bpfw_filter_options& given) {
    filter::SourceOptions options;
    for (const auto& word : texts(given.architectures)) {
        const auto abi = filter::parse_abi(word);
        if (!abi)
            return wrong("the architecture " + bpfwarden::quoted(word) + " is not known",
                         "one of: x86_64, x32, i386, aarch64");
        options.abis.push_back(*abi);
    }
    options.kernel = BW_TRY(kernel_of(given.kernel));
    if (given.bad_arch != nullptr) {
        options.bad_arch = filter::parse_action(given.bad_arch);
        if (!options.bad_arch)
            return wrong("bad_arch: " + bpfwarden::quoted(given.bad_arch) + " is no action",
                         "write KILL_PROCESS, ERRNO(ENOSYS), ALLOW, …");
    }
    for (std::size_t i = 0; i < given.set_count; ++i) {
        const auto& set = given.sets[i];
        options.sets[set.name].assign(set.numbers, set.numbers + set.count);
    }
    options.capabilities = texts(given.capabilities);
    options.same_argument =
        static_cast<filter::SameArgument>(BW_TRY(at_most(BPFW_FILTER_ANY_HOLDS, given.same_argument, "same_argument")));
    options.no_rule =
        static_cast<filter::NoRule>(BW_TRY(at_most(BPFW_FILTER_NO_RULE_ENOSYS_UNKNOWN, given.no_rule, "no_rule")));
    return options;
}
static_assert(filter::SameArgument{BPFW_FILTER_ANY_HOLDS} == filter::SameArgument::any &&
              filter::NoRule{BPFW_FILTER_NO_RULE_ENOSYS_ABOVE} == filter::NoRule::enosys_above &&
              filter::NoRule{BPFW_FILTER_NO_RULE_ENOSYS_UNKNOWN} == filter::NoRule::enosys_unknown);

Result<filter::BuildOptions> build_options(const bpfw_filter_options& given) {
    filter::BuildOptions options;
    if (BW_TRY(at_most(BPFW_FILTER_UNIFORM, given.objective, "objective")) == BPFW_FILTER_UNIFORM)
        options.objective = filter::Objective::uniform;
    switch (BW_TRY(at_most(BPFW_FILTER_HIGH, given.effort, "effort"))) {
        case BPFW_FILTER_QUICK:
            options.effort = filter::Effort::quick;
            break;
        case BPFW_FILTER_HIGH:
            options.effort = filter::Effort::high;
            break;
        default:
            break;
    }
    BW_TRY(at_most(1, given.require_proof, "require_proof"));
    options.cached_count = BW_TRY(kernel_of(given.oldest_kernel)) < filter::Kernel{5, 11};
    return options;
}

std::string lines_of(const std::vector<filter::Warning>& warnings) {
    std::string lines;
    for (const auto& warning : warnings) {
        if (!warning.where.empty()) lines += printable(warning.where) + ": ";
        lines += printable(warning.text) + "\n";
    }
    return lines;
}

// A program that is too intricate is no fault of the library's; a compiler that is wrong is.
enum class Step : std::uint8_t { reading, compiling };
Error numbered(const Error& error, Step step) {
    switch (error.code()) {
        case Code::bad_input:
            return numbered(error, EINVAL);
        case Code::unsupported:
            return numbered(error, E2BIG);
        default:
            return numbered(error, step == Step::reading ? EOPNOTSUPP : EIO);
    }
}

Result<std::unique_ptr<BuiltFilter>> build_as(std::string_view bytes, const bpfw_filter_options& given,
                                              const filter::SourceOptions& reading,
                                              const filter::BuildOptions& building) {
    const auto source = filter::read_source(bytes, reading);
    if (!source) return fail(numbered(source.error(), Step::reading));
    auto built = filter::build(*source, reading.kernel, building);
    if (!built) return fail(numbered(built.error(), Step::compiling));
    const bool proven = built->proof == filter::Answer::same;
    if (!proven && given.require_proof != 0)
        return fail(Error::from_errno(EOPNOTSUPP, "it was not proven that the program is the source's function")
                        .because("the comparison takes too much memory, or arithmetic that is not done")
                        .advise("do not ask for a proof, or write the source with less arithmetic"));
    return std::make_unique<BuiltFilter>(
        BuiltFilter{std::move(built->program), lines_of(source->warnings), proven, source->flags});
}

}  // namespace

Result<std::unique_ptr<BuiltFilter>> build_filter(std::string_view source, const bpfw_filter_options* options) {
    const auto given = BW_TRY(known_part(options));
    const auto reading = BW_TRY(source_options(given));
    const auto building = BW_TRY(build_options(given));
    return build_as(source, given, reading, building);
}

Result<std::unique_ptr<BuiltFilter>> build_filter_file(const char* path, const bpfw_filter_options* options) {
    const auto given = BW_TRY(known_part(options));
    const auto reading = BW_TRY(source_options(given));
    const auto building = BW_TRY(build_options(given));
    const auto bytes = BW_TRY(kernel::read_file(path, largest_file));
    return BW_TRY_WITHIN(build_as(bytes, given, reading, building), path);
}

Result<UniqueFd> install_filter(const BuiltFilter& filter, unsigned flags) {
    constexpr unsigned known = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW |
                               SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    const auto has = [flags](unsigned flag) { return (flags & flag) != 0; };
    if (has(~known))
        return wrong("a flag for installing a filter is not known", "bpfwarden/filter.h has those that are");
    if (has(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) && !has(SECCOMP_FILTER_FLAG_NEW_LISTENER))
        return wrong("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is about a listener, and none is asked for",
                     "add SECCOMP_FILTER_FLAG_NEW_LISTENER");
    return kernel::install_filter(filter.program, {.all_threads = has(SECCOMP_FILTER_FLAG_TSYNC),
                                                   .log = has(SECCOMP_FILTER_FLAG_LOG),
                                                   .speculate = has(SECCOMP_FILTER_FLAG_SPEC_ALLOW),
                                                   .new_listener = has(SECCOMP_FILTER_FLAG_NEW_LISTENER),
                                                   .wait_killable = has(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)});
}

filter::Comparison compare_filters(const BuiltFilter& one, const BuiltFilter& other) {
    const auto first = filter::read_classic(one.program), second = filter::read_classic(other.program);
    return first && second ? filter::compare(*first, *second) : filter::Comparison{};
}

}  // namespace bpfwarden::client
