// SPDX-License-Identifier: Apache-2.0
// Reading what a command was given as a filter.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "base/toml.hpp"
#include "cli/filter.hpp"
#include "filter/action.hpp"
#include "kernel/process.hpp"

namespace bpfwarden::cli {

namespace {

constexpr std::size_t largest_source = 64 << 20;

Result<std::string> read_all(const std::string& path) {
    const UniqueFd fd(path == "-" ? ::fcntl(0, F_DUPFD_CLOEXEC, 3) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        const int error = errno;
        return fail(Error::from_errno(error, "cannot read " + bpfwarden::quoted(path))
                        .with_code(error == ENOENT ? Code::not_found : Code::bad_input));
    }
    std::string content;
    char buffer[65536];
    for (;;) {
        const auto n = ::read(fd.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return fail(Error::from_errno(errno, "cannot read " + bpfwarden::quoted(path)).with_code(Code::bad_input));
        if (n == 0) return content;
        content.append(buffer, static_cast<std::size_t>(n));
        if (content.size() > largest_source)
            return fail(Error(Code::bad_input, bpfwarden::quoted(path) + " is too large for a filter"));
    }
}

// Where the header that filters are written with is: beside this program's own build, or where it was installed.
std::string header_folder() {
    std::error_code problem;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", problem).parent_path();
    for (const auto& path : {self / "../../include", self / "../include", std::filesystem::path(BPFWARDEN_INCLUDEDIR)})
        if (std::filesystem::exists(path / "bpfwarden/seccomp_filter.h", problem))
            return std::filesystem::canonical(path, problem).string();
    return BPFWARDEN_INCLUDEDIR;
}

// clang, with flags under which it makes what the verifier takes. Its messages go to stderr as they are.
Result<std::string> compile_c(const std::string& path) {
    UniqueFd object(::memfd_create("filter.o", MFD_CLOEXEC));
    if (!object) return fail_errno("memfd_create");
    const char* wanted = ::secure_getenv("CLANG");
    // A distribution's plain clang may be too old for -mcpu=v4, as Debian 12's is.
    const std::vector<std::string> compilers = wanted != nullptr && *wanted != '\0'
                                                   ? std::vector<std::string>{wanted}
                                                   : std::vector<std::string>{"clang-19", "clang"};
    const std::vector<std::string> words{"clang",
                                         "-target",
                                         "bpfel",
                                         "-mcpu=v4",
                                         "-O2",
                                         "-g",
                                         "-fno-unroll-loops",
                                         "-fno-jump-tables",
                                         "-I",
                                         header_folder(),
                                         "-idirafter",
                                         BPFWARDEN_ASM_INCLUDEDIR,
                                         "-c",
                                         path,
                                         "-o",
                                         "-"};
    const pid_t pid = ::fork();
    if (pid < 0) return fail_errno("fork");
    if (pid == 0) {
        // A file would be removed if it cannot be compiled, and one without a name cannot be.
        ::dup2(object.get(), 1);
        std::vector<char*> argv;
        for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
        argv.push_back(nullptr);
        for (const auto& compiler : compilers) ::execvp(compiler.c_str(), argv.data());
        ::_exit(127);
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return fail(Error(Code::unsupported, fmt::format("cannot run {}", bpfwarden::quoted(compilers.front())))
                        .because("C is compiled with clang, 18 or newer")
                        .advise("install clang, name it in $CLANG, or give the object that it makes"));
    if (status != 0)
        return fail(Error(Code::bad_input, "clang does not compile " + bpfwarden::quoted(path))
                        .advise("what it says is above"));
    return read_all(fmt::format("/proc/self/fd/{}", object.get()));
}

Result<filter::SetContents> sets_of(const Args& args) {
    filter::SetContents sets;
    for (const auto& one : args.values("--map")) {
        const auto cut = one.find('=');
        if (cut == one.npos || cut == 0)
            return fail(Error(Code::usage, "--map " + bpfwarden::quoted(one) + " is not NAME=FILE"));
        const auto path = one.substr(cut + 1);
        const auto text = BW_TRY(read_all(path));
        Diagnostics diagnostics;
        const auto file = parse_toml(text, path, diagnostics, {.noun = "set of numbers"});
        if (!file) return fail(Error(Code::bad_input, diagnostics.all().front().text()));
        auto& numbers = sets[one.substr(0, cut)];
        for (const auto& member : file->items) {
            const bool known = member.key == "numbers" && member.kind == TomlValue::Kind::array;
            if (member.key == "format" && member.integer == 1) continue;
            if (!known)
                return fail(Error(Code::bad_input, fmt::format("{}:{}: {} is not known", printable(path),
                                                               member.key_line, bpfwarden::quoted(member.key)))
                                .advise("write: numbers = [1, 2, 3]"));
            for (const auto& item : member.items) {
                if (item.kind != TomlValue::Kind::integer)
                    return fail(Error(Code::bad_input, fmt::format("{}:{}: a number is expected, not {}", path,
                                                                   item.line, item.kind_name())));
                numbers.push_back(static_cast<std::uint64_t>(item.integer));
            }
        }
    }
    return sets;
}

Result<filter::Kernel> parse_kernel_option(const Args& args, std::string_view option, filter::Kernel otherwise) {
    const auto text = args.value(option);
    if (!text) return otherwise;
    const auto kernel = filter::parse_kernel(*text);
    if (!kernel)
        return fail(Error(Code::usage, fmt::format("{} {} is no kernel's version", option, bpfwarden::quoted(*text)))
                        .advise("write 5.10, or 6.12.94"));
    return *kernel;
}

template <class T>
Result<T> choice(const Args& args, std::string_view option, T otherwise,
                 std::initializer_list<std::pair<std::string_view, T>> words) {
    const auto text = args.value(option);
    if (!text) return otherwise;
    for (const auto& [word, value] : words)
        if (*text == word) return value;
    std::string known;
    for (const auto& [word, value] : words) known += fmt::format("{}{}", known.empty() ? "" : ", ", word);
    return fail(Error(Code::usage, fmt::format("{} cannot be {}", option, bpfwarden::quoted(*text)))
                    .advise("one of: " + known));
}

// Lines of NAME COUNT; '#' begins a remark.
Result<filter::Weights> read_weights(const std::string& path, const filter::Source& source) {
    const auto text = BW_TRY(read_all(path));
    filter::Weights weights;
    unsigned number = 0;
    for (auto line : split(text, '\n')) {
        ++number;
        line = line.substr(0, line.find('#'));
        std::vector<std::string_view> words;
        for (const auto word : split(line, ' '))
            if (!word.empty()) words.push_back(word);
        if (words.empty()) continue;
        std::uint64_t count = 0;
        const bool good =
            words.size() == 2 && std::from_chars(words[1].data(), words[1].data() + words[1].size(), count).ptr ==
                                     words[1].data() + words[1].size();
        bool known = false;
        for (const auto abi : source.abis)
            if (const auto nr = good ? filter::number_of(abi, words[0]) : std::nullopt) {
                weights.push_back({filter::audit_arch(abi), *nr, count});
                known = true;
                break;  // counts are of the machine's own calls
            }
        if (!known)
            return fail(Error(Code::bad_input,
                              fmt::format("{}:{}: {}", path, number, good ? "no such system call" : "not NAME COUNT"))
                            .because(std::string(line)));
    }
    return weights;
}

}  // namespace

Result<filter::Kernel> kernel_of(const Args& args) {
    return parse_kernel_option(args, "--kernel", filter::newest_kernel);
}

Result<filter::Source> open_source(const std::string& path, const Args& args) {
    filter::SourceOptions options;
    for (const auto& word : args.values("--arch")) {
        const auto abi = filter::parse_abi(word);
        if (!abi)
            return fail(Error(Code::usage, fmt::format("--arch {} is not known", bpfwarden::quoted(word)))
                            .advise("one of: x86_64, x32, i386, aarch64"));
        options.abis.push_back(*abi);
    }
    options.kernel = BW_TRY(kernel_of(args));
    if (const auto action = args.value("--bad-arch")) {
        options.bad_arch = filter::parse_action(*action);
        if (!options.bad_arch)
            return fail(Error(Code::usage, fmt::format("--bad-arch {} is no action", bpfwarden::quoted(*action)))
                            .advise("write KILL_PROCESS, ERRNO(ENOSYS), ALLOW, …"));
    }
    options.sets = BW_TRY(sets_of(args));
    options.capabilities = args.values("--cap");
    options.same_argument = BW_TRY(choice(args, "--same-argument", filter::SameArgument::all,
                                          {{"all", filter::SameArgument::all}, {"any", filter::SameArgument::any}}));
    options.no_rule =
        BW_TRY(choice(args, "--enosys", filter::NoRule::default_action,
                      {{"above", filter::NoRule::enosys_above}, {"unknown", filter::NoRule::enosys_unknown}}));
    const auto bytes = BW_TRY(path.ends_with(".c") ? compile_c(path) : read_all(path));
    auto source = BW_TRY_WITHIN(filter::read_source(bytes, options), printable(path));
    for (const auto& warning : source.warnings)
        fmt::print(stderr, "{}: warning: {}{}{}\n", printable(path), printable(warning.where),
                   warning.where.empty() ? "" : ": ", printable(warning.text));
    return source;
}

Result<filter::Built> build_source(const filter::Source& source, const Args& args) {
    filter::BuildOptions options;
    const auto what = args.value("--optimize").value_or("usual");
    if (what == "uniform") {
        options.objective = filter::Objective::uniform;
    } else if (what != "usual") {
        options.objective = filter::Objective::given;
        options.weights = BW_TRY(read_weights(what, source));
    }
    options.cached_count =
        BW_TRY(parse_kernel_option(args, "--for-kernel", filter::newest_kernel)) < filter::Kernel{5, 11};
    options.effort = BW_TRY(
        choice(args, "--effort", filter::Effort::normal,
               {{"quick", filter::Effort::quick}, {"normal", filter::Effort::normal}, {"high", filter::Effort::high}}));
    options.require_proof = args.has("--require-proof");
    return filter::build(source, BW_TRY(kernel_of(args)), options);
}

Result<filter::Built> open_built(const std::string& path, const Args& args) {
    const auto source = BW_TRY(open_source(path, args));
    return build_source(source, args);
}

Result<filter::Abi> abi_of(const Args& args) {
    const auto word = args.value("--on");
    if (!word) return filter::native_abi().value_or(filter::Abi::x86_64);
    const auto abi = filter::parse_abi(*word);
    if (!abi)
        return fail(Error(Code::usage, fmt::format("--on {} is no architecture", bpfwarden::quoted(*word)))
                        .advise("one of: x86_64, x32, i386, aarch64"));
    return *abi;
}

std::optional<filter::Abi> abi_of(std::uint32_t arch, std::uint32_t number) {
    for (const auto abi : filter::all_abis)
        if (filter::audit_arch(abi) == arch &&
            (abi == filter::Abi::x32) ==
                (arch == filter::audit_arch(filter::Abi::x32) && (number & filter::x32_bit) != 0))
            return abi;
    return std::nullopt;
}

Result<std::uint32_t> parse_number(filter::Abi abi, std::string_view text) {
    if (const auto known = filter::number_of(abi, text)) return *known;
    const bool negative = text.starts_with('-');
    const bool hexadecimal = text.starts_with("0x");
    const auto digits = text.substr(negative ? 1 : hexadecimal ? 2 : 0);
    std::uint32_t number = 0;
    const auto [end, problem] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number, hexadecimal ? 16 : 10);
    if (problem != std::errc{} || end != digits.data() + digits.size() || digits.empty())
        return fail(
            Error(Code::usage, fmt::format("{} has no system call {}", filter::text(abi), bpfwarden::quoted(text)))
                .advise("by name, or by number"));
    return negative ? 0U - number : number;
}

std::string number_text(filter::Abi abi, std::uint32_t number) {
    const auto name = filter::name_of(abi, number);
    return name.empty() ? fmt::format("{}", static_cast<std::int32_t>(number)) : std::string(name);
}

}  // namespace bpfwarden::cli
