// SPDX-License-Identifier: Apache-2.0
// A policy in force in a guest, sealed and unsealed again. Who is no updater is root without CAP_MAC_ADMIN.
#pragma once

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/fd.hpp"
#include "enforce/places.hpp"
#include "root/guests.hpp"
#include "vm/maker.hpp"

namespace bpfwarden::test {

using Words = std::vector<std::string>;

inline const std::string tool = "/bpfwarden/bin/bpfwarden";
// What runs the tool in the policy's domain "updater". That one is entered from another only, so that the kernel makes
// digests of nothing else.
inline const std::string updater = place + "gate";

struct Ran {
    int status = -1;  // 128 + the signal that ended it
    std::string out, err;
};
std::ostream& operator<<(std::ostream& out, const Ran& ran);
// `prepare` runs in the new process; where it fails, nothing is executed.
Ran run(const Words& words, const std::function<bool()>& prepare = {}, const std::string& program = tool);

// In a process of its own: what `act` returns, 0 or errno; -1 if it ended otherwise.
int in_child(const std::function<int()>& act);
inline int status_of(long result) { return result < 0 ? errno : 0; }

// Also for what is executed from then on.
bool without_mac_admin();
// Root there, with all capabilities.
bool in_user_namespace();
// As somebody who may not change what is sealed.
inline int as_other(const std::function<int()>& act) {
    return in_child([&] { return without_mac_admin() ? act() : 255; });
}

bool eventually(const std::function<bool()>& holds);
std::string text_of(const std::string& path);
void write_file(const std::string& path, const std::string& text);
std::set<std::string> names_in(const std::string& directory);
bool is_mounted(const std::string& path);

// All that the kernel has of anybody.
struct InKernel {
    std::set<std::uint32_t> maps, programs, links;
    bool operator==(const InKernel&) const = default;
    bool is_no_more_than(const InKernel& other) const {
        return maps.size() <= other.maps.size() && programs.size() <= other.programs.size() &&
               links.size() <= other.links.size();
    }
};
std::ostream& operator<<(std::ostream& out, const InKernel& ids);
InKernel in_kernel();
// "map:3": what is there, but not in `before`.
std::set<std::string> new_names(const InKernel& now, const InKernel& before = {});

// An error that helps: what, why, and what to do.
void expect_three_parts(const Ran& ran);

class GuardGuest : public ::testing::Test {
  protected:
    static void SetUpTestSuite();
    void SetUp() override;
    // Unsealed, and the policy is in force.
    void TearDown() override;

    // Refuses one/ and both/, or two/ and both/; and has the domain "updater".
    static void old_in_force();
    static inline const std::string old_policy = place + "old.toml", new_policy = place + "new.toml";

    static void seal(const Words& options = {"--updater", "cap:mac_admin"});
    static void unseal();
    // Whether something is sealed, as the tool says it.
    static bool sealed();
    static nlohmann::json status();
    // As the guard's programs say it: "prog:7".
    static std::set<std::string> sealed_things();

    // After all policies were gone: nobody is in a domain of the next.
    static void new_maker();
    // By a process that entered the domain before any of this.
    static bool decides(const char* folder);
    static void expect_in_force();
};

}  // namespace bpfwarden::test
