// SPDX-License-Identifier: Apache-2.0
#include "guard/seal.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "base/text.hpp"
#include "enforce/guard_object.hpp"
#include "enforce/places.hpp"
#include "enforce/policy_force.hpp"
#include "enforce/policy_object.hpp"
#include "enforce/policy_record.hpp"
#include "enforce/policy_ways.hpp"
#include "guard/holders.hpp"
#include "guard/seal_state.hpp"
#include "kernel/file.hpp"
#include "kernel/mount.hpp"
#include "kernel/namespace.hpp"

namespace bpfwarden::guard {

namespace fs = std::filesystem;
using enforce::BpfThing;

// --- words
// ------------------------------------------------------------------------------------------------------------

Result<Updater> updater_named(const std::string& text) {
    if (text == "reboot-only") return Updater{BW_UPDATER_NOBODY, {}};
    if (text == "cap:mac_admin") return Updater{BW_UPDATER_CAPABILITY, {}};
    if (text.starts_with("domain:") && text.size() > 7) return Updater{BW_UPDATER_DOMAIN, text.substr(7)};
    return fail(Error(Code::usage, fmt::format("--updater is no {}", bpfwarden::quoted(text)))
                    .because("it is reboot-only, cap:mac_admin, or domain:NAME with a domain of the policy in force"));
}

std::string name_of(const Updater& updater) {
    switch (updater.kind) {
        case BW_UPDATER_NOBODY:
            return "reboot-only";
        case BW_UPDATER_CAPABILITY:
            return "cap:mac_admin";
        case BW_UPDATER_DOMAIN:
            return "domain:" + updater.domain;
    }
    return "?";
}

// --- one change
// -------------------------------------------------------------------------------------------------------

using Change = std::function<Result<>(const bw_change&)>;

static Result<Change> change_of_the_sealed() {
    return Change([](const bw_change& what) { return enforce::change_sealed(enforce::sealed_guard, what); });
}

// While this lives, nobody else gets objects by id or from a pin.
class Changing {
  public:
    static Result<Changing> begin(Change change) {
        BW_TRY(enforce::begin_change(change));
        return Changing(std::move(change));
    }
    Changing(Changing&& other) noexcept : change_(std::exchange(other.change_, nullptr)) {}
    Changing& operator=(Changing&&) = delete;
    ~Changing() {
        if (change_) (void)change_({.what = BW_CHANGE_END, .kind = 0, .id = 0, .device = 0, .value = 0});
    }
    // It has ended by itself.
    void ended() { change_ = nullptr; }

  private:
    explicit Changing(Change change) : change_(std::move(change)) {}
    Change change_;
};

// dev_t as the kernel has it in a superblock.
static __u32 kernel_device(dev_t device) { return major(device) << 20 | minor(device); }

static Result<struct stat> stat_of(const std::string& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found)) return fail_errno(fmt::format("cannot find {}", path));
    return found;
}

static Result<> seal_thing(const Change& change, BpfThing thing, __u64 flags = 0) {
    return change({.what = BW_CHANGE_SEAL_OBJECT,
                   .kind = static_cast<__u32>(thing.kind),
                   .id = thing.id,
                   .device = 0,
                   .value = flags});
}

static Result<> change_name(const Change& change, bw_change_what what, const std::string& path) {
    const auto there = BW_TRY(stat_of(path));
    return change({.what = what, .kind = 0, .id = 0, .device = kernel_device(there.st_dev), .value = there.st_ino});
}

static Result<> pin(FdRef fd, const std::string& path) {
    if (::bpf_obj_pin(fd.get(), path.c_str()) && errno != EEXIST) return fail_errno(fmt::format("cannot pin {}", path));
    return {};
}

// --- others' things
// ---------------------------------------------------------------------------------------------------

static std::string pin_of(BpfThing thing) {
    return fmt::format("{}/{}-{}", enforce::sealed_others, enforce::kind_name(thing.kind), thing.id);
}

