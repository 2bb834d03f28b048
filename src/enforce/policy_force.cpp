// SPDX-License-Identifier: Apache-2.0
#include "enforce/policy_force.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "base/text.hpp"
#include "enforce/event_numbers.hpp"
#include "enforce/guard_object.hpp"
#include "enforce/kernel_links.hpp"
#include "enforce/policy_hooks.hpp"
#include "enforce/policy_mounts.hpp"
#include "enforce/policy_object.hpp"
#include "kernel/mount.hpp"

namespace bpfwarden::enforce {

namespace fs = std::filesystem;

static constexpr const char* map_names[] = {"images",  "control", "tasks",   "mounted", "works",    "directories",
                                            "denials", "others",  "numbers", "hits",    "tellings", "founds"};

static std::uint64_t boot_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// --- images
// -----------------------------------------------------------------------------------------------------------

ForcedImage::ForcedImage(ForcedImage&& other) noexcept
    : fd_(std::move(other.fd_)), address_(std::exchange(other.address_, nullptr)), bytes_(other.bytes_) {}

ForcedImage::~ForcedImage() {
    if (address_) ::munmap(address_, bytes_);
}

Result<ForcedImage> ForcedImage::map(MapFd fd) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (::bpf_map_get_info_by_fd(fd.get(), &info, &size)) return fail_errno("cannot read about a policy's image");
    ForcedImage image;
    image.bytes_ = std::size_t{info.max_entries} * sizeof(policy::Line);
    void* address = ::mmap(nullptr, image.bytes_, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (address == MAP_FAILED) return fail_errno("cannot map a policy's image");
    image.address_ = address;
    image.fd_ = std::move(fd);
    if (image.bytes_ < 3 * sizeof(policy::Line) || image.generation() == 0)
        return fail(Code::failed, "what is pinned as a policy's image is none");
    return image;
}

std::span<const policy::Line> ForcedImage::lines() const {
    return {static_cast<const policy::Line*>(address_), bytes_ / sizeof(policy::Line)};
}

std::uint32_t ForcedImage::generation() const {
    bw_image_head head;
    std::memcpy(&head, address_, sizeof head);
    return head.magic == BW_IMAGE_MAGIC && head.version == BW_IMAGE_VERSION ? head.generation : 0;
}

// A map with these lines, which nobody can change any more.
static Result<MapFd> make_image(std::span<const policy::Line> lines) {
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_INNER_MAP | BPF_F_MMAPABLE);
    MapFd fd(::bpf_map_create(BPF_MAP_TYPE_ARRAY, "bw_image", sizeof(__u32), sizeof(policy::Line),
                              static_cast<__u32>(lines.size()), &options));
    if (!fd) return fail_errno(fmt::format("cannot make a map of {} lines for the policy", lines.size()));
    const auto bytes = lines.size_bytes();
    void* address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (address == MAP_FAILED) return fail_errno("cannot map the policy's image");
    std::memcpy(address, lines.data(), bytes);
    ::munmap(address, bytes);
    if (::bpf_map_freeze(fd.get())) return fail_errno("cannot freeze the policy's image");
    return fd;
}

// --- what is pinned
// ---------------------------------------------------------------------------------------------------

