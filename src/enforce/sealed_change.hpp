// SPDX-License-Identifier: Apache-2.0
// A change of what is sealed. Objects that are made for a sealed policy are sealed before anybody else can get at them;
// where nothing is sealed this does nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "enforce/bpf_thing.hpp"

namespace bpfwarden::enforce {

// What something of the policy is sealed as: the guard's process reads its maps.
__u64 flags_of_policys(BpfThing thing);

class SealedChange {
  public:
    // An error with Code::denied for who is not the seal's updater. `pins`: where the policy is.
    static Result<SealedChange> begin(const std::string& pins);
    SealedChange(SealedChange&& other) noexcept;
    SealedChange& operator=(SealedChange&&) = delete;
    ~SealedChange();

    // Seals it and what it decides by. Before it is pinned, attached or put in a map.
    Result<> add(FdRef fd) const;
    // It is let go of: its id is free to be forgotten.
    Result<> drop_map(std::uint32_t id) const;
    // What is there no more, let go of by who could not say so: an image whose time to be confirmed ran out, programs
    // that others took the place of.
    Result<> drop_ended() const;
    bool is_sealed() const { return sealed_; }

  private:
    explicit SealedChange(bool sealed) : sealed_(sealed) {}
    bool sealed_;
};

}  // namespace bpfwarden::enforce
