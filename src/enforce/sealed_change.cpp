// SPDX-License-Identifier: Apache-2.0
#include "enforce/sealed_change.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "enforce/bpf_thing.hpp"
#include "enforce/guard_object.hpp"
#include "enforce/places.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::enforce {

static Result<> change(bw_change_what what, BpfThing thing = {BW_SEALED_PROG, 0}) {
    return change_sealed(
        sealed_guard, {.what = what, .kind = static_cast<__u32>(thing.kind), .id = thing.id, .device = 0, .value = 0});
}

Result<SealedChange> SealedChange::begin(const std::string& pins) {
    if (pins != sealed_policy) return SealedChange(false);
    BW_TRY(change(BW_CHANGE_BEGIN));
    return SealedChange(true);
}

SealedChange::SealedChange(SealedChange&& other) noexcept : sealed_(std::exchange(other.sealed_, false)) {}

SealedChange::~SealedChange() {
    if (sealed_) (void)change(BW_CHANGE_END);
}

Result<> SealedChange::add(FdRef fd) const {
    if (!sealed_) return {};
    for (const auto& thing : BW_TRY(with_what_it_needs(fd))) BW_TRY(change(BW_CHANGE_SEAL_OBJECT, thing));
    return {};
}

Result<> SealedChange::drop_map(std::uint32_t id) const {
    if (!sealed_) return {};
    return change(BW_CHANGE_UNSEAL_OBJECT, {BW_SEALED_MAP, id});
}

Result<> SealedChange::drop_ended() const {
    for (const auto thing : sealed_things()) {
        if (thing.kind != BW_SEALED_MAP) continue;
        if (const auto there = open_thing(thing); !there && there.error().number() == ENOENT)
            BW_TRY(drop_map(thing.id));
    }
    return {};
}

std::vector<BpfThing> sealed_things() {
    std::vector<BpfThing> things;
    const auto text = kernel::read_file(fmt::format("{}/show_sealed", sealed_guard)).value_or("");
    for (const auto line : split(text, '\n')) {
        unsigned kind = 0, id = 0, holders = 0;
        if (std::sscanf(std::string(line).c_str(), "%u %u %u", &kind, &id, &holders) == 3)
            things.push_back({static_cast<bw_sealed_kind>(kind), id});
    }
    std::ranges::sort(things);
    return things;
}

}  // namespace bpfwarden::enforce