struct PolicyForce::Maps {
    MapFd images, control_fd, mounted, hits;
    bw_control* control = nullptr;
    ~Maps() {
        if (control) ::munmap(control, static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
    }
};

PolicyForce::PolicyForce(std::string pins) : pins_(std::move(pins)), maps_(std::make_unique<Maps>()) {}
PolicyForce::PolicyForce(PolicyForce&&) noexcept = default;
PolicyForce& PolicyForce::operator=(PolicyForce&&) noexcept = default;
PolicyForce::~PolicyForce() = default;

static Failure cannot_open(int error, const std::string& pins, const char* name) {
    if (error == EBUSY) return changed_by_another();
    if (error == EPERM && pins == sealed_policy)
        return fail(Error::from_errno(error, "the policy is sealed")
                        .advise("it is read and changed by who the seal names as its updater: bpfwarden guard status"));
    return fail_errno(error, fmt::format("cannot open the policy's map {}/{}", pins, name));
}

Result<MapFd> PolicyForce::map(const char* name) const {
    MapFd fd(::bpf_obj_get(fmt::format("{}/{}", pins_, name).c_str()));
    if (!fd) return cannot_open(errno, pins_, name);
    return fd;
}

// flock() works on any directory, and the lock ends with its process. No fd: somebody else has it (only if not `wait`).
// ENOENT: there is no such directory.
static Result<UniqueFd> take_lock(const std::string& pins, bool wait = true) {
    for (;;) {
        UniqueFd fd(::open(pins.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!fd) return fail_errno(fmt::format("cannot open {}", pins));
        if (::flock(fd.get(), wait ? LOCK_EX : LOCK_EX | LOCK_NB)) {
            if (errno == EINTR) continue;
            if (!wait && errno == EWOULDBLOCK) return UniqueFd();
            return fail_errno(fmt::format("cannot lock {}", pins));
        }
        // Whoever had it may have removed the directory.
        struct stat held{}, there{};
        if (::fstat(fd.get(), &held) == 0 && ::stat(pins.c_str(), &there) == 0 && held.st_dev == there.st_dev &&
            held.st_ino == there.st_ino)
            return fd;
    }
}

// Whether a policy is there, in force or to come back.
static Result<bool> has_image(const std::string& pins) {
    const MapFd images(::bpf_obj_get((pins + "/images").c_str()));
    if (!images) {
        if (errno == ENOENT) return false;
        return cannot_open(errno, pins, "images");
    }
    for (const __u32 slot : {0U, 1U}) {
        __u32 id = 0;
        if (!::bpf_map_lookup_elem(images.get(), &slot, &id)) return true;
        if (errno != ENOENT) return fail_errno("cannot look up the policy in force");
    }
    return false;
}

static bool is_link(std::string_view name) { return name.starts_with(link_prefix) || name.starts_with(next_prefix); }

// Links first: what is left of an end that is cut short must not be programs without their maps.
static Result<> unpin(const std::string& pins) {
    std::error_code error;
    std::vector<fs::path> links, rest;
    for (const auto& entry : fs::directory_iterator(pins, error))
        (is_link(entry.path().filename().string()) ? links : rest).push_back(entry.path());
    for (const auto& list : {links, rest})
        for (const auto& path : list)
            if (::unlink(path.c_str())) return fail_errno(fmt::format("cannot remove {}", path.string()));
    return {};
}

Result<PolicyForce> PolicyForce::open(const std::string& pins) {
    BW_TRY(require_bpf_lsm());
    std::error_code error;
    fs::create_directories(pins, error);
    if (error)
        return fail(Error::from_errno(error.value(), fmt::format("cannot make {}", pins))
                        .advise("mount a bpffs: mount -t bpf bpf /sys/fs/bpf"));
    ::chmod(pins.c_str(), 0700);
    PolicyForce force(pins);
    force.lock_ = BW_TRY(take_lock(pins));
    if (BW_TRY(kernel::file_system_type(force.lock_)) != kernel::bpffs_magic)
        return fail(Error(Code::failed, fmt::format("{} is not on a bpffs", pins))
                        .because("programs and maps are kept there, so that no process is needed")
                        .advise("mount -t bpf bpf /sys/fs/bpf"));
    if (BW_TRY(has_image(pins))) {
        BW_TRY(force.take_over());
        if (BW_TRY(force.image(0))) return force;
    }
    // Made anew under a seal, they belong to it.
    const auto sealing = BW_TRY(SealedChange::begin(pins));
    BW_TRY(unpin(pins));
    if (sealing.is_sealed()) BW_TRY(release_unpinned());
    BW_TRY(force.take_over());
    BW_TRY(force.seal_maps(sealing));
    return force;
}

Result<> PolicyForce::seal_maps(const SealedChange& sealing) const {
    if (!sealing.is_sealed()) return {};
    for (const auto& entry : fs::directory_iterator(pins_)) {
        const UniqueFd map(::bpf_obj_get(entry.path().c_str()));
        if (!map) return fail_errno(fmt::format("cannot open the policy's map {}", entry.path().string()));
        BW_TRY(sealing.add(map));
    }
    return {};
}

Result<> PolicyForce::take_over() {
    if (std::ranges::any_of(map_names, [&](const char* name) { return !fs::exists(fs::path(pins_) / name); }))
        BW_TRY(PolicyObject::make_maps(pins_));
    BW_TRY(make_kept_numbers(pins_));
    maps_ = std::make_unique<Maps>();
    maps_->images = BW_TRY(map("images"));
    maps_->control_fd = BW_TRY(map("control"));
    maps_->mounted = BW_TRY(map("mounted"));
    maps_->hits = BW_TRY(map("hits"));
    void* control = ::mmap(nullptr, static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)), PROT_READ | PROT_WRITE,
                           MAP_SHARED, maps_->control_fd.get(), 0);
    if (control == MAP_FAILED) return fail_errno("cannot map the policy's control word");
    maps_->control = static_cast<bw_control*>(control);
    if (!maps_->control->secret && ::getrandom(&maps_->control->secret, sizeof maps_->control->secret, 0) < 0)
        return fail_errno("getrandom");
    return settle();
}

