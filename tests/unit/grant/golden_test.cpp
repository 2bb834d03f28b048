// SPDX-License-Identifier: Apache-2.0
// Whole outputs against tests/golden/grant.
#include "unit/golden.hpp"

namespace bpfwarden {

class GrantGolden : public ::testing::TestWithParam<Golden> {};

TEST_P(GrantGolden, IsAsRecorded) { expect_golden(BPFWARDEN_SOURCE, "grant", GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    All, GrantGolden,
    ::testing::Values(Golden{"check-good", {"check", "observer.toml", "firewall.toml", "everything.toml"}},
                      Golden{"check-bad", {"check", "bad.toml"}}, Golden{"check-syntax", {"check", "syntax.toml"}},
                      Golden{"check-danger", {"check", "danger.toml"}},
                      Golden{"check-json", {"check", "--json", "danger.toml", "observer.toml"}},
                      Golden{"show-observer", {"show", "observer.toml"}},
                      Golden{"show-firewall", {"show", "firewall.toml"}},
                      Golden{"show-everything", {"show", "everything.toml"}},
                      Golden{"show-json", {"show", "--json", "observer.toml"}},
                      Golden{"explain-allowed",
                             {"explain", "observer.toml", "prog_load", "tracepoint", "helper=probe_read_user"}},
                      Golden{"explain-refused", {"explain", "observer.toml", "map_create", "lpm_trie"}},
                      Golden{"explain-target",
                             {"explain", "firewall.toml", "attach", "cgroup_inet4_connect", "cgroup=/system.slice"}},
                      Golden{"explain-implied", {"explain", "observer.toml", "prog_load", "socket_filter"}},
                      Golden{"explain-json", {"explain", "--json", "observer.toml", "map_create", "lpm_trie"}},
                      Golden{"diff-wider", {"diff", "observer.toml", "observer-2.toml"}},
                      Golden{"diff-narrower", {"diff", "observer-2.toml", "observer-3.toml"}},
                      Golden{"diff-same", {"diff", "observer.toml", "observer.toml"}},
                      Golden{"diff-json", {"diff", "--json", "observer.toml", "observer-2.toml"}},
                      Golden{"init-xdp", {"init", "--template", "xdp", "--name", "my-xdp", "--user", "alice"}},
                      Golden{"init-tracing", {"init", "--template", "tracing"}},
                      Golden{"init-cgroup", {"init", "--template", "cgroup"}}),
    golden_name);

}  // namespace bpfwarden
