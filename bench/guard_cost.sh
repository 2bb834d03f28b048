#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In a guest, for bench/guards.py: what acts take before and under a seal, a line each: side, act, instructions.
set -eu
/bpfwarden/bench/guard_cost | sed 's/^/unsealed /'
/bpfwarden/bin/bpfwarden guard seal >/dev/null
/bpfwarden/bench/guard_cost | sed 's/^/sealed /'
