// SPDX-License-Identifier: Apache-2.0
// Another version of the programs takes the place of those that are sealed.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "enforce/kernel_links.hpp"
#include "enforce/places.hpp"
#include "enforce/sealed_change.hpp"
#include "guard/pins.hpp"
#include "guard/seal.hpp"
#include "guard/seal_state.hpp"

namespace bpfwarden::guard {

namespace fs = std::filesystem;
using enforce::BpfThing, enforce::SealedChange;

// Its pins get the names of those before them, one by one: each is attached already.
static Result<> take_names(const std::string& from, const std::string& to) {
    std::set<std::string> names;
    std::error_code problem;
    for (const auto& entry : fs::directory_iterator(from, problem)) names.insert(entry.path().filename());
    if (problem) return fail(Error::from_errno(problem.value(), fmt::format("cannot read {}", from)));
    for (const auto& name : names)
        if (::rename((from + "/" + name).c_str(), (to + "/" + name).c_str()))
            return fail_errno(fmt::format("cannot put {} in its place", name));
    for (const auto& old : BW_TRY(pins_on(to)))
        if (const auto name = fs::path(old).filename().string(); name.starts_with("link_") && !names.contains(name))
            if (::unlink(old.c_str())) return fail_errno(fmt::format("cannot remove {}", old));
    return {};
}

// Takes away again what was attached so far; what was there before stays.
class Undo {
  public:
    Undo(FdRef cgroup, const std::vector<std::uint32_t>& before)
        : cgroup_(cgroup), before_(before.begin(), before.end()) {}
    Undo(const Undo&) = delete;
    ~Undo() {
        if (done_) return;
        (void)enforce::detach_core(cgroup_, before_);
        remove_pins(enforce::sealed_next);
        (void)enforce::release_unpinned();
    }
    void done() { done_ = true; }

  private:
    FdRef cgroup_;
    std::set<std::uint32_t> before_;
    bool done_ = false;
};

static Result<> update_guard(const SealedChange& change, FdRef cgroup) {
    remove_pins(enforce::sealed_next);  // of who ended in the middle
    BW_TRY(enforce::release_unpinned());
    Undo undo(cgroup, BW_TRY(enforce::attached_to_root(cgroup)));
    auto object = BW_TRY(enforce::GuardObject::successor(enforce::sealed_guard));
    if (::mkdir(enforce::sealed_next, 0700)) return fail_errno(fmt::format("cannot make {}", enforce::sealed_next));
    BW_TRY(object.pin_programs(enforce::sealed_next));
    auto things = BW_TRY(things_in(enforce::sealed_next));
    for (const auto& thing : BW_TRY(object.things())) things.insert(thing);
    const auto shower = BW_TRY(object.shower());
    for (const auto& thing : things) BW_TRY(change.seal(thing, thing == shower ? BW_SEALED_OPEN : 0));
    BW_TRY(object.attach_core(cgroup));
    undo.done();
    BW_TRY(take_names(enforce::sealed_next, enforce::sealed_guard));
    ::rmdir(enforce::sealed_next);
    BW_TRY(enforce::release_unpinned());
    return enforce::detach_core(cgroup, BW_TRY(object.core()));
}

// Programs and links that are pinned, or attached to the root of cgroup2.
static Result<std::set<BpfThing>> held_now(FdRef cgroup) {
    std::set<BpfThing> held;
    for (const auto id : BW_TRY(enforce::attached_to_root(cgroup))) held.insert({BW_SEALED_PROG, id});
    held.merge(BW_TRY(things_in(enforce::sealed_bpffs)));
    return held;
}

// What others have taken the place of ends some time after its last link.
static Result<> forget_ended(const std::vector<BpfThing>& before, const std::set<BpfThing>& held) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    const auto lives = [&](const BpfThing& thing) {
        return thing.kind != BW_SEALED_MAP && !held.contains(thing) && enforce::open_thing(thing);
    };
    while (std::ranges::any_of(before, lives) && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return BW_TRY(SealedChange::begin(enforce::sealed_policy)).drop_ended();
}

Result<> update() {
    BW_TRY(require_root());
    BW_TRY(require_sealed());
    const auto lock = BW_TRY(lock_seals());
    const auto cgroup = BW_TRY(enforce::cgroup_root());
    const auto before = BW_TRY(enforce::show_sealed(enforce::sealed_guard)).things;
    {
        const auto change = BW_TRY(SealedChange::begin());
        BW_TRY_WITHIN(update_guard(change, cgroup), "attaching the guard's programs");
    }
    if (auto policy = BW_TRY(policy_in(enforce::sealed_policy))) BW_TRY(policy->renew());
    return forget_ended(before, BW_TRY(held_now(cgroup)));
}

}  // namespace bpfwarden::guard
