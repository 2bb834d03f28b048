// SPDX-License-Identifier: Apache-2.0
// The kernel as judge: what it answers under a filter is what the interpreter and the function say.
//
// Each way that a residual can end has an error number of its own, so that the answer to a call tells which way it
// took. No call is carried out then, so every number can be made, but for those of is_left_out().
#include <fmt/format.h>
#include <linux/audit.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <random>

#include <gtest/gtest.h>

#include "bytecode/classic.hpp"
#include "filter/build.hpp"
#include "kernel/process.hpp"
#include "kernel/seccomp_filter.hpp"
#include "root/filter/leaves.hpp"
#include "root/filter/raw_call.hpp"
#include "unit/filter/random_function.hpp"

namespace bpfwarden::filter {
namespace {

using kernel::Child;
using test::call_32;
using test::call_64;

// Beside this program, on the host and in guests alike.
std::string contents(const std::string& path) {
    std::string here(4096, '\0');
    here.resize(static_cast<std::size_t>(std::max<ssize_t>(::readlink("/proc/self/exe", here.data(), here.size()), 0)));
    std::ifstream file(here.substr(0, here.rfind('/') + 1) + path, std::ios::binary);
    EXPECT_TRUE(file) << path;
    return {std::istreambuf_iterator<char>(file), {}};
}
std::string container_profile() { return contents("filter/containers.json"); }

bool has_i386() {
    static const bool has = [] {
        const auto child = Child::fork([] {
            // A fault is the answer no, and nothing to keep a core of.
            ::prctl(PR_SET_DUMPABLE, 0);
            return call_32(20 /* getpid */, {}) == ::getpid() ? 0 : 1;
        });
        return child && const_cast<Child&>(*child).wait().value_or(1) == 0;
    }();
    return has;
}

// Answers that a child leaves to this process, without a system call.
class Shared {
  public:
    explicit Shared(std::size_t count)
        : bytes_(count * sizeof(std::int32_t)),
          at_(::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {}
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    ~Shared() { ::munmap(at_, bytes_); }
    explicit operator bool() const { return at_ != MAP_FAILED; }
    std::int32_t* answers() const { return static_cast<std::int32_t*>(at_); }

  private:
    std::size_t bytes_;
    void* at_;
};

// The answers under the program, which must allow exit_group.
std::vector<std::int32_t> ask(const std::vector<sock_filter>& program, const std::vector<Data>& calls) {
    const Shared shared(calls.size());
    EXPECT_TRUE(shared);
    if (!shared) return {};
    auto child = Child::fork([&]() -> int {
        if (!kernel::install_filter(program)) return 1;
        auto* answer = shared.answers();
        for (const auto& data : calls) {
            const test::CallArguments arguments{data.arg(0), data.arg(1), data.arg(2),
                                                data.arg(3), data.arg(4), data.arg(5)};
            const bool is_64 = data[Word::arch] == AUDIT_ARCH_X86_64;
            *answer++ = static_cast<std::int32_t>((is_64 ? call_64 : call_32)(data[Word::nr], arguments));
        }
        return 0;
    });
    const auto status = child ? child->wait() : Result<int>(1);
    EXPECT_TRUE(status && *status == 0) << "the child ended with " << status.value_or(-1);
    if (!status || *status != 0) return {};
    return {shared.answers(), shared.answers() + calls.size()};
}

std::int32_t answer_of(std::uint32_t result) {
    EXPECT_EQ(result & action_mask, std::uint32_t{SECCOMP_RET_ERRNO});
    return -static_cast<std::int32_t>(std::min(result & 0xffff, 4095U));  // MAX_ERRNO
}

// Numbers whose answer is not the filter's.
bool is_left_out(Abi abi, std::uint32_t nr) {
    if (abi != Abi::x86_64) return false;
    if (nr == SYS_exit_group) return true;  // the child ends with it, and would before its time
    // Newer kernels let uretprobe (since 6.14) and uprobe (6.18) past every filter: their own trampolines make them,
    // and whoever else does gets SIGILL.
    return nr == number_of(Abi::x86_64, "uretprobe").value_or(335) ||
           nr == number_of(Abi::x86_64, "uprobe").value_or(336);
}

// Every number of the tables and the gaps between them, and where signs, bit 30 and the kernel's cache end.
std::vector<Data> numbers_to_call() {
    std::vector<std::pair<Abi, std::uint32_t>> numbers;
    std::vector<Abi> abis{Abi::x86_64, Abi::x32};
    // A filter sees x32's numbers whether or not the kernel goes on to have such calls.
    if (has_i386()) abis.push_back(Abi::i386);
    for (const auto abi : abis) {
        const auto base = abi == Abi::x32 ? x32_bit : 0;
        for (std::uint32_t nr = 0; nr <= 520; ++nr) numbers.emplace_back(abi, base | nr);
        for (const auto nr : all_numbers(abi))
            if ((nr & ~x32_bit) > 520) numbers.emplace_back(abi, nr);
        for (const std::uint32_t nr : {0x3fffffffU, 0x7fffffffU, 0x80000000U, 0xfffffffeU, 0xffffffffU})
            numbers.emplace_back(abi, nr);
    }
    std::vector<Data> calls;
    for (const auto& [abi, nr] : numbers) {
        if (is_left_out(abi, nr)) continue;
        Data data;
        data[Word::arch] = audit_arch(abi);
        data[Word::nr] = nr;
        calls.push_back(data);
    }
    return calls;
}

// What the function looks at, at its edges; with several inputs where it looks at more than the number.
std::vector<Data> calls_for(const Function& function, std::uint64_t seed, std::size_t most) {
    std::mt19937_64 random(seed);
    const auto below = [&](std::size_t count) { return static_cast<std::size_t>(random() % count); };
    Constants constants(function);
    std::vector<Data> calls;
    for (const auto& call : numbers_to_call()) {
        const auto part = std::ranges::find(function.parts, call[Word::arch], &Part::arch);
        const Node residual = part == function.parts.end()
                                  ? function.other
                                  : std::ranges::lower_bound(part->runs, call[Word::nr], {}, &Run::last)->node;
        const auto& near = constants.of(residual);
        const std::size_t inputs = (*function.decisions)[residual].kind == NodeKind::action ? 2 : most;
        for (std::size_t i = 0; i < inputs; ++i) {
            Data data = call;
            for (unsigned argument = 0; argument < 6; ++argument) {
                const std::uint64_t edge = near.empty() ? random() : near[below(near.size())];
                const std::array<std::uint64_t, 8> values{edge,
                                                          edge,
                                                          edge + 1,
                                                          edge - 1,
                                                          edge << 32 | edge >> 32,
                                                          edge | random() << 32,
                                                          below(16),
                                                          std::uint64_t{0} - below(2)};
                data.set_arg(argument, i == 0 ? 0 : i == 1 ? ~std::uint64_t{0} : values[below(values.size())]);
            }
            calls.push_back(data);
        }
    }
    return calls;
}

struct Table {
    std::size_t calls = 0;
    std::set<std::int32_t> answers, expected;
    std::uint64_t digest = 0xcbf29ce484222325;  // FNV-1a
    void add(std::int32_t answer) {
        ++calls;
        answers.insert(answer);
        digest = (digest ^ static_cast<std::uint32_t>(answer)) * 0x100000001b3;
    }
};

// Adds what the kernel answers to `table`.
void judge(Source source, std::uint64_t seed, Effort effort, std::size_t inputs, Table& table) {
    source.kind = SourceKind::profile;  // never classic BPF, which build() leaves as it is
    Leaves leaves(source.function);
    leaves.number_all(AUDIT_ARCH_X86_64, SYS_exit_group);
    ASSERT_LE(first_leaf + leaves.count(), 4096U);
    // No call is of an architecture that is not there.
    for (const auto leaf : leaves.of_parts()) table.expected.insert(-static_cast<std::int32_t>(leaf));
    const auto built = build(source, newest_kernel, {.weights = {}, .effort = effort, .proof_nodes = 20'000});
    if (!built) {
        // Of random functions some are too large.
        ASSERT_EQ(built.error().code(), Code::unsupported) << built.error().text("");
        return;
    }
    const auto calls = calls_for(source.function, seed, inputs);
    const auto answers = ask(built->program, calls);
    ASSERT_EQ(answers.size(), calls.size());
    for (std::size_t i = 0; i < calls.size(); ++i) {
        const auto& data = calls[i];
        const auto where = [&] {
            return fmt::format("seed {}: arch {:#x} nr {:#x} args {:#x} {:#x} {:#x} {:#x} {:#x} {:#x}", seed,
                               data[Word::arch], data[Word::nr], data.arg(0), data.arg(1), data.arg(2), data.arg(3),
                               data.arg(4), data.arg(5));
        };
        ASSERT_EQ(answers[i], answer_of(bytecode::run(built->program, data.words).result)) << where();
        ASSERT_EQ(answers[i], answer_of(source.function.evaluate(data))) << where();
        table.add(answers[i]);
    }
}

TEST(Verdicts, OfDebiansContainerProfile) {
    SourceOptions options;
    options.abis = {Abi::x86_64, Abi::x32, Abi::i386};
    auto source = read_source(container_profile(), options);
    ASSERT_TRUE(source) << source.error().text("");
    Table table;
    ASSERT_NO_FATAL_FAILURE(judge(*std::move(source), 1, Effort::normal, 1500, table));
    EXPECT_GT(table.calls, 2000U);
    // The rules for socket leave nothing to the default action, on x86-64 and on i386: nothing ends there.
    EXPECT_EQ(table.answers.size(), table.expected.size() - 2);
}

// Equal digests on every kernel that this runs on: they all have the host's table.
TEST(Verdicts, OfAnExample) {
    if (!has_i386()) GTEST_SKIP() << "this kernel has no i386 calls";
    SourceOptions options;
    options.abis = {Abi::x86_64, Abi::x32, Abi::i386};
    auto source = read_source(contents("../../examples/filters/argument_masks.v4.bpf.o"), options);
    ASSERT_TRUE(source) << source.error().text("");
    Table table;
    ASSERT_NO_FATAL_FAILURE(judge(*std::move(source), 1, Effort::normal, 60, table));
    EXPECT_EQ(table.answers, table.expected);
    EXPECT_EQ(table.digest, 6139370286314610400U);
}

TEST(Verdicts, OfRandomFunctions) {
    if (!has_i386()) GTEST_SKIP() << "this kernel has no i386 calls";
    Table table;
    std::size_t judged = 0;
    constexpr std::uint64_t functions = 30;
    for (std::uint64_t seed = 1; seed <= functions; ++seed) {
        FunctionMaker maker(seed);
        Source source;
        source.function = maker.make(seed % 3 == 0 ? 3 : 0);
        source.abis = {Abi::x86_64, Abi::i386};
        const auto before = table.calls;
        ASSERT_NO_FATAL_FAILURE(judge(std::move(source), seed, Effort::quick, 5, table));
        judged += table.calls != before;
    }
    EXPECT_GE(judged, functions * 9 / 10);
    EXPECT_EQ(table.digest, 3431560100822145285U);
}

// As it is, with calls that can be made twice: what it allows has the answer that it has without it.
TEST(Verdicts, AllowedCallsAreAnsweredAsWithoutAFilter) {
    SourceOptions options;
    options.abis = {Abi::x86_64};
    const auto source = read_source(container_profile(), options);
    ASSERT_TRUE(source) << source.error().text("");
    const auto built = build(*source, newest_kernel);
    ASSERT_TRUE(built) << built.error().text("");
    std::vector<Data> calls;
    const auto add = [&](std::uint32_t nr, std::uint64_t first = 0, std::uint64_t second = 0) {
        Data data;
        data[Word::arch] = AUDIT_ARCH_X86_64;
        data[Word::nr] = nr;
        data.set_arg(0, first);
        data.set_arg(1, second);
        calls.push_back(data);
    };
    for (const auto nr : {SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getpgrp})
        add(static_cast<std::uint32_t>(nr));
    for (const std::uint64_t persona : {0xffffffffULL, 0x12345ULL}) add(SYS_personality, persona);
    add(SYS_kexec_load);
    add(1000);
    const auto answers = ask(built->program, calls);
    ASSERT_EQ(answers.size(), calls.size());
    std::size_t allowed = 0;
    for (std::size_t i = 0; i < calls.size(); ++i) {
        const auto result = bytecode::run(built->program, calls[i].words).result;
        if (result != allow) {
            EXPECT_EQ(answers[i], answer_of(result)) << calls[i][Word::nr];
            continue;
        }
        ++allowed;
        // The child's parent is this process.
        const auto plain = calls[i][Word::nr] == SYS_getppid
                               ? ::getpid()
                               : call_64(calls[i][Word::nr], {calls[i].arg(0), calls[i].arg(1)});
        EXPECT_EQ(answers[i], plain) << calls[i][Word::nr];
    }
    EXPECT_EQ(allowed, 7U);
}

// The way past a filter that only knows one ABI.
TEST(Verdicts, AForeignArchitectureEndsTheProcess) {
    if (!has_i386()) GTEST_SKIP() << "this kernel has no i386 calls";
    SourceOptions options;
    options.abis = {Abi::x86_64};
    const auto source = read_source(container_profile(), options);
    ASSERT_TRUE(source) << source.error().text("");
    const auto built = build(*source, newest_kernel);
    ASSERT_TRUE(built) << built.error().text("");
    for (const bool foreign : {true, false}) {
        auto child = Child::fork([&]() -> int {
            ::prctl(PR_SET_DUMPABLE, 0);  // no core
            if (!kernel::install_filter(built->program)) return 1;
            return (foreign ? call_32(20 /* getpid */, {}) : call_64(SYS_getpid, {})) > 0 ? 0 : 2;
        });
        ASSERT_TRUE(child) << child.error().text("");
        EXPECT_EQ(child->wait().value_or(-1), foreign ? 128 + SIGSYS : 0);
    }
}

}  // namespace
}  // namespace bpfwarden::filter
