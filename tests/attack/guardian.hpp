// SPDX-License-Identifier: Apache-2.0
// bpfwarden-guard as what is attacked: the seal's own, and in controls one that nothing protects.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "attack/world.hpp"

namespace bpfwarden::test {

class Guardian {
  public:
    // Returns when it serves, or does not. `by`: programs that execute the next, as the way into a domain.
    explicit Guardian(const World& world, const std::vector<std::string>& by = {});
    Guardian(const Guardian&) = delete;
    // By SIGKILL, if it runs.
    ~Guardian();
    bool serves() const { return serves_; }
    bool runs();
    // Asks it to end, and gives its status.
    int end();
    std::string said() const;

  private:
    const World& world_;
    pid_t pid_ = -1;
    bool serves_ = false;
};

inline const std::string guardians_log = "/run/policy.jsonl";

// As attackers find it, by its name; -1 where none runs.
pid_t guardian();
// What is to be seen of it in /proc.
std::string about_guardian(const char* file);

// Where its argv[0] is in its memory.
off_t guardians_arguments();

bool guardian_is_gone(const Place&);
// Waits for its end: 0, or ETIMEDOUT.
int guardian_ends(std::chrono::seconds time);
bool guardian_is_in_our_cgroup(const Place&);

inline constexpr const char* nothing_sees_cgroups = "no hook sees what is written into control groups";
// Moves it into a new control group, where the attacker then writes to a file. Status.
int put_guardian_into_cgroup();
int write_in_cgroup(const char* file, const char* text);
// The same for a file that only a controller has.
int limit_guardian(const char* controller, const char* file, const char* text);
// All of that group go back, and it ends.
void leave_cgroup();

}  // namespace bpfwarden::test
