// SPDX-License-Identifier: Apache-2.0
// 6.1, 6.12, 7.2: what is in force stays. It is about what tracers write down.
#include "attack/acts.hpp"
#include "attack/attack.hpp"

namespace bpfwarden::test {

static constexpr const char* path = "/sys/kernel/tracing/tracing_on";
static int act(const Place&) { return write_switch(path, "0"); }
static void as_before() { (void)write_switch(path, "1"); }
static const Registered vector{
    "switch_tracing_on",
    {.what = "tracing is switched off (tracing_on)", .act = act, .loses = Loses::nothing, .clean_up = as_before}};

}  // namespace bpfwarden::test
