// SPDX-License-Identifier: Apache-2.0
// What must hold of any bytes given as a seccomp profile: used by the fuzzer, and by the replay of its corpus in every
// build.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "filter/action.hpp"
#include "filter/profile.hpp"

namespace bpfwarden::filter {

inline bool is_plain(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// From 0 to the largest number without gap or overlap.
inline bool is_whole(const Part& part) {
    std::uint64_t next = 0;
    for (const auto& run : part.runs) {
        if (run.first != next || run.last < run.first) return false;
        next = std::uint64_t{run.last} + 1;
    }
    return next == std::uint64_t{1} << 32;
}

// Empty if everything holds, else what does not.
inline std::string broken_invariant(std::string_view text) {
    for (const Abi native : {Abi::x86_64, Abi::aarch64})
        for (const auto no_rule : {NoRule::default_action, NoRule::enosys_above, NoRule::enosys_unknown}) {
            ProfileOptions options{.native = native, .no_rule = no_rule};
            if (no_rule == NoRule::enosys_above) options.same_argument = SameArgument::any;
            if (no_rule == NoRule::enosys_unknown) options.abis = {all_abis.begin(), all_abis.end()};
            const auto profile = read_profile(text, options);
            if (!profile) {
                if (profile.error().code() != Code::bad_input) return "refused with another code";
                if (profile.error().why().empty()) return "refused without a reason";
                if (!is_plain(profile.error().what() + profile.error().why() + profile.error().hint()))
                    return "a message holds control characters";
                continue;
            }
            for (const auto& warning : profile->warnings)
                if (!is_plain(warning.where + warning.text)) return "a warning holds control characters";
            const auto& function = profile->function;
            if (function.parts.empty() || profile->abis.empty()) return "there is no architecture";
            if (!std::ranges::all_of(function.parts, is_whole)) return "numbers are missing";
            for (const auto& part : function.parts) {
                Data data;
                data[Word::arch] = part.arch;
                for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{16}, ~std::uint64_t{0}}) {
                    for (unsigned i = 0; i < 6; ++i) data.set_arg(i, value);
                    for (const auto& run : part.runs) {
                        data[Word::nr] = run.first;
                        if (!is_action(function.evaluate(data))) return "a result is no action";
                    }
                }
                data[Word::nr] = 0xffffffff;
                if (function.evaluate(data) != normalized(profile->default_action))
                    return "-1 has not the default action";
            }
            if (function.evaluate(Data{}) != options.bad_arch) return "a foreign architecture is let in";
        }
    return "";
}

}  // namespace bpfwarden::filter
