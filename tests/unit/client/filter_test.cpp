// SPDX-License-Identifier: Apache-2.0
// Building and comparing filters through the C functions: what is given back, every error, and sources from strangers.
// Installing is tests/root/filter.
#include "bpfwarden/filter.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/audit.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.hpp"
#include "bpfwarden/filter.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string objects = CLIENT_OBJECTS;
const std::string examples = FILTER_EXAMPLES;

struct Free {
    void operator()(bpfw_filter* filter) const { bpfw_filter_free(filter); }
};
using Owned = std::unique_ptr<bpfw_filter, Free>;

bpfw_filter_options usual() {
    bpfw_filter_options options{};
    options.size = sizeof options;
    return options;
}

Owned build(std::string_view source, const bpfw_filter_options* options = nullptr) {
    return Owned(bpfw_filter_build(source.data(), source.size(), options));
}

std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<sock_filter> program_of(const Owned& filter) {
    std::size_t count = 0;
    const auto* first = bpfw_filter_program(filter.get(), &count);
    return {first, first + count};
}

std::string raw(const Owned& filter) {
    const auto program = program_of(filter);
    return {reinterpret_cast<const char*>(program.data()), program.size() * sizeof program[0]};
}

std::string profile(const std::string& rules, const std::string& more = "") {
    return R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [)" + rules + "]" +
           more + "}";
}
const std::string deny_getppid = R"({"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95})";
const std::string deny_getpid = R"({"names": ["getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95})";

#define EXPECT_FAILURE(filter, number, text)        \
    do {                                            \
        errno = 0;                                  \
        const auto made = (filter);                 \
        const int found = errno;                    \
        EXPECT_EQ(made, nullptr);                   \
        EXPECT_EQ(found, number) << bpfw_error();   \
        EXPECT_THAT(bpfw_error(), HasSubstr(text)); \
    } while (false)

TEST(Filter, FromAnObjectInMemoryOrInAFile) {
    const auto path = examples + "/errno_table.v4.bpf.o";
    auto options = usual();
    options.require_proof = 1;
    const Owned file(bpfw_filter_build_file(path.c_str(), &options));
    ASSERT_NE(file, nullptr) << bpfw_error();
    const auto memory = build(content_of(path), &options);
    ASSERT_NE(memory, nullptr) << bpfw_error();
    EXPECT_EQ(raw(file), raw(memory));
    EXPECT_GT(program_of(file).size(), 5U);
    EXPECT_EQ(bpfw_filter_proven(file.get()), 1);
    EXPECT_EQ(bpfw_filter_flags(file.get()), 0U);
    EXPECT_STREQ(bpfw_filter_warnings(file.get()), "");
}

TEST(Filter, FromAProfileAndFromClassicBpf) {
    const auto filter = build(profile(deny_getppid, R"(, "flags": ["SECCOMP_FILTER_FLAG_LOG"])"));
    ASSERT_NE(filter, nullptr) << bpfw_error();
    EXPECT_EQ(bpfw_filter_flags(filter.get()), unsigned{SECCOMP_FILTER_FLAG_LOG});
    const auto classic = build(raw(filter));
    ASSERT_NE(classic, nullptr) << bpfw_error();
    EXPECT_EQ(raw(classic), raw(filter));
    EXPECT_EQ(bpfw_filter_compare(filter.get(), classic.get(), nullptr), BPFW_FILTER_SAME);
}