static Result<UniqueFd> lock_what_is_there(const std::string& pins, bool wait) {
    const auto nothing = [] {
        return fail(Error(Code::not_found, "no policy is in force").advise("bpfwarden policy apply FILE"));
    };
    auto lock = take_lock(pins, wait);
    if (!lock) {
        if (lock.error().number() == ENOENT) return nothing();
        return lock;
    }
    std::error_code ignored;
    if (*lock && !fs::exists(fs::path(pins) / "images", ignored)) return nothing();
    return lock;
}

Result<PolicyForce> PolicyForce::adopt(const std::string& pins) {
    PolicyForce force(pins);
    force.lock_ = BW_TRY(lock_what_is_there(pins, true));
    BW_TRY(force.take_over());
    return force;
}

Result<std::optional<PolicyForce>> PolicyForce::try_adopt(const std::string& pins) {
    PolicyForce force(pins);
    force.lock_ = BW_TRY(lock_what_is_there(pins, false));
    if (!force.lock_) return std::nullopt;
    BW_TRY(force.take_over());
    return force;
}

Result<std::optional<ForcedImage>> PolicyForce::image(unsigned slot) const {
    const __u32 key = slot;
    __u32 id = 0;
    if (::bpf_map_lookup_elem(maps_->images.get(), &key, &id)) {
        if (errno == ENOENT) return std::nullopt;
        return fail_errno("cannot look up the policy in force");
    }
    MapFd fd(::bpf_map_get_fd_by_id(id));
    if (!fd) return fail_errno("cannot open the policy in force");
    return BW_TRY(ForcedImage::map(std::move(fd)));
}

static Result<std::uint32_t> id_of(FdRef map) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (::bpf_obj_get_info_by_fd(map.get(), &info, &size)) return fail_errno("cannot ask about a map");
    return info.id;
}

static Result<> put_image(FdRef images, __u32 slot, FdRef image) {
    const int fd = image.get();
    // The kernel waits here until no program uses what stood in the slot.
    if (::bpf_map_update_elem(images.get(), &slot, &fd, BPF_ANY)) return fail_errno("cannot put the policy in force");
    return {};
}

// If a time to confirm ran out, what decides by the clock is made to decide by the slot.
Result<> PolicyForce::settle() {
    auto* control = maps_->control;
    const auto at = __atomic_load_n(&control->rollback_at, __ATOMIC_ACQUIRE);
    if (!at || at > boot_ns()) return {};
    auto before = BW_TRY(image(1));
    if (before)
        BW_TRY(put_image(maps_->images, 0, before->fd()));
    else {
        const __u32 slot = 0;
        ::bpf_map_delete_elem(maps_->images.get(), &slot);
    }
    __atomic_store_n(&control->rollback_at, 0, __ATOMIC_RELEASE);
    return {};
}

// --- changes
// ----------------------------------------------------------------------------------------------------------

Result<> PolicyForce::attach(const PolicyNeeds& needs, const SealedChange& sealing) {
    auto object = BW_TRY(PolicyObject::open(pins_, needs));
    return object.attach(sealing);
}

Result<> PolicyForce::renew() {
    const auto sealing = BW_TRY(SealedChange::begin(pins_));
    auto object = BW_TRY(PolicyObject::successor(pins_));
    return object.attach(sealing);
}

// Has the programs read what any of these images may ask for: digests and labels of files.
void PolicyForce::read_for(std::span<const ForcedImage* const> images) {
    bw_control wanted{};
    for (const auto* image : images) {
        const auto lines = image->lines();
        bw_image_head head;
        bw_image_pins pins;
        std::memcpy(&head, &lines[0], sizeof head);
        std::memcpy(&pins, &lines[2], sizeof pins);
        wanted.object_kinds |= pins.objects;
        for (std::uint32_t domain = 0; domain < head.domains; ++domain) {
            bw_domain of;
            std::memcpy(&of, &lines[head.domain_line + domain * BW_DOMAIN_LINES], sizeof of);
            const auto bit = 1ULL << domain % 64;
            if (of.flags & BW_DOMAIN_BY_LABEL) wanted.label_domains[domain / 64] |= bit;
            for (unsigned kind = 0; kind < BW_PIN_KINDS; ++kind)
                if (of.pin_kinds >> kind & 1) wanted.exec_domains[kind][domain / 64] |= bit;
        }
    }
    auto* control = maps_->control;
    for (std::size_t i = 0; i < std::size(wanted.label_domains); ++i)
        __atomic_store_n(&control->label_domains[i], wanted.label_domains[i], __ATOMIC_RELEASE);
    __atomic_store_n(&control->object_kinds, wanted.object_kinds, __ATOMIC_RELEASE);
    for (unsigned kind = 0; kind < BW_PIN_KINDS; ++kind)
        for (std::size_t i = 0; i < std::size(wanted.exec_domains[kind]); ++i)
            __atomic_store_n(&control->exec_domains[kind][i], wanted.exec_domains[kind][i], __ATOMIC_RELEASE);
}

