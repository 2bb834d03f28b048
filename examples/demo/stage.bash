#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by the demos that run on this machine: a temporary directory to work in ($stage), a bpfwardend of the demo's own
# in it, and a count of what happens. Nothing of it is left behind.
set -euo pipefail

# shellcheck source=examples/demo/count.bash
. "$(dirname "${BASH_SOURCE[0]}")/count.bash"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# In a checkout the programs are in build/; in a guest of tools/lab, beside this folder.
root=$(cd "$here/../.." && pwd)
build=$root/build
if [ -x "$here/../bin/bpfwarden" ]; then build=$(cd "$here/.." && pwd); fi
if [ "$(id -u)" != 0 ]; then
    # Setting up grants and the daemon is root's; the programs run as others.
    exec sudo -- "$0" "$@"
fi

if [ ! -e /sys/kernel/tracing/events ] || [ ! -e /sys/kernel/debug/tracing ]; then
    # systemd mounts both; where it does not run (containers), they are there for the demo alone.
    # shellcheck disable=SC2016 # the inner shell's
    exec unshare --mount --propagation private -- sh -ec '[ -e /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing
        [ -e /sys/kernel/debug/tracing ] || mount -t debugfs debugfs /sys/kernel/debug
        exec "$@"' sh "$0" "$@"
fi

stage='' daemon='' traced='' tracer=''
enter_stage() { # where nobody can read it: a checkout may be in a home directory
    stage=$(mktemp -d /tmp/bpfwarden-demo.XXXXXX)
    trap leave_stage EXIT
    chmod 0755 "$stage"
    mkdir -p "$stage"/{bin,root/etc/bpfwarden/grants.d}
    cp "$build"/bin/{bpfwarden,bpfwardend} "$stage/bin"
    cd "$stage"
    export BPFWARDEN_RUN=$stage/run PATH=$stage/bin:$PATH:/usr/sbin:/sbin:/bpfwarden/debian/usr/sbin
}
leave_stage() {
    # What was started and is left if a step failed.
    for process in $(jobs -p); do
        if [ "$process" != "$daemon" ]; then kill -KILL -- "$process" 2>/dev/null || true; fi
    done
    stop_daemon
    rm -rf "$stage"
}
start_daemon() { # grant files…
    cp -- "$@" "$stage/root/etc/bpfwarden/grants.d"
    bpfwardend --run "$stage/run" --root "$stage/root" --audit "$stage/audit.jsonl" 2>daemon.log &
    daemon=$!
    happened 'the daemon is ready' soon grep -q serving daemon.log
    echo "   $(cat daemon.log)"
}
stop_daemon() {
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null || true
        wait "$daemon" || true
        daemon=''
    fi
}

# shellcheck disable=SC2034 # read by the demos
try() { # runs a command; its output goes to $out, its status to $status
    status=0
    out=$("$@") || status=$?
}
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all -- "$@" 2>&1; }
only_session() { bpfwarden --json session list | sed -n 's/^ *"id": "\(.*\)",$/\1/p'; }
# A command of nobody's that goes on, at a terminal, where it says at once what it says: into $traced.
trace() {
    setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all -- \
        script -qefc "$*" /dev/null >"$traced" 2>&1 </dev/null &
    tracer=$!
}
end_trace() {
    kill "$tracer"
    wait "$tracer" || true
}
seen() { grep -q -- "$1" "$traced"; }
unseen() { ! seen "$1"; }
