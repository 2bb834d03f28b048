// SPDX-License-Identifier: Apache-2.0
// Attackers against a policy in force, in a guest. What an attacker does is a function of this program; it runs in a
// process that executes a copy of the program, and the copy's name decides the domain:
//   /run/evade/actor     domain "actor": all is permitted, but what rules deny
//   /run/evade/strict    domain "strict": nothing is permitted, but what rules allow
//   /run/evade/nobody    in no domain: the control
#pragma once

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "enforce/policy_force.hpp"
#include "policy/compile.hpp"
#include "root/guests.hpp"

namespace bpfwarden::test {

using Words = std::vector<std::string>;

inline const std::string room = "/run/evade/";           // tmpfs
inline const std::string secret = room + "secret/file";  // "actor" may not read, write, change or execute what is here
inline const std::string open_place = room + "open/";    // anybody may do anything here
inline constexpr const char* actor = "actor";
inline constexpr const char* strict = "strict";
inline constexpr const char* nobody = "nobody";

// 0 for what worked, else errno. Runs in the attacker's process, with the words it was given.
using Act = int (*)(const Words&);

// -1: the process ended otherwise.
int perform(const char* domain, Act act, const Words& words = {});
// Starts it and leaves it running; `wait_for` is what perform() does then.
pid_t start(const char* domain, Act act, const Words& words = {});
int wait_for(pid_t pid);

// In an attacker: 0 if the call went well, else errno.
inline int status_of(long result) { return result < 0 ? errno : 0; }
// Opens, reads a byte of what is not empty, closes.
int read_at(int directory, const std::string& path, int flags = 0);
inline int read_file(const std::string& path) { return read_at(-100 /* AT_FDCWD */, path); }

void write_file(const std::string& path, const std::string& text);
std::string text_of(const std::string& path);

// Policies are applied once for all cases of the program: in a guest a kernel takes seconds to verify the programs.
class PolicyGuest : public ::testing::Test {
  public:
    // Holds the lock of changes from the first use on.
    static enforce::PolicyForce& force();
    // Gives it up until the next use.
    static void let_others_change();

  protected:
    static void SetUpTestSuite();
    void SetUp() override;
    // Nothing that a case made is left, and the secret is as before.
    void TearDown() override;

    // Puts other rules in force, with the domains of the file's head.
    static void apply(const std::string& rules);
    // They must be refused; the error's text.
    static std::string why_not_applied(const std::string& rules);
    static policy::Compiled compile(const std::string& rules);
    static std::uint64_t blind();

    // The act works for a process in no domain, and is refused to one in `domain`.
    static void expect_refused(Act act, const Words& words = {}, int refused = EACCES, const char* domain = actor);
    static void expect_permitted(Act act, const Words& words = {}, const char* domain = actor);
};

// The whole text of the policy: domains, and these rules.
std::string policy_text(const std::string& rules);
extern const std::string usual_rules;

}  // namespace bpfwarden::test
