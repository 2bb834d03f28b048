// SPDX-License-Identifier: Apache-2.0
// A grant as the texts that it was read from, to give to another process, which reads it by the same parser. The two
// then hold the same grant, and there is no second form of a grant that could say something else.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "grant/load.hpp"
#include "wire/bytes.hpp"

namespace bpfwarden::broker {

struct GrantTexts {
    std::string file;                                                     // the top one
    std::map<std::string, std::string> texts;                             // by file
    std::map<std::pair<std::string, std::string>, std::string> included;  // {from, as written} -> file

    // The first 12 digits of a digest of all texts: what changes when the grant does.
    std::string revision() const;
};

struct LoadedGrant {
    grant::Resolved grant;
    GrantTexts texts;
};

// An installed grant, by path or name.
Result<LoadedGrant> load_grant(const std::string& what, const grant::LoadOptions& options = {});
// One that a client sent: it may include nothing.
Result<LoadedGrant> read_derived(const std::string& text);
// What was sent by another process of ours.
Result<grant::Resolved> resolve(const GrantTexts& texts);

void write(wire::Writer& to, const GrantTexts& texts);
GrantTexts read_texts(wire::Reader& from);

}  // namespace bpfwarden::broker