TEST(Filter, TheOptionsReachTheCompiler) {
    const auto source = profile(deny_getppid);
    const auto plain = build(source);
    ASSERT_NE(plain, nullptr);
    auto options = usual();
    EXPECT_EQ(raw(build(source, &options)), raw(plain));
    bpfw_filter_difference difference;
    // Of a foreign architecture.
    options.bad_arch = "ERRNO(38)";
    const auto other = build(source, &options);
    ASSERT_NE(other, nullptr) << bpfw_error();
    ASSERT_EQ(bpfw_filter_compare(plain.get(), other.get(), &difference), BPFW_FILTER_DIFFERENT);
    EXPECT_NE(difference.data.arch, unsigned{AUDIT_ARCH_X86_64});
    EXPECT_EQ(difference.one, SECCOMP_RET_KILL_PROCESS);
    EXPECT_EQ(difference.other, SECCOMP_RET_ERRNO | 38U);
    // Of one more architecture: i386 gets the rule too.
    const char* const architectures[] = {"x86_64", "i386", nullptr};
    options = usual();
    options.architectures = architectures;
    const auto two = build(source, &options);
    ASSERT_NE(two, nullptr) << bpfw_error();
    ASSERT_EQ(bpfw_filter_compare(plain.get(), two.get(), &difference), BPFW_FILTER_DIFFERENT);
    EXPECT_EQ(difference.data.arch, unsigned{AUDIT_ARCH_I386});
    // Of the capabilities that a profile asks for.
    const auto capable = profile(
        R"({"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95, "includes": {"caps": ["CAP_BPF"]}})");
    const char* const capabilities[] = {"CAP_BPF", nullptr};
    const auto without = build(capable);
    options = usual();
    options.capabilities = capabilities;
    const auto with = build(capable, &options);
    ASSERT_TRUE(without != nullptr && with != nullptr) << bpfw_error();
    EXPECT_EQ(bpfw_filter_compare(with.get(), plain.get(), nullptr), BPFW_FILTER_SAME);
    EXPECT_EQ(bpfw_filter_compare(without.get(), plain.get(), nullptr), BPFW_FILTER_DIFFERENT);
    // Of the rest: the same function, whatever the program is like.
    options = usual();
    options.kernel = "6.1";
    options.oldest_kernel = "5.10";
    options.objective = BPFW_FILTER_UNIFORM;
    for (const auto effort : {BPFW_FILTER_NORMAL, BPFW_FILTER_QUICK, BPFW_FILTER_HIGH}) {
        options.effort = effort;
        const auto built = build(source, &options);
        ASSERT_NE(built, nullptr) << bpfw_error();
        EXPECT_EQ(bpfw_filter_compare(plain.get(), built.get(), nullptr), BPFW_FILTER_SAME);
    }
    // What an unknown number gets.
    options = usual();
    options.kernel = "5.10";
    options.no_rule = BPFW_FILTER_NO_RULE_ENOSYS_UNKNOWN;
    const auto strict = R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [{"names": ["getpid"], "action": "SCMP_ACT_ALLOW"}]})";
    ASSERT_EQ(bpfw_filter_compare(build(strict).get(), build(strict, &options).get(), &difference),
              BPFW_FILTER_DIFFERENT);
    EXPECT_EQ(difference.other, SECCOMP_RET_ERRNO | 38U);
    // What several conditions on one argument mean.
    options = usual();
    options.same_argument = BPFW_FILTER_ANY_HOLDS;
    const auto twice = profile(R"({"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [
        {"index": 0, "value": 2, "op": "SCMP_CMP_GE"}, {"index": 0, "value": 5, "op": "SCMP_CMP_LE"}]})");
    EXPECT_EQ(bpfw_filter_compare(build(twice).get(), build(twice, &options).get(), nullptr), BPFW_FILTER_DIFFERENT);
}

TEST(Filter, SetsAreFilled) {
    const auto object = content_of(objects + "/numbers.bpf.o");
    EXPECT_FAILURE(build(object), EINVAL, "values");
    const std::uint64_t one[] = {7}, two[] = {7, 0x100000000};
    const bpfw_filter_set small{"values", one, 1}, larger{"values", two, 2};
    auto options = usual();
    options.sets = &small;
    options.set_count = 1;
    const auto first = build(object, &options);
    ASSERT_NE(first, nullptr) << bpfw_error();
    options.sets = &larger;
    const auto second = build(object, &options);
    ASSERT_NE(second, nullptr) << bpfw_error();
    bpfw_filter_difference difference;
    ASSERT_EQ(bpfw_filter_compare(first.get(), second.get(), &difference), BPFW_FILTER_DIFFERENT);
    EXPECT_EQ(difference.data.nr, 16);
    EXPECT_EQ(difference.data.args[1], 0x100000000U);
    EXPECT_EQ(difference.one, SECCOMP_RET_ERRNO | 25U);
    EXPECT_EQ(difference.other, unsigned{SECCOMP_RET_ALLOW});
}

TEST(Filter, WarningsAreGivenToWhoeverBuilds) {
    // The kernel cuts an int that is compared as 64 bits.
    const auto filter = build(profile(R"({"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [
        {"index": 0, "value": 4294967298, "op": "SCMP_CMP_EQ"}]})"));
    ASSERT_NE(filter, nullptr) << bpfw_error();
    EXPECT_THAT(bpfw_filter_warnings(filter.get()), AllOf(HasSubstr("args[0]"), testing::EndsWith("\n")));
}

TEST(Filter, DifferenceIsOnlyWrittenWhereThereIsOne) {
    const auto one = build(profile(deny_getppid)), other = build(profile(deny_getpid));
    bpfw_filter_difference difference;
    std::memset(&difference, 0x5a, sizeof difference);
    const auto before = difference;
    ASSERT_EQ(bpfw_filter_compare(one.get(), one.get(), &difference), BPFW_FILTER_SAME);
    EXPECT_EQ(std::memcmp(&before, &difference, sizeof difference), 0);
    ASSERT_EQ(bpfw_filter_compare(one.get(), other.get(), &difference), BPFW_FILTER_DIFFERENT);
    EXPECT_TRUE(difference.data.nr == 39 || difference.data.nr == 110) << difference.data.nr;
    EXPECT_EQ(difference.data.arch, unsigned{AUDIT_ARCH_X86_64});
    EXPECT_NE(difference.one, difference.other);
}

