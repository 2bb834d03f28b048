// SPDX-License-Identifier: Apache-2.0
// eBPF as the kernel runs it (BPF_PROG_TEST_RUN of a program that reads its context and returns a number) against the
// interpreter that everything else is compared with, and against the evaluator: programs and inputs at random.
#include <linux/audit.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "base/fd.hpp"
#include "bytecode/interpret.hpp"
#include "filter/action.hpp"
#include "filter/evaluate.hpp"
#include "root/guests.hpp"
#include "unit/filter/random_program.hpp"

namespace bpfwarden::filter {
namespace {

long bpf(int command, bpf_attr& attr) { return ::syscall(SYS_bpf, command, &attr, sizeof(attr)); }

std::uint64_t address(const void* of) { return reinterpret_cast<std::uintptr_t>(of); }

// -1 with errno where the kernel does not take it; `log` is why.
UniqueFd load(const bytecode::Program& program, std::string& log) {
    bpf_attr attr{};
    attr.prog_type = BPF_PROG_TYPE_SYSCALL;
    attr.prog_flags = BPF_F_SLEEPABLE;
    attr.insns = address(program.code.data());
    attr.insn_cnt = static_cast<__u32>(program.code.size());
    attr.license = address("GPL");
    UniqueFd fd(static_cast<int>(bpf(BPF_PROG_LOAD, attr)));
    if (fd || errno == EPERM) return fd;
    log.resize(1 << 16);
    attr.log_buf = address(log.data());
    attr.log_size = static_cast<__u32>(log.size());
    attr.log_level = 1;
    fd = UniqueFd(static_cast<int>(bpf(BPF_PROG_LOAD, attr)));
    const int why = errno;
    log.resize(std::strlen(log.c_str()));
    errno = why;
    return fd;
}

std::uint32_t run(int fd, std::array<std::uint8_t, 64> context) {
    bpf_attr attr{};
    attr.test.prog_fd = static_cast<__u32>(fd);
    attr.test.ctx_in = address(context.data());
    attr.test.ctx_size_in = static_cast<__u32>(context.size());
    EXPECT_EQ(bpf(BPF_PROG_TEST_RUN, attr), 0) << std::strerror(errno);
    return attr.test.retval;
}

TEST(Ebpf, TheKernelComputesWhatTheInterpreterDoes) {
    BW_IN_ONE_GUEST("floor");
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, and there is no way to become root here";
    EvaluateOptions options;
    options.architectures = {{AUDIT_ARCH_X86_64, "x86_64", {0, 1, 2, 3, 5, 8, 13}}};
    options.limits.work = 2'000'000;
    int taken = 0, evaluated_too = 0, without_v4 = 0;
    constexpr int programs = 200, inputs = 24;
    // An older kernel takes one in thirty, those without any of the new instructions: more are tried there.
    constexpr std::uint64_t tries = 1500;
    for (std::uint64_t seed = 1; seed <= (without_v4 == 0 ? programs : tries) && taken < programs; ++seed) {
        Random random(seed);
        // Maps and tables would have to be made in the kernel first: they are no matter of the instructions.
        ProgramMaker maker(random, {.maps = false, .length = 4 + random.below(24)});
        const auto program = maker.make();
        std::string log;
        const UniqueFd fd = load(program, log);
        if (!fd) {
            // Instructions that came with 6.6, on an older kernel.
            const bool is_new = log.find("reserved") != std::string::npos || log.find("unknown") != std::string::npos ||
                                log.find("invalid BPF_LDX") != std::string::npos;
            without_v4 += is_new;
            EXPECT_TRUE(is_new) << "seed " << seed << ": " << std::strerror(errno) << "\n" << log;
            continue;
        }
        ++taken;
        const auto evaluated = evaluate(program, options);
        evaluated_too += evaluated.has_value();
        for (int one = 0; one < inputs; ++one) {
            const Data data = random.data(AUDIT_ARCH_X86_64, 16);
            const auto kernel = run(fd.get(), context_of(data));
            const auto plain = bytecode::interpret(program, context_of(data));
            ASSERT_TRUE(plain) << "seed " << seed << ": " << plain.error().what();
            ASSERT_EQ(static_cast<std::uint32_t>(*plain), kernel) << "seed " << seed;
            if (evaluated) {
                ASSERT_EQ(evaluated->function.evaluate(data), normalized(kernel)) << "seed " << seed;
            }
        }
    }
    EXPECT_GT(taken, without_v4 == 0 ? programs * 9 / 10 : 20);
    EXPECT_GT(evaluated_too, taken * 9 / 10);
}

}  // namespace
}  // namespace bpfwarden::filter
