// SPDX-License-Identifier: Apache-2.0
// Names in a bpffs.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "enforce/sealed_change.hpp"

namespace bpfwarden::guard {

// One that is there already stays.
Result<> pin(FdRef fd, const std::string& path);
// All of a bpffs. What else is there (an iterator's text can be read, and opened as a link) is held like them.
Result<std::vector<std::string>> pins_on(const std::string& mount);
// Once more there.
Result<> copy_pins(const std::string& from, const std::string& to);
// What is pinned in a directory, and what that decides by.
Result<std::set<enforce::BpfThing>> things_in(const std::string& directory);
// And the directory.
void remove_pins(const std::string& directory);

// What the guard knows a name by.
Result<bw_place> place_of(const std::string& path);
// Seals or unseals the name, or the file system that it is on.
Result<> change_name(const enforce::SealedChange& change, bw_change_what what, const std::string& path);

}  // namespace bpfwarden::guard
