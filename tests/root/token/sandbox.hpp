// SPDX-License-Identifier: Apache-2.0
// Runs a piece of a test inside the namespaces of a grant, as its command would run.
#pragma once

#include <bpf/bpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/wait.h>

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "kernel/bpf.hpp"
#include "kernel/capability.hpp"
#include "kernel/process.hpp"
#include "token/bpffs.hpp"
#include "token/launch.hpp"

namespace bpfwarden::test {

inline constexpr std::uint64_t bit(unsigned value) { return 1ULL << value; }
inline constexpr std::uint64_t all_bits = ~0ULL;
inline constexpr kernel::CapabilityMask cap_net_admin = bit(12), cap_sys_admin = bit(21), cap_perfmon = bit(38),
                                        cap_bpf = bit(39);

inline constexpr kernel::Delegation everything{all_bits, all_bits, all_bits, all_bits};

inline token::LaunchRequest request(kernel::Delegation delegation,
                                    kernel::CapabilityMask capabilities = cap_bpf | cap_net_admin | cap_perfmon) {
    token::LaunchRequest made;
    made.delegation = delegation;
    made.capabilities = capabilities;
    made.ids.uid = 4711;  // nobody's, and in no passwd file
    made.ids.gid = 4711;
    made.private_network = false;  // a network namespace more costs most of the time of a case
    return made;
}

// "1 -2 " -> {1, -2}: how a child's results travel.
inline std::vector<int> numbers(const std::string& text) {
    std::vector<int> values;
    for (std::size_t at = 0; at < text.size(); at = text.find(' ', at) + 1)
        values.push_back(std::stoi(text.substr(at)));
    return values;
}

// What `body` returned inside, or why it did not get there.
inline Result<std::vector<int>> inside(const token::LaunchRequest& request,
                                       const std::function<std::vector<int>()>& body) {
    auto [here, there] = BW_TRY(kernel::Channel::pair());
    auto child = BW_TRY(kernel::Child::fork([&]() -> int {
        here.close();
        if (const auto entered = token::enter(request); !entered) {
            (void)there.send_error(entered.error());
            return 1;
        }
        std::string text;
        for (const int value : body()) text += std::to_string(value) + " ";
        (void)there.send(text);
        return 0;
    }));
    there.close();
    const auto message = BW_TRY(here.receive());
    BW_TRY(child.wait());
    return numbers(message.text);
}

inline int errno_of(long result) { return result >= 0 ? 0 : -errno; }

// The token of the bpffs that enter() mounted; a negative errno without one.
inline int own_token(const char* path = "/sys/fs/bpf") {
    const int root = ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return -errno;
    const int token = ::bpf_token_create(root, nullptr);
    const int err = errno;
    ::close(root);
    return token < 0 ? -err : token;
}

inline bool kernel_has_tokens() {
    static const bool has = [] {
        const auto token = inside(request(everything), [] { return std::vector{own_token()}; });
        return token && token->front() >= 0;
    }();
    return has;
}

#define BW_NEED_TOKENS() \
    if (!kernel_has_tokens()) GTEST_SKIP() << "this kernel has no BPF token (needs 6.9)"

}  // namespace bpfwarden::test
