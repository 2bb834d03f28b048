// SPDX-License-Identifier: Apache-2.0
// An object of bpf() by its kind and id, whatever fd or pin led to it.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "shared/guard.h"

namespace bpfwarden::enforce {

struct BpfThing {
    bw_sealed_kind kind;
    std::uint32_t id;
    auto operator<=>(const BpfThing&) const = default;
};

std::string_view kind_name(bw_sealed_kind kind);  // "prog", as the kernel and bpftool say
std::string name_of(BpfThing thing);              // "prog:12"
// "prog:12", "map:3", "link:7"
Result<BpfThing> thing_named(std::string_view text);

Result<BpfThing> what_is(FdRef fd);
// The first 15 characters of what whoever made the program or map has called it.
Result<std::string> name_in_kernel(FdRef fd);
Result<UniqueFd> open_pin(const std::string& path);
Result<UniqueFd> open_thing(BpfThing thing);
// Whether whoever has an fd of that link could detach it from what it is attached to.
Result<bool> is_detachable(FdRef link);
// Itself, and what it decides by: a link's program, a program's maps, the maps in a map of maps.
Result<std::vector<BpfThing>> with_what_it_needs(FdRef fd);

}  // namespace bpfwarden::enforce
