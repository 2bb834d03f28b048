// SPDX-License-Identifier: Apache-2.0
// What several acts begin with.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "attack/attack.hpp"

struct bpf_program;
struct hostile;

namespace bpfwarden::test {

// A mount namespace of the attacker's own: copies of all mounts, in the same peer groups where they are shared.
int second_namespace();
// The same, and nothing that is done there reaches the first one.
int private_namespace();

// From a second namespace something is done in the first one (the result of a system call), and back. Status.
int back_and_forth(const std::function<int()>& in_the_first);

// Of one mount, by mount_setattr(), which no hook sees: MS_SHARED, MS_PRIVATE, MS_SLAVE. A system call's result.
int set_propagation(const std::string& mount, unsigned long propagation);

// A new tmpfs with an empty directory in it.
inline const std::string stage = "/tmp/stage", on_stage = stage + "/empty";
int make_stage();

// The newest object of this name by its number: a descriptor, or -1 with errno.
int map_by_id(const std::string& name);
int program_by_id(const std::string& name);
int link_by_id(const std::string& name_of_its_program);

int root_cgroup();
// The program that is attached there without a link, by its number; `type` is a bpf_attach_type.
int attached_to_root(int type);
// The victim's key for the secret is removed from this map; status.
int remove_the_key(int map);

// A program of hostile.bpf.c in a link to the root cgroup; `type` is a bpf_attach_type. Status.
int link_to_root(const char* name, int type);

inline constexpr const char* disarming = "/proc/sys/kernel/ftrace_enabled";
// Status.
int write_to(int fd, const char* text);
// The same by name. The file is emptied, as a shell's `>` does.
int write_switch(const std::string& path, const std::string& text);
void arm_again();

// Has the number of the process that does it, where that is not the attacker's own.
inline const std::string other_actor = "/bpfwarden/actor";

// What acts may have achieved, if not that the policy is gone:
bool pin_is_hidden(const Place& at);
bool is_read_only(const Place& at);
// A process of the owner's name cannot open what nobody refuses.
bool owner_is_refused(const Place& at);

// One program of hostile.bpf.c. Nothing is loaded yet.
struct Hostile {
    explicit Hostile(const char* name);
    hostile* objects;
    bpf_program* program;
    // Descriptor, or -1 with errno.
    int load();
    // Loads and attaches it in its usual way, and pins the link, so that it outlives the attacker. Status.
    int attach();
};

}  // namespace bpfwarden::test
