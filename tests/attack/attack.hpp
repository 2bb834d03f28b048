// SPDX-License-Identifier: Apache-2.0
// The attack matrix: one file a vector. A vector is an act of full root that is meant to take a policy away which
// somebody else has loaded. Each runs twice, on a fresh victim in a fresh world (world.hpp):
//   Control.NAME   nothing is guarded: the act works, and the policy is gone. If it is not, this is no attack.
//   Sealed.NAME    the victim is protected: the policy still decides.
//   Guard.NAME     of acts on mounts like the guard's own: the guard's bpffs stays where it is.
#pragma once

#include <cerrno>
#include <string>

namespace bpfwarden::test {

// Where the victim's pins are, as every process of the world sees it.
struct Place {
    std::string mount;   // the bpffs
    std::string parent;  // the mount that the bpffs is mounted on
    std::string above;   // the mount that `parent` is mounted on
    std::string pins;    // the directory of the victim's pins, in the bpffs
    std::string pin(const char* name) const { return pins + "/" + name; }
};

enum class Home {
    usual,  // /sys/fs/bpf; every mount is shared, as under systemd
    apart,  // /run/apart/bpf: a bpffs on a tmpfs of its own, which is private, on a shared /run
};

// What foreign_loader loads.
enum class Victim {
    open,          // an LSM link: the secret cannot be opened
    connect,       // a link to the root cgroup: nobody connects to 127.0.0.77
    bpf,           // an LSM link: no program is measured
    sysctl,        // attached to the root cgroup without a link: no sysctl kernel/printk* is written
    open_in_root,  // an lsm_cgroup program, attached without a link: the secret cannot be opened
};

enum class Loses {
    policy,   // it decides no more
    nothing,  // the act is no attack by itself, and this shows it
    other,    // what `achieved` tells
    act,      // the act itself gives what nobody should have
};

// 0 if the act worked, else errno. Runs as full root in a process of the victim's world, which ends with it.
using Act = int (*)(const Place&);

struct Vector {
    const char* what;  // in one line
    Act act;
    Victim victim = Victim::open;
    Home home = Home::usual;
    Loses loses = Loses::policy;
    // Whether the act has achieved something else; runs in the world, after the act.
    bool (*achieved)(const Place&) = nullptr;
    // Runs in the attacker's process before the victim is protected: what it opens stays open.
    Act before = nullptr;
    // Why this kernel does not have what the act needs, or nothing.
    const char* (*missing)() = nullptr;
    // Puts back what belongs to the whole machine; runs in the test's own process.
    void (*clean_up)() = nullptr;
    // The act is on bpfwarden-guard: in the control there is one that nothing protects.
    bool guardian = false;
    // Why the guard does not hold this, as docs/guard.md has it; the policy decides nevertheless.
    const char* not_held = nullptr;
};

struct Registered {
    Registered(const char* name, const Vector& vector);
};

// 0 if the call went well, else errno.
inline int status_of(long result) { return result < 0 ? errno : 0; }
// The first of several steps that failed, or 0; those after it are not made.
inline int steps() { return 0; }
template <class... Rest>
int steps(auto&& first, Rest&&... rest) {
    if (const int status = status_of(first())) return status;
    return steps(rest...);
}

}  // namespace bpfwarden::test
