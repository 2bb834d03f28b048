// SPDX-License-Identifier: Apache-2.0
// A process in a domain that makes directories when it is told to, and says whether it may; and policies about that.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>

namespace bpfwarden::test {

// On a tmpfs; a maker's program is there, under the name of its domain.
inline const std::string place = "/run/bw-change/";

// A domain in which directories in these folders of the place may not be made ("one", or "{one,two}"). Of an operation
// that few programs are needed for: they take seconds to verify in a guest.
std::string policy_of(const std::string& domain, const std::string& refused);

class Maker {
  public:
    explicit Maker(const std::string& domain);
    Maker(const Maker&) = delete;
    ~Maker();
    // 0, or errno.
    int make(const std::string& directory);

  private:
    pid_t pid_ = -1;
    FILE *to_ = nullptr, *from_ = nullptr;
};

}  // namespace bpfwarden::test
