// SPDX-License-Identifier: Apache-2.0
// Parts of a policy in words.
#pragma once

#include <string>

#include "policy/link.hpp"

struct bw_address;

namespace bpfwarden::policy {

// "exe /usr/sbin/nginx, uid 33, from unconfined"
std::string describe(const Linked& linked, const LinkedWay& way);
// "10.0.0.1:80", "[::1]:443", "unix"
std::string describe(const bw_address& address);

}  // namespace bpfwarden::policy
