// SPDX-License-Identifier: Apache-2.0
#include "guard/others.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <set>

#include <fmt/format.h>

#include "enforce/places.hpp"
#include "guard/pins.hpp"
#include "guard/seal_state.hpp"
#include "kernel/mount.hpp"

namespace bpfwarden::guard {

using enforce::BpfThing, enforce::SealedChange;

static std::string pin_of(BpfThing thing) {
    return fmt::format("{}/{}-{}", enforce::sealed_others, enforce::kind_name(thing.kind), thing.id);
}

// Itself and what it decides by; and a pin of ours holds it, whatever becomes of theirs.
static Result<> hold(const SealedChange& change, FdRef fd, std::set<BpfThing>& held) {
    const auto thing = BW_TRY(enforce::what_is(fd));
    for (const auto& one : BW_TRY(enforce::with_what_it_needs(fd))) {
        const bool detachable = one.kind == BW_SEALED_LINK && BW_TRY(enforce::is_detachable(fd));
        BW_TRY(change.seal(one, detachable ? BW_SEALED_DETACHABLE : 0));
        held.insert(one);
    }
    return pin(fd, pin_of(thing));
}

static Result<> require_bpffs(const std::string& path) {
    const UniqueFd place(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!place)
        return fail(Error::from_errno(errno, fmt::format("cannot open {}", path))
                        .advise("name a pin (--pin), or where a bpffs is mounted (--mount)"));
    if (BW_TRY(kernel::file_system_type(place)) == kernel::bpffs_magic) return {};
    return fail(Error(Code::bad_input, fmt::format("{} is not on a bpffs", path))
                    .because("objects of bpf() have names nowhere else")
                    .advise("name a pin (--pin), or where a bpffs is mounted (--mount)"));
}

static Result<> each_of(const Protect& others, const std::function<Result<>(FdRef)>& visit) {
    const auto by_pin = [&](const std::string& path) -> Result<> {
        const auto fd = BW_TRY(enforce::open_pin(path));
        return visit(fd);
    };
    for (const auto& path : others.pins) {
        BW_TRY(require_bpffs(path));
        BW_TRY_WITHIN(by_pin(path), fmt::format("protecting {}", path));
    }
    for (const auto& path : others.mounts) {
        BW_TRY(require_bpffs(path));
        for (const auto& pinned : BW_TRY(pins_on(path)))
            BW_TRY_WITHIN(by_pin(pinned), fmt::format("protecting {}", pinned));
    }
    for (const auto& thing : others.things) {
        auto fd = enforce::open_thing(thing);
        if (!fd) return fail(std::move(fd.error()).advise("bpftool prog show, map show and link show print the ids"));
        BW_TRY(visit(*fd));
    }
    return {};
}

Result<> protect(const SealedChange& change, const Protect& others, Sealed& done) {
    // All are looked at first: if one is nothing that could be sealed, none is.
    BW_TRY(each_of(others, [](FdRef fd) -> Result<> {
        BW_TRY(enforce::with_what_it_needs(fd));
        return {};
    }));
    for (const auto& path : others.mounts) {
        BW_TRY(enforce::keep_mount(enforce::sealed_guard, path));
        BW_TRY(change_name(change, BW_CHANGE_SEAL_DEVICE, path));
        ++done.file_systems;
    }
    std::set<BpfThing> held;
    BW_TRY(each_of(others, [&](FdRef fd) { return hold(change, fd, held); }));
    for (const auto& path : others.pins) {
        BW_TRY(change_name(change, BW_CHANGE_SEAL_PLACE, path));
        ++done.names;
    }
    for (const auto& thing : held) done.count(thing);
    return {};
}

// What the guard or another thing that is held decides by stays sealed.
static Result<> let_go(const SealedChange& change, const std::vector<BpfThing>& gone) {
    std::set<BpfThing> free, kept;
    for (const auto& thing : gone) {
        const auto fd = BW_TRY(enforce::open_thing(thing));
        for (const auto& one : BW_TRY(enforce::with_what_it_needs(fd))) free.insert(one);
        if (::unlink(pin_of(thing).c_str()) && errno != ENOENT)
            return fail_errno(fmt::format("cannot remove {}", pin_of(thing)));
    }
    for (const char* directory : {enforce::sealed_guard, enforce::sealed_policy, enforce::sealed_others})
        kept.merge(BW_TRY(things_in(directory)));
    for (const auto& thing : free)
        if (!kept.contains(thing)) BW_TRY(change.unseal(thing));
    return {};
}

Result<> release(const Protect& others) {
    BW_TRY(require_sealed());
    const auto lock = BW_TRY(lock_seals());
    const auto change = BW_TRY(SealedChange::begin());
    auto gone = others.things;
    auto pins = others.pins;
    for (const auto& path : others.pins) BW_TRY(change_name(change, BW_CHANGE_UNSEAL_PLACE, path));
    for (const auto& path : others.mounts) {
        BW_TRY(change_name(change, BW_CHANGE_UNSEAL_DEVICE, path));
        BW_TRY(enforce::keep_mount(enforce::sealed_guard, path, false));
        const auto there = BW_TRY(pins_on(path));
        pins.insert(pins.end(), there.begin(), there.end());
    }
    for (const auto& path : pins) gone.push_back(BW_TRY(enforce::what_is(BW_TRY(enforce::open_pin(path)))));
    return let_go(change, gone);
}

Result<Sealed> protect(const Protect& others) {
    BW_TRY(require_root());
    BW_TRY(require_sealed());
    const auto lock = BW_TRY(lock_seals());
    Sealed done;
    const auto change = BW_TRY(SealedChange::begin());
    BW_TRY(protect(change, others, done));
    return done;
}

}  // namespace bpfwarden::guard
