#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by what the demos source (stage.bash on this machine, steps.bash in guests): counts what happened as it should.
set -euo pipefail

demo=${0##*/}
title() { printf '\n%s\n' "$*"; }
indent() { sed 's/^/     /'; }
passed=0
failed=0
happened() { # what should have happened, then a test that says whether it did
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "   NOT AS IT SHOULD BE: $what"
    fi
}
soon() { # waits up to thirty seconds for a command to succeed
    local end=$((SECONDS + 30))
    until "$@" 2>/dev/null; do
        if [ $SECONDS -gt $end ]; then return 1; fi
        sleep 0.1
    done
}
finish() {
    echo
    if [ "$failed" = 0 ]; then
        echo "$demo: all $passed steps happened as they should"
    else
        echo "$demo: $failed of $((passed + failed)) steps did not happen as they should"
        exit 1
    fi
}
