// SPDX-License-Identifier: Apache-2.0
// A change of what is sealed, or is about to be: one process at a time. While it lives, nobody else gets objects by id
// or from a pin, so what is made under it is sealed before anybody else can get at it.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "enforce/bpf_thing.hpp"

namespace bpfwarden::enforce {

// What something of the policy is sealed as: the guard's process reads its maps.
__u64 flags_of_policys(BpfThing thing);

class SealedChange {
  public:
    // By the guard that is pinned, when whoever else changes something is done. An error with Code::denied for who is
    // not the seal's updater.
    static Result<SealedChange> begin();
    // The same for the policy that is pinned there. Where that one is not sealed, this does nothing.
    static Result<SealedChange> begin(const std::string& policys_pins);
    SealedChange(SealedChange&& other) noexcept;
    SealedChange& operator=(SealedChange&&) = delete;
    ~SealedChange();

    // One step of it.
    Result<> make(const bw_change& what) const;
    Result<> seal(BpfThing thing, __u64 flags) const;
    // It is let go of: its id is free to be forgotten.
    Result<> unseal(BpfThing thing) const;
    // Seals something of the policy and what it decides by. Before it is pinned, attached or put in a map.
    Result<> add(FdRef fd) const;
    // What is there no more, let go of by who could not say so: an image whose time to be confirmed ran out, programs
    // that others took the place of.
    Result<> drop_ended() const;
    bool is_sealed() const { return sealed_; }
    // It has ended by itself: who armed the guard may be nobody's updater from there on.
    void ended() { sealed_ = false; }

  private:
    explicit SealedChange(bool sealed) : sealed_(sealed) {}
    bool sealed_;
};

}  // namespace bpfwarden::enforce
