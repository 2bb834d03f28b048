// SPDX-License-Identifier: Apache-2.0
// Links whose fds are in the table that the threads of the kernel share, from Linux 6.10: no process, pin or mount is
// needed for them to stay, and nothing but a program of type `syscall` closes them, which the guard refuses to load.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "enforce/lsm_recipes.hpp"

namespace bpfwarden::enforce {

// Whether this kernel has what that takes.
bool kernel_can_hold();
// For what is loaded to be held so; nothing where the kernel cannot.
std::unique_ptr<LsmRecorder> recorder_where_the_kernel_can_hold();

struct KernelLink {
    int fd = -1;  // there
    std::uint32_t link = 0, program = 0;
};

// All links in that table, whoever they belong to.
Result<std::vector<KernelLink>> held_by_kernel();

// By who may change what is sealed; `guard`: where the guard's tables are pinned.
// Has them loaded and linked there, in this order: all, or none.
Result<std::vector<KernelLink>> hold_in_kernel(const std::string& guard, const LsmRecipes& recipes);
// These go; what is there no more is passed over. Without a guard that is pinned there: by root.
Result<> release_from_kernel(const std::string& guard, std::span<const KernelLink> links);

// Of the guard's and the policy's links there, those that nothing is a pin of on the guard's bpffs: their place was
// taken, or who made them ended in the middle.
Result<> release_unpinned();
// All of them: then pins alone hold them.
Result<> release_all();

}  // namespace bpfwarden::enforce