// Itself and what it decides by; and a pin of ours holds it, whatever becomes of theirs.
static Result<> hold(const Change& change, FdRef fd, std::set<BpfThing>& held) {
    const auto thing = BW_TRY(enforce::what_is(fd));
    for (const auto& one : BW_TRY(enforce::with_what_it_needs(fd))) {
        const bool detachable = one.kind == BW_SEALED_LINK && BW_TRY(enforce::is_detachable(fd));
        BW_TRY(seal_thing(change, one, detachable ? BW_SEALED_DETACHABLE : 0));
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

// The pins of a bpffs. What else is there (an iterator's text can be read, and opened as a link) is held like them.
static Result<std::vector<std::string>> pins_on(const std::string& mount) {
    std::vector<std::string> found;
    std::error_code problem;
    for (const auto& entry : fs::recursive_directory_iterator(mount, problem))
        if (entry.is_regular_file(problem)) found.push_back(entry.path());
    if (problem) return fail(Error::from_errno(problem.value(), fmt::format("cannot read {}", mount)));
    return found;
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

static Result<> protect(const Change& change, const Protect& others, Sealed& done) {
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
    for (const auto& thing : held)
        ++(thing.kind == BW_SEALED_PROG ? done.programs : thing.kind == BW_SEALED_MAP ? done.maps : done.links);
    return {};
}

// What the guard or another thing that is held decides by stays sealed.
static Result<> let_go(const Change& change, const std::vector<BpfThing>& gone) {
    std::set<BpfThing> free, kept;
    for (const auto& thing : gone) {
        const auto fd = BW_TRY(enforce::open_thing(thing));
        for (const auto& one : BW_TRY(enforce::with_what_it_needs(fd))) free.insert(one);
        if (::unlink(pin_of(thing).c_str()) && errno != ENOENT)
            return fail_errno(fmt::format("cannot remove {}", pin_of(thing)));
    }
    for (const char* directory : {enforce::sealed_guard, enforce::sealed_policy, enforce::sealed_others})
        for (const auto& path : BW_TRY(pins_on(directory)))
            for (const auto& one : BW_TRY(enforce::with_what_it_needs(BW_TRY(enforce::open_pin(path)))))
                kept.insert(one);
    for (const auto& thing : free)
        if (!kept.contains(thing))
            BW_TRY(change({.what = BW_CHANGE_UNSEAL_OBJECT,
                           .kind = static_cast<__u32>(thing.kind),
                           .id = thing.id,
                           .device = 0,
                           .value = 0}));
    return {};
}

Result<> release(const Protect& others) {
    BW_TRY(require_sealed());
    const auto lock = BW_TRY(lock_seals());
    const auto change = BW_TRY(change_of_the_sealed());
    const auto changing = BW_TRY(Changing::begin(change));
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
    const auto change = BW_TRY(change_of_the_sealed());
    const auto changing = BW_TRY(Changing::begin(change));
    BW_TRY(protect(change, others, done));
    return done;
}

// --- the seal
// ---------------------------------------------------------------------------------------------------------

// Programs that could overrule the guard or change its updater's memory, attached or not: whoever has them could do so
// after the seal. New ones are refused already.
static Result<> refuse_hostile_programs() {
    __u32 before = 0;
    for (__u32 id = 0; ::bpf_prog_get_next_id(id, &id) == 0;) {
        const UniqueFd program(::bpf_prog_get_fd_by_id(id));  // the guard looks at it
        const auto hostile = BW_TRY(enforce::guard_state(enforce::sealed_guard)).hostile;
        if (hostile == std::exchange(before, hostile)) continue;
        return fail(Error(Code::failed, fmt::format("prog:{} could overrule the guard", id))
                        .because("it is of type fmod_ret, which can have bpf() pass every LSM by, or writes to the "
                                 "registers of the processes it is called for")
                        .advise(fmt::format("end whoever holds it: bpftool prog show id {}", id)));
    }
    return {};
}

// Soundness: what is mounted in another mount namespace ends with it, and the policy with that; an updater is root of
// the first user namespace.
static Result<> require_first_namespaces() {
    // Their numbers are the same on each start of the machine; that of mounts is not, and the first process is in it.
    constexpr std::pair<const char*, ino_t> first[] = {
        {"user", 0xEFFFFFFD}, {"pid", 0xEFFFFFFC}, {"cgroup", 0xEFFFFFFB}};
    std::string other;
    for (const auto& [name, number] : first)
        if (other.empty() && BW_TRY(kernel::own_namespace(name)).inode != number) other = name;
    if (other.empty()) {
        const UniqueFd init(::open("/proc/1", O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!init) return fail_errno("cannot open /proc/1");
        if (BW_TRY(kernel::own_namespace("mnt")) != BW_TRY(kernel::namespace_of(init, "mnt"))) other = "mnt";
    }
    if (other.empty()) return {};
    return fail(
        Error(Code::failed, fmt::format("this is not the machine's first {} namespace", other))
            .because("what the guard mounts would end with this namespace, and the policy with that")
            .advise("run bpfwarden guard seal outside of containers, and of services with mounts of their own"));
}

// The tmpfs, and on it the bpffs. Gone with the object, unless kept.
class Place {
  public:
    static Result<Place> make() {
        std::error_code problem;
        fs::create_directories(enforce::sealed_tmpfs, problem);
        if (problem)
            return fail(Error::from_errno(problem.value(), fmt::format("cannot make {}", enforce::sealed_tmpfs)));
        Place place;
        BW_TRY(mount("tmpfs", {{"mode", "0700"}, {"size", "64k"}}, enforce::sealed_tmpfs));
        place.mounted_ = 1;
        // Before anything is mounted on it: what is mounted on a shared mount is shared.
        if (::mount(nullptr, enforce::sealed_tmpfs, nullptr, MS_PRIVATE, nullptr))
            return fail_errno(fmt::format("cannot make the mount of {} private", enforce::sealed_tmpfs));
        if (::mkdir(enforce::sealed_bpffs, 0700))
            return fail_errno(fmt::format("cannot make {}", enforce::sealed_bpffs));
        BW_TRY(mount("bpf", {{"mode", "0700"}}, enforce::sealed_bpffs));
        place.mounted_ = 2;
        for (const char* directory : {enforce::sealed_guard, enforce::sealed_policy, enforce::sealed_others})
            if (::mkdir(directory, 0700)) return fail_errno(fmt::format("cannot make {}", directory));
        return place;
    }
    static void remove() {
        ::umount2(enforce::sealed_bpffs, MNT_DETACH);
        ::umount2(enforce::sealed_tmpfs, MNT_DETACH);
        ::rmdir(enforce::sealed_tmpfs);
    }
    Place(Place&& other) noexcept : mounted_(std::exchange(other.mounted_, 0)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
        if (mounted_ == 2) ::umount2(enforce::sealed_bpffs, MNT_DETACH);
        if (mounted_ >= 1) ::umount2(enforce::sealed_tmpfs, MNT_DETACH);
    }
    void keep() { mounted_ = 0; }

  private:
    Place() = default;
    static Result<> mount(const char* type, const std::vector<std::pair<const char*, std::string>>& options,
                          const char* path) {
        const auto context = BW_TRY(kernel::fs_open(type));
        for (const auto& [key, value] : options) BW_TRY(kernel::fs_set(context, key, value));
        BW_TRY(kernel::fs_create(context));
        const auto made = BW_TRY(kernel::fs_mount(context, 0));
        const UniqueFd target(::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!target) return fail_errno(fmt::format("cannot open {}", path));
        return kernel::attach_mount(made, target);
    }
    int mounted_ = 0;
};

class Core {
  public:
    explicit Core(FdRef cgroup) : cgroup_(cgroup) {}
    Core(const Core&) = delete;
    ~Core() {
        if (attached_) (void)enforce::detach_core(cgroup_);
    }
    Result<> attach(const enforce::GuardObject& object) {
        attached_ = true;
        return const_cast<enforce::GuardObject&>(object).attach_core(cgroup_);
    }
    void keep() { attached_ = false; }

  private:
    FdRef cgroup_;
    bool attached_ = false;
};

// The policy's pins, once more where they stay.
static Result<std::set<BpfThing>> move_policy(const std::string& from, const std::string& to) {
    std::set<BpfThing> things;
    std::error_code problem;
    for (const auto& entry : fs::directory_iterator(from, problem)) {
        const auto fd = BW_TRY(enforce::open_pin(entry.path()));
        for (const auto& thing : BW_TRY(enforce::with_what_it_needs(fd))) things.insert(thing);
        BW_TRY(pin(fd, fmt::format("{}/{}", to, entry.path().filename().string())));
    }
    if (problem) return fail(Error::from_errno(problem.value(), fmt::format("cannot read {}", from)));
    return things;
}

static void remove_pins(const std::string& directory) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(directory, ignored)) ::unlink(entry.path().c_str());
    ::rmdir(directory.c_str());
}

// Soundness: every fd and pin of a sealed map is one that we know. Whoever else has one could write the policy's
// tables, and goes on being able to. From BEGIN on nobody gets a new one, so it is enough to count once.
static Result<> require_no_other_holders(const enforce::GuardObject& object, const std::set<BpfThing>& things,
                                         const std::vector<std::string>& pinned_in, std::optional<pid_t> guardian) {
    std::vector<pid_t> known{::getpid()};
    if (guardian) known.push_back(*guardian);
    std::map<std::uint32_t, std::uint32_t> expected;
    for (const auto& directory : pinned_in)
        for (const auto& [id, count] : BW_TRY(map_pins_in(directory))) expected[id] += count;
    for (const auto pid : known)
        for (const auto& [id, count] : map_fds_of(pid)) expected[id] += count;
    // An fd that the guardian's was passed on as counts as one with it.
    auto others = map_holders_but(known);
    for (const auto& thing : things) {
        if (thing.kind != BW_SEALED_MAP) continue;
        BW_TRY(enforce::open_thing(thing));  // the guard counts
        const auto holders = BW_TRY(object.holders(thing.id));
        if (holders <= expected[thing.id] + 1 && !others.contains(thing.id)) continue;
        std::string who;
        for (const auto pid : others[thing.id]) who += fmt::format(" {}", pid);
        return fail(Error(Code::failed, fmt::format("somebody else holds {} of the policy", enforce::name_of(thing)))
                        .because(who.empty() ? "no process that /proc shows: a pin elsewhere, or an fd on its way"
                                             : fmt::format("processes{} have it open", who))
                        .advise("whoever holds it could change the policy after the seal: end it, and seal again"));
    }
    return {};
}

// Soundness: the kernel starts programs with all capabilities for whoever asks (core_pattern, modprobe). What is taken
// from them there nobody gives back before the machine starts again.
static Result<> take_mac_admin_from_kernels_programs() {
    static constexpr const char* directory = "/proc/sys/kernel/usermodehelper";
    constexpr std::uint64_t bit = 1ULL << CAP_MAC_ADMIN;
    const UniqueFd at(::open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!at) return fail_errno(fmt::format("cannot open {}", directory));
    const auto read = [&at]() -> Result<std::uint64_t> {
        const auto text = BW_TRY(kernel::read_file_at(at, "bset"));
        std::uint32_t low = 0, high = 0;
        if (std::sscanf(text.c_str(), "%u %u", &low, &high) != 2)
            return fail(Error(Code::failed, fmt::format("{}/bset is not two numbers", directory)));
        return std::uint64_t{high} << 32 | low;
    };
    const auto now = BW_TRY(read());
    if (!(now & bit)) return {};
    const auto less = now & ~bit;
    BW_TRY(kernel::write_file_at(at, "bset", fmt::format("{} {}", static_cast<std::uint32_t>(less), less >> 32)));
    if (BW_TRY(read()) & bit)
        return fail(Error(Code::failed, "programs that the kernel starts keep CAP_MAC_ADMIN")
                        .because("whoever sets kernel.core_pattern would be the updater")
                        .advise("seal for a domain"));
    return {};
}

Result<Sealed> seal(const Updater& updater, const Protect& others) {
    BW_TRY(require_root());
    BW_TRY(enforce::require_bpf_lsm());
    BW_TRY(require_first_namespaces());
    const auto lock = BW_TRY(lock_seals());
    const auto cgroup = BW_TRY(enforce::cgroup_root());

    if (const auto now = read_seal(); now && now->guard.armed)
        return fail(Error(Code::failed, "the guard is sealed already").advise("bpfwarden guard status"));
    // What somebody has left who ended in the middle: nothing of it was armed.
    BW_TRY(enforce::detach_core(cgroup));
    Place::remove();
    if (const auto ids = BW_TRY(enforce::attached_to_root(cgroup)); !ids.empty())
        return fail(Error(Code::failed, "there are programs of others at the root of cgroup2")
                        .because(fmt::format("prog:{}, of type lsm_cgroup or cgroup_sysctl, can turn a refusal of the "
                                             "guard into success",
                                             ids.front()))
                        .advise("detach them first: bpftool cgroup show /sys/fs/cgroup"));

    // The lock of policies, so that none is put in force meanwhile.
    const auto policy = enforce::PolicyForce::adopt(enforce::unsealed_policy);
    if (!policy && policy.error().code() != Code::not_found) return fail(policy.error());
    UniqueFd tasks;
    __u32 domain = 0;
    if (policy) tasks = BW_TRY(policy->map("tasks"));
    if (updater.kind == BW_UPDATER_DOMAIN) {
        const auto names = enforce::read_record(policy ? BW_TRY(policy->status()).generation : 0).domains;
        const auto found = std::ranges::find(names, updater.domain);
        if (found == names.end() || found == names.begin())
            return fail(Error(Code::not_found,
                              fmt::format("no policy in force has a domain {}", bpfwarden::quoted(updater.domain)))
                            .because("the updater is who is in that domain")
                            .advise("bpfwarden policy apply FILE"));
        domain = static_cast<__u32>(found - names.begin());
        // The one before, too, if it comes back by itself.
        const unsigned slots = BW_TRY(policy->status()).rollback_in ? 2 : 1;
        for (unsigned slot = 0; slot < slots; ++slot)
            if (const auto image = BW_TRY(policy->image(slot)))
                BW_TRY(enforce::require_known_by_digest(*image, domain));
    }

    auto place = BW_TRY(Place::make());
    auto object = BW_TRY(enforce::GuardObject::load(tasks));
    const Change change = [&object](const bw_change& what) { return object.change(what); };
    BW_TRY(object.pin_maps(enforce::sealed_guard));
    BW_TRY(object.pin_programs(enforce::sealed_guard));
    Core core(cgroup);
    BW_TRY(core.attach(object));
    BW_TRY(object.freeze());
    auto changing = BW_TRY(Changing::begin(change));
    BW_TRY(refuse_hostile_programs());

    std::set<BpfThing> things;
    for (const auto& thing : BW_TRY(object.things()))
        things.insert({static_cast<bw_sealed_kind>(thing.kind), thing.id});
    std::error_code problem;
    for (const auto& entry : fs::directory_iterator(enforce::sealed_guard, problem))
        for (const auto& thing : BW_TRY(enforce::with_what_it_needs(BW_TRY(enforce::open_pin(entry.path())))))
            things.insert(thing);
    std::set<BpfThing> policys;
    if (policy) policys = BW_TRY(move_policy(enforce::unsealed_policy, enforce::sealed_policy));
    things.insert(policys.begin(), policys.end());
    const auto shower = BW_TRY(object.shower());
    // It tells the guard's process what was tried.
    const auto ring =
        BW_TRY(enforce::what_is(BW_TRY(enforce::open_pin(std::string(enforce::sealed_guard) + "/tampers"))));
    for (const auto& thing : things) {
        const bool read = ring == thing || policys.contains(thing);
        BW_TRY(seal_thing(change, thing,
                          thing == shower ? BW_SEALED_OPEN
                          : read          ? enforce::flags_of_policys(thing)
                                          : 0));
    }
    BW_TRY(change_name(change, BW_CHANGE_SEAL_DEVICE, enforce::sealed_bpffs));
    BW_TRY(enforce::keep_mount(enforce::sealed_guard, enforce::sealed_bpffs));
    const auto guardian = running_guardian();
    BW_TRY(require_no_other_holders(object, things,
                                    {enforce::sealed_guard, enforce::sealed_policy, enforce::unsealed_policy},
                                    guardian ? std::optional(guardian->pid) : std::nullopt));
    Sealed done;
    BW_TRY(protect(change, others, done));
    if (guardian)
        BW_TRY(change({.what = BW_CHANGE_GUARDIAN,
                       .kind = 0,
                       .id = static_cast<__u32>(guardian->pid),
                       .device = 0,
                       .value = guardian->start}));

    if (updater.kind == BW_UPDATER_CAPABILITY) BW_TRY(take_mac_admin_from_kernels_programs());
    const auto own = BW_TRY(stat_of(enforce::sealed_bpffs));
    BW_TRY(change({.what = BW_CHANGE_ARM,
                   .kind = static_cast<__u32>(updater.kind),
                   .id = domain,
                   .device = kernel_device(own.st_dev),
                   .value = 0}));
    changing.ended();
    core.keep();
    place.keep();
    remove_pins(enforce::unsealed_policy);
    for (const auto& thing : things)
        ++(thing.kind == BW_SEALED_PROG ? done.programs : thing.kind == BW_SEALED_MAP ? done.maps : done.links);
    return done;
}

// --- another version
// ----------------------------------------------------------------------------------------------------

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
    }
    void done() { done_ = true; }

  private:
    FdRef cgroup_;
    std::set<std::uint32_t> before_;
    bool done_ = false;
};

