// SPDX-License-Identifier: Apache-2.0
#include "guard/seal.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "enforce/guard_object.hpp"
#include "enforce/kernel_links.hpp"
#include "enforce/places.hpp"
#include "enforce/policy_object.hpp"
#include "enforce/sealed_change.hpp"
#include "guard/others.hpp"
#include "guard/pins.hpp"
#include "guard/place.hpp"
#include "guard/requirements.hpp"
#include "guard/seal_state.hpp"

namespace bpfwarden::guard {

namespace fs = std::filesystem;
using enforce::BpfThing, enforce::SealedChange;

// The programs at the root of cgroup2. Gone with the object, unless kept.
class Core {
  public:
    explicit Core(FdRef cgroup) : cgroup_(cgroup) {}
    Core(const Core&) = delete;
    ~Core() {
        if (attached_) (void)enforce::detach_core(cgroup_);
    }
    Result<> attach(enforce::GuardObject& object) {
        attached_ = true;
        return object.attach_core(cgroup_);
    }
    void keep() { attached_ = false; }

  private:
    FdRef cgroup_;
    bool attached_ = false;
};

// Links that the kernel's threads hold: only what is sealed has any. Gone with the object, unless kept.
class HeldByKernel {
  public:
    HeldByKernel() = default;
    HeldByKernel(const HeldByKernel&) = delete;
    ~HeldByKernel() {
        if (!kept_) (void)enforce::release_all();
    }
    void keep() { kept_ = true; }

