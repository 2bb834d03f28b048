// SPDX-License-Identifier: Apache-2.0
#include "grant/masks.hpp"

#include <algorithm>

#include "grant/lookup.hpp"

namespace bpfwarden::grant {

bool is_token_command(std::string_view command) {
    // The uapi header of 7.2 has a token fd in the arguments of these and of no other command.
    static constexpr std::string_view commands[] = {"map_create", "prog_load", "btf_load", "btf_get_fd_by_id"};
    return std::ranges::find(commands, command) != std::end(commands);
}

// Whether the value is meant for a token: for attach types, whether programs are loaded with it (the token is not asked
// when they are attached).
static bool in_mask(Dimension dimension, const std::string& value, const Origin& origin) {
    if (dimension == Dimension::commands) return is_token_command(value);
    if (dimension == Dimension::attach_types) return origin.written || !origin.load_for.empty();
    return true;
}

static std::uint64_t& field(TokenMasks& masks, Dimension dimension) {
    switch (dimension) {
        case Dimension::commands:
            return masks.commands;
        case Dimension::map_types:
            return masks.maps;
        case Dimension::program_types:
            return masks.programs;
        default:
            return masks.attachs;
    }
}

static RunningMasks masks_for(const Resolved& grant, const kernel::Names* running) {
    RunningMasks out;
    for (const auto dimension :
         {Dimension::commands, Dimension::map_types, Dimension::program_types, Dimension::attach_types}) {
        const auto kind = *name_kind(dimension);
        for (const auto& [value, origin] : grant.of(dimension).values) {
            if (!in_mask(dimension, value, origin)) continue;
            const auto number = kernel::Names::known().value(kind, value);
            // A number that names something else in the running kernel cannot be: the kernel never reuses one.
            if (!number || *number >= 64) continue;
            if (running && !running->name(kind, *number))
                out.dropped.push_back({dimension, value, origin.written, origin.at});
            else
                field(out.masks, dimension) |= std::uint64_t{1} << *number;
        }
    }
    return out;
}

TokenMasks token_masks(const Resolved& grant) { return masks_for(grant, nullptr).masks; }
RunningMasks token_masks(const Resolved& grant, const kernel::Names& running) { return masks_for(grant, &running); }

}  // namespace bpfwarden::grant