static Result<> update_guard(const Change& change, FdRef cgroup) {
    remove_pins(enforce::sealed_next);  // of who ended in the middle
    Undo undo(cgroup, BW_TRY(enforce::attached_to_root(cgroup)));
    auto object = BW_TRY(enforce::GuardObject::successor(enforce::sealed_guard));
    if (::mkdir(enforce::sealed_next, 0700)) return fail_errno(fmt::format("cannot make {}", enforce::sealed_next));
    BW_TRY(object.pin_programs(enforce::sealed_next));
    auto things = BW_TRY(object.things());
    for (const auto& path : BW_TRY(pins_on(enforce::sealed_next)))
        things.push_back(BW_TRY(enforce::what_is(BW_TRY(enforce::open_pin(path)))));
    const auto shower = BW_TRY(object.shower());
    for (const auto& thing : things) BW_TRY(seal_thing(change, thing, thing == shower ? BW_SEALED_OPEN : 0));
    BW_TRY(object.attach_core(cgroup));
    undo.done();
    BW_TRY(take_names(enforce::sealed_next, enforce::sealed_guard));
    ::rmdir(enforce::sealed_next);
    return enforce::detach_core(cgroup, BW_TRY(object.core()));
}

// Programs and links that are pinned, or attached to the root of cgroup2.
static Result<std::set<BpfThing>> held_now(FdRef cgroup) {
    std::set<BpfThing> held;
    for (const auto id : BW_TRY(enforce::attached_to_root(cgroup))) held.insert({BW_SEALED_PROG, id});
    for (const auto& path : BW_TRY(pins_on(enforce::sealed_bpffs)))
        for (const auto& thing : BW_TRY(enforce::with_what_it_needs(BW_TRY(enforce::open_pin(path)))))
            held.insert(thing);
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
    return BW_TRY(enforce::SealedChange::begin(enforce::sealed_policy)).drop_ended();
}

