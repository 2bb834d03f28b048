// SPDX-License-Identifier: Apache-2.0
#include "enforce/sealed_change.hpp"

#include <utility>

#include "enforce/bpf_thing.hpp"
#include "enforce/guard_object.hpp"
#include "enforce/places.hpp"

namespace bpfwarden::enforce {

__u64 flags_of_policys(BpfThing thing) { return thing.kind == BW_SEALED_MAP ? BW_SEALED_GUARDIAN : 0; }

static Result<> change(bw_change_what what, BpfThing thing = {BW_SEALED_PROG, 0}) {
    return change_sealed(sealed_guard, {.what = what,
                                        .kind = static_cast<__u32>(thing.kind),
                                        .id = thing.id,
                                        .device = 0,
                                        .value = what == BW_CHANGE_SEAL_OBJECT ? flags_of_policys(thing) : 0});
}

Result<SealedChange> SealedChange::begin(const std::string& pins) {
    if (pins != sealed_policy) return SealedChange(false);
    BW_TRY(begin_change([](const bw_change& what) { return change_sealed(sealed_guard, what); }));
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
    const auto shown = BW_TRY(show_sealed(sealed_guard));
    for (const auto& thing : shown.things) {
        if (const auto there = open_thing(thing); !there && there.error().number() == ENOENT)
            BW_TRY(change(BW_CHANGE_UNSEAL_OBJECT, thing));
    }
    return {};
}

}  // namespace bpfwarden::enforce