// "Not decided" is neither yes nor no, and a proof that is asked for is not given up in silence.
TEST(Filter, WhatIsNotProvenIsSaidSo) {
    const auto object = content_of(objects + "/numbers.product.bpf.o");
    const std::uint64_t numbers[] = {1};
    const bpfw_filter_set set{"values", numbers, 1};
    auto options = usual();
    options.sets = &set;
    options.set_count = 1;
    const auto filter = build(object, &options);
    ASSERT_NE(filter, nullptr) << bpfw_error();
    EXPECT_EQ(bpfw_filter_proven(filter.get()), 0);
    EXPECT_EQ(bpfw_filter_compare(filter.get(), filter.get(), nullptr), BPFW_FILTER_UNDECIDED);
    options.require_proof = 1;
    EXPECT_FAILURE(build(object, &options), EOPNOTSUPP, "not proven");
}

TEST(FilterErrors, OfSources) {
    EXPECT_FAILURE(build(""), EINVAL, "no instruction");
    EXPECT_FAILURE(Owned(bpfw_filter_build(nullptr, 0, nullptr)), EINVAL, "no instruction");
    EXPECT_FAILURE(build("1234567"), EINVAL, "8 bytes");
    EXPECT_FAILURE(build(std::string(8 * 4097, '\0')), EINVAL, "4096");
    EXPECT_FAILURE(build(std::string(8, '\xff')), EINVAL, "instruction");
    EXPECT_FAILURE(build("{"), EINVAL, "");
    EXPECT_FAILURE(build(profile(R"({"names": ["no_such_call"], "action": "SCMP_ACT_NONSENSE"})")), EINVAL,
                   "syscalls[0]");
    // An object, of which the text says where in the source.
    EXPECT_FAILURE(build(content_of(objects + "/writes.bpf.o")), EINVAL, "writes.bpf.c:");
}

TEST(FilterErrors, OfFiles) {
    EXPECT_FAILURE(Owned(bpfw_filter_build_file("/no/such/filter", nullptr)), ENOENT, "/no/such/filter");
    EXPECT_FAILURE(Owned(bpfw_filter_build_file("/", nullptr)), EISDIR, "/");
    EXPECT_FAILURE(Owned(bpfw_filter_build_file("/dev/zero", nullptr)), EFBIG, "/dev/zero");
    EXPECT_FAILURE(Owned(bpfw_filter_build_file((objects + "/writes.bpf.o").c_str(), nullptr)), EINVAL,
                   "writes.bpf.o: ");
}

TEST(FilterErrors, OfOptions) {
    const auto source = profile(deny_getppid);
    bpfw_filter_options options{};
    EXPECT_FAILURE(build(source, &options), EINVAL, "size");
    options.size = sizeof options - 1;
    EXPECT_FAILURE(build(source, &options), EINVAL, "size");
    const char* const architectures[] = {"x86_64", "vax", nullptr};
    (options = usual()).architectures = architectures;
    EXPECT_FAILURE(build(source, &options), EINVAL, R"("vax")");
    (options = usual()).kernel = "new";
    EXPECT_FAILURE(build(source, &options), EINVAL, R"("new")");
    (options = usual()).oldest_kernel = "";
    EXPECT_FAILURE(build(source, &options), EINVAL, R"("" is)");
    (options = usual()).bad_arch = "NONSENSE";
    EXPECT_FAILURE(build(source, &options), EINVAL, "bad_arch");
    for (auto [member, name] :
         {std::pair(&bpfw_filter_options::objective, "objective"), std::pair(&bpfw_filter_options::effort, "effort"),
          std::pair(&bpfw_filter_options::require_proof, "require_proof"),
          std::pair(&bpfw_filter_options::same_argument, "same_argument"),
          std::pair(&bpfw_filter_options::no_rule, "no_rule"), std::pair(&bpfw_filter_options::reserved, "reserved")}) {
        (options = usual()).*member = 3;
        EXPECT_FAILURE(build(source, &options), EINVAL, name);
    }
}

// A program that was built with a later release's header: what it does not use is nothing, what it uses is an error.
TEST(FilterErrors, OfOptionsFromALaterRelease) {
    struct {
        bpfw_filter_options known = usual();
        std::uint64_t later = 0;
    } longer;
    longer.known.size = sizeof longer;
    const auto source = profile(deny_getppid);
    EXPECT_NE(build(source, &longer.known), nullptr) << bpfw_error();
    longer.later = 1;
    EXPECT_FAILURE(build(source, &longer.known), E2BIG, "does not know");
    longer.known.size = SIZE_MAX;  // nothing so long is looked at
    EXPECT_FAILURE(build(source, &longer.known), E2BIG, "does not know");
}