Result<> update() {
    BW_TRY(require_root());
    BW_TRY(require_sealed());
    const auto lock = BW_TRY(lock_seals());
    const auto cgroup = BW_TRY(enforce::cgroup_root());
    const auto change = BW_TRY(change_of_the_sealed());
    const auto before = BW_TRY(enforce::show_sealed(enforce::sealed_guard)).things;
    {
        const auto changing = BW_TRY(Changing::begin(change));
        BW_TRY_WITHIN(update_guard(change, cgroup), "attaching the guard's programs");
    }
    auto policy = enforce::PolicyForce::adopt(enforce::sealed_policy);
    if (!policy && policy.error().code() != Code::not_found) return fail(policy.error());
    if (policy) BW_TRY(policy->renew());
    return forget_ended(before, BW_TRY(held_now(cgroup)));
}

Result<> unseal() {
    BW_TRY(require_root());
    BW_TRY(require_sealed());
    const auto lock = BW_TRY(lock_seals());
    const auto cgroup = BW_TRY(enforce::cgroup_root());
    const auto change = BW_TRY(change_of_the_sealed());
    const auto changing = BW_TRY(Changing::begin(change));
    // With the lock of policies. Its pins first: whoever ends here in the middle leaves it in two places, and the next
    // seal removes only what is not armed.
    const auto policy = enforce::PolicyForce::adopt(enforce::sealed_policy);
    if (!policy && policy.error().code() != Code::not_found) return fail(policy.error());
    if (policy) {
        remove_pins(enforce::unsealed_policy);
        std::error_code problem;
        fs::create_directories(enforce::unsealed_policy, problem);
        if (problem)
            return fail(Error::from_errno(problem.value(), fmt::format("cannot make {}", enforce::unsealed_policy)));
        ::chmod(enforce::unsealed_policy, 0700);
        BW_TRY(move_policy(enforce::sealed_policy, enforce::unsealed_policy));
    }
    BW_TRY(change({.what = BW_CHANGE_DISARM, .kind = 0, .id = 0, .device = 0, .value = 0}));
    BW_TRY(enforce::detach_core(cgroup));
    Place::remove();
    return {};
}

}  // namespace bpfwarden::guard
