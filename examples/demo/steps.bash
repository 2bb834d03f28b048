#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by the demos that run in guests: begins a guest for each kernel, and counts what happens in one.
set -euo pipefail

# shellcheck source=examples/demo/count.bash
. "$(dirname "${BASH_SOURCE[0]}")/count.bash"

# --- outside: a guest for each kernel -------------------------------------------------------------------------------
in_guests() { # kernels; default: all three, as many at the same time as there are processors
    local root roles logs guests=() failed=0 ran=0 i role status
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
    roles=("$@")
    if [ $# = 0 ]; then roles=(lts floor edge); fi
    logs=$(mktemp -d /tmp/bpfwarden-demo.XXXXXX)
    # shellcheck disable=SC2064
    trap "rm -rf '$logs'; kill \$(jobs -p) 2>/dev/null || true" EXIT
    for i in "${!roles[@]}"; do
        role=${roles[i]}
        : >"$logs/$role"
        flock --no-fork "$logs/processor-$((i % $(nproc)))" "$root/tools/lab/lab" run --quiet --kernel "$role" --timeout 900 -- "/bpfwarden/demo/$demo" --inside "$role" \
            >"$logs/$role" 2>&1 </dev/null &
        guests+=("$!")
    done
    for i in "${!roles[@]}"; do
        role=${roles[i]}
        status=0
        # All of the first; of the others, which do the same, each step and what was wrong.
        if [ "$i" = 0 ]; then tail -n +1 -f --pid "${guests[i]}" "$logs/$role"; fi
        wait "${guests[i]}" || status=$?
        if [ "$i" != 0 ]; then
            echo
            grep -E "^(kernel |[0-9]\. |$demo: |lab: |  (why|do): |   \(took )|NOT AS IT SHOULD BE" "$logs/$role" || cat "$logs/$role"
        fi
        case $status in
        0) ran=$((ran + 1)) ;;
        77) echo "$demo: this machine's mirror has no kernel for $role: left out" ;;
        *) failed=$((failed + 1)) ;;
        esac
    done
    if [ "$failed" != 0 ] || [ "$ran" = 0 ]; then
        printf '\n%s: %s of %s kernels did not do as they should\n' "$demo" "$failed" "${#roles[@]}"
        exit 1
    fi
    exit 0
}

# --- inside a guest -------------------------------------------------------------------------------------------------
must_be_inside() {
    if [ ! -e /run/lab/script ]; then
        echo "$demo: --inside is for a guest of tools/lab: it attacks the system that it runs on" >&2
        exit 2
    fi
}
try() { # runs a command; its output goes to $out, its status to $status
    status=0
    out=$("$@" 2>&1) || status=$?
}
has() { grep -Fq -- "$1" <<<"$out"; }
ended() { test "$status" = "$1"; }
shown() { # a command: shown, run, its output shown
    echo "   # $*"
    try "$@"
    if [ -n "$out" ]; then indent <<<"$out"; fi
}
show() { shown bpfwarden "$@"; }
