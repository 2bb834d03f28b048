// SPDX-License-Identifier: Apache-2.0
// Whole outputs against tests/golden/audit.
#include "unit/golden.hpp"

namespace bpfwarden {

class AuditGolden : public ::testing::TestWithParam<Golden> {};

TEST_P(AuditGolden, IsAsRecorded) { expect_golden(BPFWARDEN_SOURCE, "audit", GetParam(), {"--file", "audit.jsonl"}); }

INSTANTIATE_TEST_SUITE_P(All, AuditGolden,
                         ::testing::Values(Golden{"query", {"query"}}, Golden{"query-json", {"query", "--json"}},
                                           Golden{"query-strict", {"query", "--strict", "--lines", "0"}},
                                           Golden{"query-refused", {"query", "--verdict", "refused", "--uid", "1002"}},
                                           Golden{"tail", {"tail", "--lines", "3"}}, Golden{"stats", {"stats"}},
                                           Golden{"stats-json", {"stats", "--json"}},
                                           Golden{"stats-grant", {"stats", "--grant", "agent"}}),
                         golden_name);

}  // namespace bpfwarden
