// SPDX-License-Identifier: Apache-2.0
#include "enforce/sealed_change.hpp"

#include <chrono>
#include <thread>
#include <utility>

#include "enforce/guard_object.hpp"
#include "enforce/places.hpp"

namespace bpfwarden::enforce {

__u64 flags_of_policys(BpfThing thing) { return thing.kind == BW_SEALED_MAP ? BW_SEALED_GUARDIAN : 0; }

static Result<> mark(bw_change_what what) {
    return change_sealed(sealed_guard, {.what = what, .kind = 0, .id = 0, .device = 0, .value = 0});
}

Result<SealedChange> SealedChange::begin() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    for (;;) {
        const auto begun = mark(BW_CHANGE_BEGIN);
        if (begun) return SealedChange(true);
        if (begun.error().number() != EBUSY || std::chrono::steady_clock::now() > end) return fail(begun.error());
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

Result<SealedChange> SealedChange::begin(const std::string& policys_pins) {
    if (policys_pins != sealed_policy) return SealedChange(false);
    return begin();
}

SealedChange::SealedChange(SealedChange&& other) noexcept : sealed_(std::exchange(other.sealed_, false)) {}

SealedChange::~SealedChange() {
    if (sealed_) (void)mark(BW_CHANGE_END);
}

Result<> SealedChange::make(const bw_change& what) const {
    if (!sealed_) return {};
    return change_sealed(sealed_guard, what);
}

Result<> SealedChange::seal(BpfThing thing, __u64 flags) const {
    return make({.what = BW_CHANGE_SEAL_OBJECT,
                 .kind = static_cast<__u32>(thing.kind),
                 .id = thing.id,
                 .device = 0,
                 .value = flags});
}

Result<> SealedChange::unseal(BpfThing thing) const {
    return make({.what = BW_CHANGE_UNSEAL_OBJECT,
                 .kind = static_cast<__u32>(thing.kind),
                 .id = thing.id,
                 .device = 0,
                 .value = 0});
}

Result<> SealedChange::add(FdRef fd) const {
    if (!sealed_) return {};
    for (const auto& thing : BW_TRY(with_what_it_needs(fd))) BW_TRY(seal(thing, flags_of_policys(thing)));
    return {};
}

Result<> SealedChange::drop_ended() const {
    const auto shown = BW_TRY(show_sealed(sealed_guard));
    for (const auto& thing : shown.things) {
        if (const auto there = open_thing(thing); !there && there.error().number() == ENOENT) BW_TRY(unseal(thing));
    }
    return {};
}

}  // namespace bpfwarden::enforce
