// SPDX-License-Identifier: Apache-2.0
// guard.bpf.o: its maps and programs in the kernel. The only file that sees the skeleton.
//
// Needs root in the first namespaces, BPF LSM in the kernel's list, cgroup2, and kernel 6.1.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "enforce/bpf_thing.hpp"
#include "enforce/lsm_recipes.hpp"
#include "shared/guard.h"

struct bpf_object;

namespace bpfwarden::enforce {

// The root of cgroup2, which need not be mounted.
Result<UniqueFd> cgroup_root();
// Ids of programs of others that are attached there and could turn a refusal into success, or whose place is needed.
Result<std::vector<std::uint32_t>> attached_to_root(FdRef cgroup);

// How many programs the core has.
std::size_t core_size();

class GuardObject {
  public:
    // Everything is loaded, and nothing refused yet. `tasks`: the policy's map of who is in which domain; -1 for none.
    static Result<GuardObject> load(FdRef tasks);

    // The same with the maps of the guard that is pinned there: another version of it, to take its place.
    static Result<GuardObject> successor(const std::string& directory);

    // In a directory of a bpffs. Where the kernel can hold links, that comes first.
    Result<> pin_maps(const std::string& directory);
    // Links, `change` and `show`, likewise. The links are attached here, by a thread of the kernel where it can hold
    // them: they outlive their pins then, until release_unpinned().
    Result<> pin_programs(const std::string& directory);
    Result<> attach_core(FdRef cgroup);
    // From then on only the programs themselves write to the maps.
    Result<> freeze();
    // The maps, and the programs, but those whose links the kernel holds.
    Result<std::vector<BpfThing>> things() const;
    // Ids of the programs that attach_core() attaches.
    Result<std::set<std::uint32_t>> core() const;
    // The program that everybody may have an fd of.
    Result<BpfThing> shower() const;
    // How many hold that map: fds and pins, as it was when it was opened by its id the last time.
    Result<std::uint32_t> holders(std::uint32_t map) const;

  private:
    struct Close {
        void operator()(bpf_object* object) const;
    };
    std::unique_ptr<bpf_object, Close> object_;
    std::string tables_;                 // where the maps are pinned
    std::optional<LsmRecipes> recipes_;  // of what a thread of the kernel loads
};

// Takes the core away from the root again, but these programs: only what is not armed lets go, or its updater.
Result<> detach_core(FdRef cgroup, const std::set<std::uint32_t>& kept = {});

// Runs `change` of what is pinned there.
Result<> change_sealed(const std::string& directory, bw_change what);
// What whoever comes while another does so is told.
Failure changed_by_another();
// Whether it would for this process.
bool may_change(const std::string& directory);

// Of the guard that is pinned there. Waits for the end of a change.
Result<bw_guard> guard_state(const std::string& directory);
// The same and what is sealed: for everybody who may call bpf().
struct ShownSeal {
    bw_guard guard{};
    std::vector<BpfThing> things;
};
Result<ShownSeal> show_sealed(const std::string& directory);

// Has the guard know the mount that `path` is on, and those that it stands on; or forget them, as often as it was told.
Result<> keep_mount(const std::string& directory, const std::string& path, bool keep = true);

}  // namespace bpfwarden::enforce
