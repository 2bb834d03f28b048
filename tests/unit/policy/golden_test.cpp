// SPDX-License-Identifier: Apache-2.0
// Whole outputs against tests/golden/policy.
#include "unit/golden.hpp"

namespace bpfwarden {

class PolicyGolden : public ::testing::TestWithParam<Golden> {};

TEST_P(PolicyGolden, IsAsRecorded) { expect_golden(BPFWARDEN_SOURCE, "policy", GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    All, PolicyGolden,
    ::testing::Values(
        Golden{"check-good", {"check", "web.toml", "more.toml"}}, Golden{"check-bad", {"check", "bad.toml"}},
        Golden{"check-set", {"check", "more.toml"}}, Golden{"check-warnings", {"check", "odd.toml"}},
        Golden{"check-json", {"check", "--json", "odd.toml"}}, Golden{"check-missing", {"check", "missing.toml"}},
        Golden{"check-twice", {"check", "web.toml", "./web.toml"}}, Golden{"show", {"show", "web.toml", "more.toml"}},
        Golden{"show-json", {"show", "--json", "web.toml"}},
        Golden{"explain-allowed", {"explain", "web.toml", "--open", "/srv/www/index.html"}},
        Golden{"explain-denied", {"explain", "web.toml", "--open", "/srv/www/index.html", "--write"}},
        Golden{"explain-default", {"explain", "web.toml", "--open", "/etc/shadow"}},
        Golden{"explain-blind",
               {"explain", "web.toml", "--op", "read", "--op", "exec", "--path", "overlay:/etc/passwd"}},
        Golden{"explain-type", {"explain", "web.toml", "--op", "exec", "--path", "/srv/x", "--type", "nfs"}},
        Golden{"explain-net", {"explain", "web.toml", "--op", "bind", "--net", "[::]:8080"}},
        Golden{"explain-exec", {"explain", "web.toml", "more.toml", "--exec", "/usr/sbin/web", "--uid", "33"}},
        Golden{"explain-digest",
               {"explain", "pins.toml", "--exec", "/opt/tool", "--ima", "sha256:" + std::string(64, '1')}},
        Golden{"explain-other-digest",
               {"explain", "pins.toml", "--exec", "/opt/tool", "--ima", "sha256:" + std::string(64, '2')}},
        Golden{"explain-no-digest", {"explain", "pins.toml", "--exec", "/opt/tool", "--fsverity", "sha256:12"}},
        Golden{"explain-label", {"explain", "pins.toml", "--domain", "tool", "--open", "/srv/x", "--label", "secret"}},
        Golden{"explain-no-label",
               {"explain", "pins.toml", "--domain", "tool", "--open", "/srv/x", "--user-label", "secret"}},
        Golden{"check-labels", {"check", "pins.toml"}}, Golden{"show-pins", {"show", "pins.toml"}},
        Golden{"explain-stays", {"explain", "web.toml", "--exec", "/bin/sh"}},
        Golden{"explain-capability", {"explain", "web.toml", "--capability", "setuid"}},
        Golden{"explain-peer", {"explain", "web.toml", "--op", "signal", "--peer", "unconfined"}},
        Golden{"explain-json", {"explain", "--json", "web.toml", "--open", "/srv/www/index.html", "--write"}},
        Golden{"explain-nothing", {"explain", "web.toml"}},
        Golden{"explain-which", {"explain", "web.toml", "more.toml", "--open", "/x"}},
        Golden{"explain-domain", {"explain", "web.toml", "--domain", "wbe", "--open", "/x"}},
        Golden{"explain-op", {"explain", "web.toml", "--op", "raed", "--path", "/x"}},
        Golden{"diff-same", {"diff", "web.toml", "web.toml"}}, Golden{"diff", {"diff", "web.toml", "web-2.toml"}},
        Golden{"diff-narrower", {"diff", "web-2.toml", "web-3.toml"}},
        Golden{"diff-json", {"diff", "--json", "web-2.toml", "web-3.toml"}}),
    golden_name);

}  // namespace bpfwarden
