// SPDX-License-Identifier: Apache-2.0
// Small programs of others, made without a compiler.
#pragma once

#include <linux/bpf.h>

#include <string>

#include "base/fd.hpp"

namespace bpfwarden::test {

// Returns what permits, or does nothing. `target`: the hook or function, if there is one.
UniqueFd permit_program(bpf_prog_type type, bpf_attach_type attach, const std::string& target = {});

// An LSM program that refuses syslog(2) while its map says so, and the map.
struct RefusesSyslog {
    UniqueFd map, program, link;
    static RefusesSyslog make();
};
// Whether it does.
bool syslog_refused();

}  // namespace bpfwarden::test