TEST(FilterErrors, OfLimits) {
    std::vector<std::uint64_t> numbers;
    for (std::uint64_t i = 1; i <= 8000; ++i) numbers.push_back(i * 0x9e3779b97f4a7c15U);
    const bpfw_filter_set set{"values", numbers.data(), numbers.size()};
    auto options = usual();
    options.sets = &set;
    options.set_count = 1;
    EXPECT_FAILURE(build(content_of(objects + "/numbers.bpf.o"), &options), E2BIG, "4096");
}

// Whatever is done to an object or a profile, it is a filter or a refusal.
TEST(FilterHostile, ObjectsThatWereTamperedWith) {
    const auto good = content_of(examples + "/errno_table.v4.bpf.o");
    ASSERT_GT(good.size(), 500U);
    auto options = usual();
    options.effort = BPFW_FILTER_QUICK;
    unsigned refused = 0;
    const auto look = [&](const std::string& bytes) {
        errno = 0;
        const auto filter = build(bytes, &options);
        const int why = errno;
        if (filter != nullptr) return;
        ++refused;
        EXPECT_TRUE(why == EINVAL || why == E2BIG || why == EOPNOTSUPP) << why << ": " << bpfw_error();
        EXPECT_STRNE(bpfw_error(), "");
    };
    for (std::size_t length = 0; length < good.size(); length += 61) look(good.substr(0, length));
    std::uint64_t state = 1;
    for (int i = 0; i < 300; ++i) {
        auto bytes = good;
        for (int flips = 0; flips < 4; ++flips) {
            state = state * 6364136223846793005U + 1442695040888963407U;
            bytes[(state >> 33) % bytes.size()] = static_cast<char>(state >> 25);
        }
        look(bytes);
    }
    EXPECT_GT(refused, 50U);
}

TEST(FilterHostile, ProfilesThatAreDeepOrLong) {
    EXPECT_FAILURE(build("{\"syscalls\":" + std::string(2'000'000, '[')), EINVAL, "");
    std::string deep = "{\"a\":" + std::string(1'000'000, '[') + std::string(1'000'000, ']') + "}";
    EXPECT_FAILURE(build(deep), EINVAL, "");
    EXPECT_FAILURE(build("{" + std::string(8 << 20, ' ') + "}"), EINVAL, "");
}

TEST(FilterThreads, BuildAndCompareAtOnceAndHaveErrorsOfTheirOwn) {
    const auto source = content_of(examples + "/argument_masks.v4.bpf.o");
    const auto shared = build(source);
    ASSERT_NE(shared, nullptr) << bpfw_error();
    std::vector<std::string> seen(2), errors(2);
    std::vector<int> same(2, -1);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 2; ++i)
        threads.emplace_back([&, i] {
            for (int round = 0; round < 3; ++round) {
                const auto own = build(source);
                if (own == nullptr) return;
                seen[i] = raw(own);
                same[i] = bpfw_filter_compare(shared.get(), own.get(), nullptr);
                EXPECT_EQ(build(i == 0 ? "123" : "{"), nullptr);
                errors[i] = bpfw_error();
            }
        });
    for (auto& thread : threads) thread.join();
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(seen[i], raw(shared));
        EXPECT_EQ(same[i], BPFW_FILTER_SAME);
    }
    EXPECT_THAT(errors[0], HasSubstr("3 bytes"));
    EXPECT_THAT(errors[1], testing::Not(HasSubstr("3 bytes")));
}

TEST(FilterCxx, DoesTheSame) {
    const auto source = profile(deny_getppid, R"(, "flags": ["SECCOMP_FILTER_FLAG_LOG"])");
    const auto filter = bpfw::Filter::build(std::as_bytes(std::span(source)), {.kernel = "6.1", .require_proof = true});
    ASSERT_TRUE(filter) << filter.error().text;
    const auto c = build(source);
    EXPECT_EQ(filter->program().size(), program_of(c).size());
    EXPECT_TRUE(filter->proven());
    EXPECT_EQ(filter->flags(), unsigned{SECCOMP_FILTER_FLAG_LOG});
    EXPECT_EQ(filter->warnings(), "");
    const auto other = bpfw::Filter::build_file(objects + "/numbers.bpf.o", {.sets = {{"values", {5, 6}}}});
    ASSERT_TRUE(other) << other.error().text;
    const auto comparison = filter->compare(*other);
    ASSERT_TRUE(comparison);
    EXPECT_EQ(comparison->answer, bpfw::FilterAnswer::different);
    EXPECT_NE(comparison->example.one, comparison->example.other);
    const auto wrong = bpfw::Filter::build_file("/no/such/filter");
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().number, ENOENT);
}

}  // namespace
