// SPDX-License-Identifier: Apache-2.0
// A machine within the guest, to be wrecked: a mount namespace whose root, /sys, /run and /tmp are its own, so that
// acts like `umount -l /` are done as they are, and all is over with the world. Only what belongs to the kernel is the
// guest's: programs, cgroups, sysctls.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "attack/attack.hpp"

namespace bpfwarden::test {

class World {
  public:
    World();
    // The guest itself: what is sealed is sealed in its first namespaces.
    struct TheGuest {};
    explicit World(TheGuest);
    World(const World&) = delete;
    ~World();

    // The same file for who is outside.
    std::string outer(const std::string& path) const;
    // A process of the world; it exits with what `work` returns.
    pid_t start(const std::function<int()>& work) const;
    int run(const std::function<int()>& work) const;
    // By a program of the guest, with its output where ours goes.
    int execute(const std::vector<std::string>& words) const;

  private:
    pid_t holder_ = -1;
    int release_ = -1;
};

Place place_in(Home home);

// -1: it ended otherwise.
int wait_for(pid_t pid);

// The file that victims refuse: for the test, and for processes of a world.
inline const std::string outer_secrets = "/run/bw-attack/", inner_secrets = "/secrets/";

}  // namespace bpfwarden::test