  private:
    bool kept_ = false;
};

// Its pins, once more where they stay. Where the kernel's threads can hold its programs, others like them take their
// place there, by the same tables; those that are in force go with their pins when the guard is armed.
static Result<std::set<BpfThing>> move_policy(const SealedChange& change) {
    BW_TRY(copy_pins(enforce::unsealed_policy, enforce::sealed_policy));
    if (enforce::kernel_can_hold()) {
        auto object = BW_TRY(enforce::PolicyObject::successor(enforce::sealed_policy));
        BW_TRY_WITHIN(object.attach(change), "attaching the policy's programs");
    }
    return things_in(enforce::sealed_policy);
}

Result<Sealed> seal(const Updater& updater, const Protect& others) {
    BW_TRY(require_root());
    BW_TRY(enforce::require_bpf_lsm());
    BW_TRY(require_first_namespaces());
    const auto lock = BW_TRY(lock_seals());
    const auto cgroup = BW_TRY(enforce::cgroup_root());

    if (const auto now = read_seal(); now && now->guard.armed)
        return fail(Error(Code::failed, "the guard is sealed already").advise("bpfwarden guard status"));
    if (BW_TRY(has_lost_its_pins())) return lost_its_pins();
    // What somebody has left who ended in the middle: nothing of it was armed.
    BW_TRY(enforce::detach_core(cgroup));
    Place::remove();
    BW_TRY(enforce::release_all());
    BW_TRY(refuse_programs_of_others(cgroup));

    // The lock of policies, so that none is put in force meanwhile.
    const auto policy = BW_TRY(policy_in(enforce::unsealed_policy));
    UniqueFd tasks;
    if (policy) tasks = BW_TRY(policy->map("tasks"));
    const auto domain = BW_TRY(domain_of(updater, policy ? &*policy : nullptr));

    auto place = BW_TRY(Place::make());
    auto object = BW_TRY(enforce::GuardObject::load(tasks));
    BW_TRY(object.pin_maps(enforce::sealed_guard));
    HeldByKernel held;
    BW_TRY(object.pin_programs(enforce::sealed_guard));
    Core core(cgroup);
    BW_TRY(core.attach(object));
    BW_TRY(object.freeze());
    auto change = BW_TRY(SealedChange::begin());

    auto things = BW_TRY(things_in(enforce::sealed_guard));
    for (const auto& thing : BW_TRY(object.things())) things.insert(thing);
    std::set<BpfThing> policys;
    if (policy) policys = BW_TRY(things_in(enforce::unsealed_policy));
    const auto shower = BW_TRY(object.shower());
    // It tells the guard's process what was tried.
    const auto ring =
        BW_TRY(enforce::what_is(BW_TRY(enforce::open_pin(std::string(enforce::sealed_guard) + "/tampers"))));
    for (const auto& thing : things) {
        const bool read = ring == thing || policys.contains(thing);
        BW_TRY(change.seal(thing, thing == shower ? BW_SEALED_OPEN : read ? enforce::flags_of_policys(thing) : 0));
    }
    // The guard's own are sealed by now.
    BW_TRY(refuse_hostile_programs());
    if (policy) policys = BW_TRY(move_policy(change));
    for (const auto& thing : policys) BW_TRY(change.seal(thing, enforce::flags_of_policys(thing)));
    things.merge(policys);
    BW_TRY(change_name(change, BW_CHANGE_SEAL_DEVICE, enforce::sealed_bpffs));
    BW_TRY(enforce::keep_mount(enforce::sealed_guard, enforce::sealed_bpffs));
    const auto guardian = running_guardian();
    BW_TRY(require_no_other_holders(object, things,
                                    {enforce::sealed_guard, enforce::sealed_policy, enforce::unsealed_policy},
                                    guardian ? std::optional(guardian->pid) : std::nullopt));
    Sealed done;
    BW_TRY(protect(change, others, done));
    if (guardian)
        BW_TRY(change.make({.what = BW_CHANGE_GUARDIAN,
                            .kind = 0,
                            .id = static_cast<__u32>(guardian->pid),
                            .device = 0,
                            .value = guardian->start}));

    if (updater.kind == BW_UPDATER_CAPABILITY) BW_TRY(take_mac_admin_from_kernels_programs());
    const auto own = BW_TRY(place_of(enforce::sealed_bpffs));
    BW_TRY(change.make({.what = BW_CHANGE_ARM,
                        .kind = static_cast<__u32>(updater.kind),
                        .id = domain,
                        .device = own.device,
                        .value = 0}));
    change.ended();
    core.keep();
    held.keep();
    place.keep();
    remove_pins(enforce::unsealed_policy);
    for (const auto& thing : things) done.count(thing);
    return done;
}

Result<> unseal() {
    BW_TRY(require_root());
    const auto lock = BW_TRY(lock_seals());
    const auto cgroup = BW_TRY(enforce::cgroup_root());
    if (BW_TRY(has_lost_its_pins())) {
        if (const auto detached = enforce::detach_core(cgroup); !detached)
            return fail(Error(Code::denied, "the guard lets nobody but its updater end it")
                            .because(detached.error().what())
                            .advise("run this as who the seal named as its updater"));
        Place::remove();
        return enforce::release_all();
    }
    BW_TRY(require_sealed());
    const auto change = BW_TRY(SealedChange::begin());
    // With the lock of policies. Its pins first: whoever ends here in the middle leaves it in two places, and the next
    // seal removes only what is not armed.
    const auto policy = BW_TRY(policy_in(enforce::sealed_policy));
    if (policy) {
        remove_pins(enforce::unsealed_policy);
        std::error_code problem;
        fs::create_directories(enforce::unsealed_policy, problem);
        if (problem)
            return fail(Error::from_errno(problem.value(), fmt::format("cannot make {}", enforce::unsealed_policy)));
        ::chmod(enforce::unsealed_policy, 0700);
        BW_TRY(copy_pins(enforce::sealed_policy, enforce::unsealed_policy));
    }
    // While the pins are kept: what is not sealed has nothing but these.
    BW_TRY(enforce::release_all());
    BW_TRY(change.make({.what = BW_CHANGE_DISARM, .kind = 0, .id = 0, .device = 0, .value = 0}));
    BW_TRY(enforce::detach_core(cgroup));
    Place::remove();
    return {};
}

}  // namespace bpfwarden::guard