Result<std::uint32_t> PolicyForce::next_generation() const {
    auto newest = maps_->control->newest;
    for (const unsigned slot : {0U, 1U})
        if (const auto there = BW_TRY(image(slot))) newest = std::max(newest, there->generation());
    return newest + 1;
}

// Soundness: a process can end between any two of these writes, and a time to confirm can run out there. Each must
// leave a state in which the old policy or the new one decides, and nothing decides for good that was to be confirmed.
Result<std::uint32_t> PolicyForce::apply(policy::Compiled compiled, std::chrono::seconds confirm_within) {
    BW_TRY(require_kinds(compiled.kinds, compiled.ima_algorithms));
    auto old = BW_TRY(image(0));
    auto older = BW_TRY(image(1));
    const auto generation = BW_TRY(next_generation());
    policy::set_generation(compiled.lines, generation);
    const auto sealing = BW_TRY(SealedChange::begin(pins_));
    auto made = BW_TRY(ForcedImage::map(BW_TRY(make_image(compiled.lines))));
    BW_TRY(sealing.add(made.fd()));
    // Names first, then programs: from the switch on everything that the new policy needs is there.
    std::vector<const ForcedImage*> all{&made};
    if (old) all.push_back(&*old);
    // It may come back by the clock while the programs are still being verified.
    if (older) all.push_back(&*older);
    BW_TRY(name_mounts(all));
    BW_TRY_WITHIN(attach({compiled.ops, compiled.kinds}, sealing), "attaching the policy's programs");
    read_for(all);

    auto* control = maps_->control;
    const auto rollback_at =
        confirm_within.count() > 0 ? boot_ns() + static_cast<std::uint64_t>(confirm_within.count()) * 1'000'000'000 : 0;
    // What waits to be confirmed, or has waited too long, is not what comes back: what it replaced stays where it is.
    // Nor is its time touched before it is replaced, or it could stay for good, or decide again after it ran out.
    const bool confirmed = !__atomic_load_n(&control->rollback_at, __ATOMIC_ACQUIRE);
    if (confirmed) {
        if (old) {
            BW_TRY(put_image(maps_->images, 1, old->fd()));
        } else {
            const __u32 slot = 1;
            ::bpf_map_delete_elem(maps_->images.get(), &slot);
        }
        __atomic_store_n(&control->rollback_at, rollback_at, __ATOMIC_RELEASE);
    }
    control->newest = generation;
    if (auto put = put_image(maps_->images, 0, made.fd()); !put) {
        if (confirmed) __atomic_store_n(&control->rollback_at, 0, __ATOMIC_RELEASE);
        return fail(std::move(put).error());
    }
    __atomic_store_n(&control->rollback_at, rollback_at, __ATOMIC_RELEASE);
    BW_TRY(drop_replaced(sealing, {old ? &*old : nullptr, older ? &*older : nullptr}));
    return generation;
}

// What is in neither slot any more is nobody's. One that ran out may have been in both.
Result<> PolicyForce::drop_replaced(const SealedChange& sealing, std::initializer_list<const ForcedImage*> before) {
    if (!sealing.is_sealed()) return {};
    std::set<std::uint32_t> kept;
    for (const __u32 slot : {0U, 1U}) {
        __u32 id = 0;
        if (!::bpf_map_lookup_elem(maps_->images.get(), &slot, &id)) kept.insert(id);
    }
    for (const auto* image : before)
        if (image)
            if (const auto id = BW_TRY(id_of(image->fd())); kept.insert(id).second)
                BW_TRY(sealing.unseal({BW_SEALED_MAP, id}));
    return sealing.drop_ended();
}

