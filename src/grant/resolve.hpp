// SPDX-License-Identifier: Apache-2.0
// Grant -> Resolved: includes read, groups and `any` spelled out, implied bits added, every value with where it comes
// from. This is what the checks, the masks and everyone who enforces a grant work from.
//
// Deny by default and monotone: a list of [allow] that is absent allows nothing of its kind (but implied bits), one
// more entry allows more and refuses nothing. `commands` alone narrows: commands follow from the types. What narrows
// ([targets] cgroups and interfaces, [identity], [limits], [session]) restricts nothing when absent.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "grant/grant.hpp"

namespace bpfwarden::grant {

// Where an allowed value comes from. Written by a person, implied by what they wrote, or both.
struct Origin {
    bool written = false;
    Position at;          // of the entry, if written; else of what implies it
    std::string via;      // "@net" or "any" where the entry is not the value itself
    std::string implied;  // why it is there without being written; empty if nothing implies it
    // Attach types only: the program types which are loaded, and attached, with this value without its being written.
    std::vector<std::string> load_for, attach_for;
};

struct Allowed {
    std::optional<Position> key_at;  // of the key; nothing if no file has it
    std::optional<Position> any;     // of the entry `any`
    std::map<std::string, Origin, std::less<>> values;

    bool contains(std::string_view value) const { return values.find(value) != values.end(); }
    bool wrote(std::string_view value) const {
        const auto at = values.find(value);
        return at != values.end() && at->second.written;
    }
};

struct Pattern {
    std::string glob;  // `any` is "**"
    Position at;
    std::string via;
};
struct PatternList {
    Position at;
    std::vector<Pattern> patterns;
};

struct Resolved {
    std::string file;
    std::string name;
    std::string description;
    std::vector<std::string> files;  // this one and all included, as read
    Position allow_at;               // of [allow]; the file alone if it has none
    std::optional<Subject> subject;  // nothing: root only
    std::vector<Entry> dangerous;

    std::array<Allowed, std::size(all_dimensions)> allow;
    // Every list must have a match (each file's narrowing stays in force); for what absent_means_none() there is at
    // most one list, and no list means none.
    std::array<std::vector<PatternList>, std::size(all_targets)> targets;
    // A program's digest must be in every list, its signer too.
    std::vector<List> digests, signers;
    std::array<std::optional<Written<std::uint64_t>>, std::size(all_limits)> limits;
    std::optional<Written<std::uint64_t>> lifetime_ms;
    std::optional<Written<HandOut>> hand_out;
    std::optional<Written<OnClose>> on_close;
    std::optional<Written<bool>> not_revocable;
    // commands was written in some file.
    bool commands_narrowed = false;

    Allowed& of(Dimension dimension) { return allow[index_of(dimension)]; }
    const Allowed& of(Dimension dimension) const { return allow[index_of(dimension)]; }
    const std::vector<PatternList>& of(Target target) const { return targets[index_of(target)]; }
    const std::optional<Written<std::uint64_t>>& of(Limit limit) const { return limits[index_of(limit)]; }

    // A kfunc: by name or by a glob that matches it.
    const Origin* kfunc(std::string_view wanted) const;
    // Whether no value of this kind that is known today is missing.
    bool covers_all(Dimension dimension) const;
    bool acknowledges(std::string_view danger) const;
};

// A text with the name that messages use, and an identity that is equal for the same file however it is named.
struct Source {
    std::string file;
    std::string identity;
    std::string text;
};

// How an include is found. Implemented over the file system in load.hpp, over a map in tests and fuzzers.
class Loader {
  public:
    virtual ~Loader() = default;
    // `name` as written, `from` the file with the include. An Error says why it cannot be read.
    virtual Result<Source> include(std::string_view name, const Source& from) = 0;
};

// At most this many files in one grant, so that a chain of includes ends.
inline constexpr std::size_t most_files = 32;

// Reads `source` and what it includes. Every problem goes to `diagnostics`; the result may be used only if they are
// ok(). Nothing if the top file is not TOML. Dangers and questionable combinations are lint()'s business.
std::optional<Resolved> resolve(const Source& source, Loader& loader, Diagnostics& diagnostics);

}  // namespace bpfwarden::grant
