// SPDX-License-Identifier: Apache-2.0
#include "guard/updater.hpp"

#include <fcntl.h>
#include <linux/capability.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include <fmt/format.h>

#include "base/text.hpp"
#include "enforce/policy_record.hpp"
#include "enforce/policy_ways.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::guard {

Result<Updater> updater_named(const std::string& text) {
    if (text == "reboot-only") return Updater{BW_UPDATER_NOBODY, {}};
    if (text == "cap:mac_admin") return Updater{BW_UPDATER_CAPABILITY, {}};
    if (text.starts_with("domain:") && text.size() > 7) return Updater{BW_UPDATER_DOMAIN, text.substr(7)};
    return fail(Error(Code::usage, fmt::format("--updater is no {}", bpfwarden::quoted(text)))
                    .because("it is reboot-only, cap:mac_admin, or domain:NAME with a domain of the policy in force"));
}

std::string name_of(const Updater& updater) {
    switch (updater.kind) {
        case BW_UPDATER_NOBODY:
            return "reboot-only";
        case BW_UPDATER_CAPABILITY:
            return "cap:mac_admin";
        case BW_UPDATER_DOMAIN:
            return "domain:" + updater.domain;
    }
    return "?";
}

Result<__u32> domain_of(const Updater& updater, const enforce::PolicyForce* policy) {
    if (updater.kind != BW_UPDATER_DOMAIN) return 0;
    enforce::PolicyForce::Status status;
    std::vector<std::string> names;
    if (policy) {
        status = BW_TRY(policy->status());
        names = enforce::read_record(status.generation).domains;
    }
    const auto found = std::ranges::find(names, updater.domain);
    if (found == names.end() || found == names.begin())
        return fail(
            Error(Code::not_found, fmt::format("no policy in force has a domain {}", bpfwarden::quoted(updater.domain)))
                .because("the updater is who is in that domain")
                .advise("bpfwarden policy apply FILE"));
    const auto domain = static_cast<__u32>(found - names.begin());
    // The one before, too, if it comes back by itself.
    const unsigned slots = status.rollback_in ? 2 : 1;
    for (unsigned slot = 0; slot < slots; ++slot)
        if (const auto image = BW_TRY(policy->image(slot))) BW_TRY(enforce::require_known_by_digest(*image, domain));
    return domain;
}

// Soundness: the kernel starts programs with all capabilities for whoever asks (core_pattern, modprobe). What is taken
// from them there nobody gives back before the machine starts again.
Result<> take_mac_admin_from_kernels_programs() {
    static constexpr const char* directory = "/proc/sys/kernel/usermodehelper";
    constexpr std::uint64_t bit = 1ULL << CAP_MAC_ADMIN;
    const UniqueFd at(::open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!at) return fail_errno(fmt::format("cannot open {}", directory));
    const auto read = [&at]() -> Result<std::uint64_t> {
        const auto text = BW_TRY(kernel::read_file_at(at, "bset"));
        std::uint32_t low = 0, high = 0;
        if (std::sscanf(text.c_str(), "%u %u", &low, &high) != 2)
            return fail(Error(Code::failed, fmt::format("{}/bset is not two numbers", directory)));
        return std::uint64_t{high} << 32 | low;
    };
    const auto now = BW_TRY(read());
    if (!(now & bit)) return {};
    const auto less = now & ~bit;
    BW_TRY(kernel::write_file_at(at, "bset", fmt::format("{} {}", static_cast<std::uint32_t>(less), less >> 32)));
    if (BW_TRY(read()) & bit)
        return fail(Error(Code::failed, "programs that the kernel starts keep CAP_MAC_ADMIN")
                        .because("whoever sets kernel.core_pattern would be the updater")
                        .advise("seal for a domain"));
    return {};
}

}  // namespace bpfwarden::guard
