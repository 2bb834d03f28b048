// SPDX-License-Identifier: Apache-2.0
// Grants from the file system: by path, by the name of an installed grant, or from standard input. The only file of
// this folder that opens anything.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "grant/resolve.hpp"

namespace bpfwarden::grant {

struct LoadOptions {
    // Where /etc/bpfwarden and /usr/lib/bpfwarden are looked for.
    std::string root = "/";
};

// What reading a grant gave: `grant` is set only if nothing is wrong with it.
struct Checked {
    std::string file;  // as messages call it
    std::optional<Resolved> grant;
    Diagnostics diagnostics;
    std::map<std::string, std::string, std::less<>> texts;  // of every file that was read, by what messages call it
    // {including file, include as written} -> the file that was read for it
    std::map<std::pair<std::string, std::string>, std::string> included;

    // The line of text at `at`, without its newline; empty if there is none.
    std::string_view line(const Position& at) const;
};

// `what` is a path (with a "/" or ending in ".toml"), "-" for standard input, or the name of an installed grant. An
// Error only if it cannot be read at all: not_found, bad_input for what is not a regular file or over 1 MiB.
Result<Checked> check_file(const std::string& what, const LoadOptions& options = {});
// The same from memory; includes are found as from `file`.
Checked check_text(const Source& source, Loader& loader);

// What was checked if nothing is wrong with it, or an Error with every problem it has (code bad_input).
Result<Checked> must_be_valid(Checked checked, const std::string& what);
// The grant alone. Warnings are dropped.
Result<Resolved> load_file(const std::string& what, const LoadOptions& options = {});

// An installed grant, /etc winning over /usr/lib by file name.
struct Installed {
    std::string name;        // of the file, without ".toml"
    std::string path;        // with the root
    bool overrides = false;  // hides a file of /usr/lib
};
Result<std::vector<Installed>> list_installed(const LoadOptions& options = {});

inline constexpr std::size_t largest_file = std::size_t{1} << 20;

}  // namespace bpfwarden::grant
