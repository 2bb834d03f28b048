// SPDX-License-Identifier: Apache-2.0
// policy.bpf.o: its maps and programs in the kernel. The only file that sees the skeleton.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

struct bpf_object;

namespace bpfwarden::enforce {

// Links are pinned as PREFIX and the program's name, beside the maps.
inline constexpr std::string_view link_prefix = "link_";

// An error with what to do where the kernel has no BPF LSM, or it is not in its list.
Result<> require_bpf_lsm();

class PolicyObject {
  public:
    // Makes the maps that are not pinned yet, and pins them.
    static Result<> make_maps(const std::string& pins);
    // Loads the programs for `ops` that have no link there yet, with the pinned maps. Nothing decides yet.
    static Result<PolicyObject> open(const std::string& pins, std::uint64_t ops);
    // Attaches them all, or none, and pins the links.
    Result<> attach();

  private:
    struct Close {
        void operator()(bpf_object* object) const;
    };
    std::string pins_;
    std::unique_ptr<bpf_object, Close> object_;
};

}  // namespace bpfwarden::enforce
