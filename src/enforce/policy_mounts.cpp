// SPDX-License-Identifier: Apache-2.0
#include "enforce/policy_mounts.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "enforce/policy_force.hpp"
#include "kernel/mount.hpp"
#include "policy/evaluate.hpp"

namespace bpfwarden::enforce {

// dev_t as the kernel has it in a superblock.
static __u32 kernel_device(dev_t device) { return major(device) << 20 | minor(device); }

// Whether `path` leads to that very mount: what is mounted over is not where its files are seen.
static UniqueFd hold(const kernel::MountEntry& mount) {
    UniqueFd fd(::open(mount.path.c_str(), O_PATH | O_CLOEXEC | O_NOFOLLOW));
    struct statx found{};
    if (!fd || ::statx(fd.get(), "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_MNT_ID, &found) ||
        !(found.stx_mask & STATX_MNT_ID) || found.stx_mnt_id != mount.id)
        fd.reset();
    return fd;
}

Result<WrittenMounts> write_mounts(FdRef mounted, std::span<const ForcedImage* const> images) {
    WrittenMounts written;
    std::set<__u32> seen;
    std::vector<kernel::MountEntry> mounts = BW_TRY(kernel::mount_table());
    std::ranges::sort(mounts, {}, &kernel::MountEntry::id);  // the first mount of a superblock is its place
    for (const auto& mount : mounts) {
        const __u32 device = kernel_device(mount.device);
        if (mount.root != "/" || seen.contains(device)) continue;
        const auto held = hold(mount);
        if (!held) continue;
        bw_mounted place{};
        place.device = device;
        std::size_t slot = 0;
        for (const auto* image : images) {
            if (slot == BW_MOUNTED_IMAGES) break;
            const auto state = policy::Image(image->lines()).state_of(policy::Start::path, mount.path);
            // A name that is too deep for the automaton is none: the superblock counts as not mounted.
            if (!state) continue;
            const auto generation = image->generation();
            place.in[slot++] = {generation, *state, bw_mounted_check(device, generation, *state)};
        }
        const std::string text = mount.path == "/" ? "" : mount.path;
        place.length = static_cast<__u16>(std::min(text.size(), sizeof place.text));
        std::memcpy(place.text, text.data(), place.length);
        bw_mounted before{};
        if (::bpf_map_lookup_elem(mounted.get(), &device, &before) || std::memcmp(&before, &place, sizeof place) != 0) {
            written.different = true;
            if (::bpf_map_update_elem(mounted.get(), &device, &place, BPF_ANY))
                return fail_errno("cannot write down where a file system is mounted");
        }
        seen.insert(device);
    }
    // What is not mounted here any more has no place here, even if it lives on elsewhere.
    std::vector<__u32> gone;
    __u32 key = 0, next = 0;
    for (bool first = true; !::bpf_map_get_next_key(mounted.get(), first ? nullptr : &key, &next); first = false) {
        key = next;
        if (!seen.contains(key)) gone.push_back(key);
    }
    for (const auto device : gone) {
        ::bpf_map_delete_elem(mounted.get(), &device);
        written.different = true;
    }
    written.named = seen.size();
    return written;
}

}  // namespace bpfwarden::enforce
