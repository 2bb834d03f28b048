// SPDX-License-Identifier: Apache-2.0
// `bpfwarden policy identity FILE…`: what a policy can know a file by, as it is written there.
#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/policy.hpp"
#include "cli/policy_json.hpp"
#include "enforce/file_identity.hpp"

namespace bpfwarden::cli {

static std::string toml_text(const std::string& text) {
    std::string out;
    for (const char c : printable(text)) {
        if (c == '"') out += '\\';
        out += c;
    }
    return out;
}

static void print_identity(const std::string& path, const enforce::FileIdentity& file) {
    fmt::print("{}\n", printable(path));
    if (const auto& id = file.identity)
        fmt::print("  identity   = {{ device = \"{}:{}\", inode = {}, generation = {} }}\n", id->device >> 20,
                   id->device & 0xfffff, id->inode, id->generation);
    else
        fmt::print("  # no identity: its file system tells nobody which generation of its number it is\n");
    for (const auto& kind : policy::all_pin_kinds()) {
        const auto at = std::ranges::find(file.pins, kind.kind, &policy::Pin::kind);
        if (at != file.pins.end())
            fmt::print("  {:<10} = \"{}\"\n", kind.key, toml_text(policy::text_of(*at)));
        else
            fmt::print("  # no {}\n", kind.key);
    }
}

Result<int> policy_identity(const Args& args) {
    std::vector<std::pair<std::string, enforce::FileIdentity>> files;
    for (const auto& path : args.positional("FILE")) files.emplace_back(path, BW_TRY(enforce::identify_file(path)));
    if (args.json) {
        print_policy_identity_json(files);
        return 0;
    }
    for (const auto& [path, file] : files) print_identity(path, file);
    return 0;
}

}  // namespace bpfwarden::cli