Result<> PolicyForce::confirm() {
    auto* control = maps_->control;
    auto at = __atomic_load_n(&control->rollback_at, __ATOMIC_ACQUIRE);
    // It may have run out since this was opened.
    if (!at || at <= boot_ns())
        return fail(Error(Code::failed, "nothing waits for being confirmed")
                        .because("the policy in force was applied without --confirm-within, was confirmed, or its time "
                                 "ran out and the one before is in force again")
                        .advise("bpfwarden policy status"));
    __atomic_store_n(&control->rollback_at, 0, __ATOMIC_RELEASE);
    return {};
}

Result<std::uint32_t> PolicyForce::rollback() {
    auto now = BW_TRY(image(0));
    auto before = BW_TRY(image(1));
    if (!now || !before || now->generation() == before->generation())
        return fail(
            Error(Code::not_found, "there is no policy to go back to")
                .because("only one was applied since the programs were loaded, or the last one was not confirmed "
                         "and is gone"));
    std::vector<const ForcedImage*> both{&*now, &*before};
    BW_TRY(name_mounts(both));
    read_for(both);
    BW_TRY(put_image(maps_->images, 0, before->fd()));
    __atomic_store_n(&maps_->control->rollback_at, 0, __ATOMIC_RELEASE);
    BW_TRY(put_image(maps_->images, 1, now->fd()));
    return before->generation();
}

Result<> PolicyForce::remove() {
    if (pins_ == sealed_policy)
        return fail(Error(Code::denied, "the policy is sealed")
                        .because("under a seal it is replaced, not taken away")
                        .advise("as its updater: bpfwarden guard unseal"));
    // Without an image nothing decides, at once; the programs themselves go some time after their last link. What could
    // come back by the clock goes first.
    for (const __u32 slot : {1U, 0U})
        if (::bpf_map_delete_elem(maps_->images.get(), &slot) && errno != ENOENT)
            return fail_errno("cannot take the policy out of force");
    __atomic_store_n(&maps_->control->rollback_at, 0, __ATOMIC_RELEASE);
    BW_TRY(unpin(pins_));
    if (::rmdir(pins_.c_str())) return fail_errno(fmt::format("cannot remove {}", pins_));
    return {};
}

// --- mounts
// -----------------------------------------------------------------------------------------------------------

Result<std::size_t> PolicyForce::name_mounts() {
    auto now = BW_TRY(image(0));
    auto before = BW_TRY(image(1));
    std::vector<const ForcedImage*> both;
    if (now) both.push_back(&*now);
    if (before) both.push_back(&*before);
    return name_mounts(both);
}

Result<std::size_t> PolicyForce::name_mounts(std::span<const ForcedImage* const> images) {
    auto changed = BW_TRY(write_mounts(maps_->mounted, images));
    // What is kept about directories was found by the old places.
    if (changed.different) __atomic_add_fetch(&maps_->control->mounts, 1, __ATOMIC_ACQ_REL);
    return changed.named;
}

// --- questions
// --------------------------------------------------------------------------------------------------------

Result<PolicyForce::Status> PolicyForce::status() const {
    Status status;
    const auto now = BW_TRY(image(0));
    const auto before = BW_TRY(image(1));
    if (now) status.generation = now->generation();
    if (before && before->generation() != status.generation) status.before = before->generation();
    status.newest = maps_->control->newest;
    status.counts = *maps_->control;
    if (status.counts.rollback_at) {
        const auto clock = boot_ns();
        if (status.counts.rollback_at > clock)
            status.rollback_in = std::chrono::nanoseconds(status.counts.rollback_at - clock);
    }
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(pins_, ignored)) {
        const auto name = entry.path().filename().string();
        if (name.starts_with(link_prefix)) status.programs.push_back(name.substr(link_prefix.size()));
    }
    std::ranges::sort(status.programs);
    return status;
}

Result<std::vector<std::pair<std::uint32_t, std::uint64_t>>> PolicyForce::hits(std::uint32_t generation) const {
    struct Key {
        __u32 generation, rule;
    };
    std::vector<std::pair<std::uint32_t, std::uint64_t>> found;
    Key key{}, next{};
    for (bool first = true; !::bpf_map_get_next_key(maps_->hits.get(), first ? nullptr : &key, &next); first = false) {
        key = next;
        __u64 count = 0;
        if (key.generation == generation && !::bpf_map_lookup_elem(maps_->hits.get(), &key, &count))
            found.emplace_back(key.rule, count);
    }
    std::ranges::sort(found);
    return found;
}

}  // namespace bpfwarden::enforce
