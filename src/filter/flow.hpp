// SPDX-License-Identifier: Apache-2.0
// What of a program's state matters at each instruction. Evaluation forgets the rest, so that paths which differ in
// nothing that is read again become one.
//
// Soundness: none of this has to be right. What was forgotten by mistake is unset when it is read, and a program that
// reads what is unset is refused.
#pragma once

#include <bitset>
#include <cstdint>
#include <vector>

#include "bytecode/program.hpp"

namespace bpfwarden::filter {

inline constexpr unsigned stack_size = 512;

struct Alive {
    std::uint16_t registers = 0;    // bit n: register n is read before it is written
    std::uint16_t addresses = 0;    // of these, the ones that an address or the key of a lookup may be computed from
    std::bitset<stack_size> stack;  // of the function's own frame, byte 0 the lowest
    bool operator==(const Alive&) const = default;
};

class Flow {
  public:
    explicit Flow(const bytecode::Program& program);
    const Alive& operator[](std::size_t instruction) const { return alive_[instruction]; }

  private:
    std::vector<Alive> alive_;
};

}  // namespace bpfwarden::filter
