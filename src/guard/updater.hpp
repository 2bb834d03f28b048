// SPDX-License-Identifier: Apache-2.0
// Who may change what is sealed.
#pragma once

#include <string>

#include "base/result.hpp"
#include "enforce/policy_force.hpp"
#include "shared/guard.h"

namespace bpfwarden::guard {

struct Updater {
    bw_updater kind = BW_UPDATER_NOBODY;
    std::string domain;  // with BW_UPDATER_DOMAIN
};
// "reboot-only", "cap:mac_admin", "domain:NAME"
Result<Updater> updater_named(const std::string& text);
std::string name_of(const Updater& updater);

// The number of its domain in the policy in force, if there is one; 0 where it is none. An error if somebody could be
// in that domain whose program root can replace.
Result<__u32> domain_of(const Updater& updater, const enforce::PolicyForce* policy);

// So that who has the capability is nobody whom root has the kernel start.
Result<> take_mac_admin_from_kernels_programs();

}  // namespace bpfwarden::guard
