// SPDX-License-Identifier: Apache-2.0
// The operations that policies decide about, their groups, and the names of capabilities and address families.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/policy_ops.h"

namespace bpfwarden::policy {

// Bits of shared/policy_ops.h.
using Operations = std::uint64_t;

// What an operation is done to.
enum class Object { path, address, domain, capability, none };
// The keys of a rule that say which: "paths, file_systems, identities or labels".
std::string_view keys_of(Object object);

struct OperationInfo {
    std::string_view name;
    Operations bit;
    Object object;
};
std::span<const OperationInfo> all_operations();
std::optional<Operations> operation_bit(std::string_view name);
Operations operations_on(Object object);
Object object_of(Operations bit);
// "read, write"
std::string names_of(Operations ops, std::string_view separator = ", ");

struct Group {
    std::string_view name;  // without "@"
    Operations ops;
};
// All but @all, which means all operations on the rule's kind of object.
std::span<const Group> all_groups();

// "net_bind_service" and its number; "cap_" before it and capitals are understood.
std::optional<unsigned> capability_bit(std::string_view name);
std::vector<std::string> capability_names();

struct Family {
    std::string_view name;
    std::uint16_t number;
};
std::span<const Family> all_families();
// "inet", or "family 45".
std::string family_name(std::uint16_t number);

}  // namespace bpfwarden::policy
