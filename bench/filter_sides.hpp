// SPDX-License-Identifier: Apache-2.0
// The filters that are compared: Debian's profile for containers, for x86-64 with x32 as a foreign architecture, as
// bpfwarden makes it and as runtimes have libseccomp make it.
#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.hpp"
#include "filter/build.hpp"
#include "unit/filter/libseccomp.hpp"

namespace bpfwarden::bench {

inline Result<std::string> contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (!file || text.empty()) return fail_errno("reading " + bpfwarden::quoted(path));
    return text;
}

inline filter::SourceOptions only_x86_64() {
    filter::SourceOptions options;
    options.abis = {filter::Abi::x86_64};
    return options;
}

// Lines of NAME COUNT.
inline Result<filter::Weights> read_weights(const std::string& path) {
    filter::Weights weights;
    const auto text = BW_TRY(contents(path));
    for (auto line : split(text, '\n')) {
        line = line.substr(0, line.find('#'));
        const auto space = line.find(' ');
        if (space == line.npos) continue;
        const auto nr = filter::number_of(filter::Abi::x86_64, line.substr(0, space));
        if (!nr)
            return fail(
                Error(Code::bad_input, bpfwarden::quoted(path) + ": no such system call: " + std::string(line)));
        weights.push_back(
            {filter::audit_arch(filter::Abi::x86_64), *nr, std::stoull(std::string(line.substr(space + 1)))});
    }
    return weights;
}

// `level` 1 is its default, a list in order of priority; 2 a tree.
inline Result<std::vector<sock_filter>> of_libseccomp(const filter::libseccomp::Rules& rules, int level) {
    const auto made = filter::libseccomp::filter_of(rules, SECCOMP_RET_KILL_PROCESS, {filter::Abi::x86_64}, level);
    if (!made) return fail(Error::from_errno(made.error(), "libseccomp refuses a rule"));
    return filter::libseccomp::program_of(*made);
}

}  // namespace bpfwarden::bench
