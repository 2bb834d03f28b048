// SPDX-License-Identifier: Apache-2.0
// policy.bpf.o: its maps and programs in the kernel. The only file that sees the skeleton.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "enforce/lsm_recipes.hpp"
#include "enforce/policy_hooks.hpp"
#include "enforce/sealed_change.hpp"

struct bpf_object;

namespace bpfwarden::enforce {

// Links are pinned as PREFIX and the program's name, beside the maps.
inline constexpr std::string_view link_prefix = "link_";
// Until all of them are attached.
inline constexpr std::string_view next_prefix = "next_";

// An error with what to do where the kernel has no BPF LSM, or it is not in its list.
Result<> require_bpf_lsm();

// An error with what to do where this kernel cannot say what policies know files by. Of digests by IMA, it also
// makes one, to see with which algorithm: the policy's must be that one. `ima_algorithms`: 1 << its number.
Result<> require_kinds(std::uint32_t kinds, std::uint32_t ima_algorithms);

class PolicyObject {
  public:
    // Makes the maps that are not pinned yet, and pins them.
    static Result<> make_maps(const std::string& pins);
    // Loads the programs that are needed and have no link there yet, with the pinned maps. Nothing decides yet.
    static Result<PolicyObject> open(const std::string& pins, const PolicyNeeds& needs);
    // Loads what has links there once more: another version, to take its place.
    static Result<PolicyObject> successor(const std::string& pins);
    // Attaches them all, or none, and pins the links; those that are there already go when all are attached. Of a
    // sealed policy a thread of the kernel holds them, too, where it can.
    Result<> attach(const SealedChange& sealing);

  private:
    Result<> load(const std::set<std::string, std::less<>>& wanted);
    // What is to be done with each link, while there is an fd of it.
    using Keep = std::function<Result<>(FdRef link, std::string_view program)>;
    Result<> attach_here(const Keep& keep);
    Result<> attach_in_kernel(const Keep& keep);
    struct Close {
        void operator()(bpf_object* object) const;
    };
    std::string pins_;
    bool succeeds_ = false;
    std::unique_ptr<bpf_object, Close> object_;
    std::optional<LsmRecipes> recipes_;  // of what a thread of the kernel loads
};

}  // namespace bpfwarden::enforce
