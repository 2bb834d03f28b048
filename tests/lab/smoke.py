#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots the lab's guests for real and checks what every other guest test relies on.

    tests/lab/smoke.py [--results FILE] [ROLE…]      default: floor lts edge
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LAB = str(Path(__file__).resolve().parents[2] / "tools/lab/lab")
CASES = []


def case(function):
    CASES.append(function)
    return function


class Skip(Exception):
    pass


def lab(verb, role, *words, options=(), **extra):
    return subprocess.run([LAB, verb, "--kernel", role, "--quiet", "--timeout", "120", *options, "--", *words],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **extra)


def run(role, *words, options=()):
    return lab("run", role, *words, options=options)


def same(got, wanted, done=None):
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}" + (f"\n{done.stdout!r}\n{done.stderr.decode(errors='replace')}" if done else ""))


def children(pid):
    return [int(p) for t in Path(f"/proc/{pid}/task").iterdir() for p in (t / "children").read_text().split()]


@case
def fetch(role):
    done = subprocess.run([LAB, "fetch", role], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode == 77:
        raise Skip(done.stderr.decode().strip().replace("\n", " "))
    same(done.returncode, 0, done)


@case
def status_passes(role):
    for wanted, words in ((0, ["true"]), (3, ["sh", "-c", "exit 3"]), (137, ["sh", "-c", "kill -9 $$"]), (139, ["sh", "-c", "kill -SEGV $$"]),
                          (127, ["/no/such/program"])):
        done = run(role, *words)
        same(done.returncode, wanted, done)


@case
def odd_bytes_pass(role):
    words = [b"", b" ", b"a'b", b'"$HOME" `x` $(x)', b"\\", b"two\nlines\t", b"\xff\x00\xfe".replace(b"\0", b""), "ü".encode(), b"-n", b"*"]
    done = run(role, "printf", "%s|", *words)
    same(done.stdout, b"".join(word + b"|" for word in words), done)
    done = run(role, "sh", "-c", "printf '\\000\\377\\r\\n\\033<lab->x'; printf 'to err\\n' >&2")
    same(done.stdout, b"\0\xff\r\n\x1b<lab->x", done)
    same(done.stderr, b"to err\n", done)


@case
def output_is_whole(role):
    done = run(role, "sh", "-c", "seq 1 100000; dd if=/dev/zero bs=65536 count=64 2>/dev/null")
    same(len(done.stdout), 588895 + 64 * 65536)
    same(done.stdout[:588895], b"".join(b"%d\n" % n for n in range(1, 100001)))


@case
def output_is_live(role):
    process = subprocess.Popen([LAB, "run", "--kernel", role, "--quiet", "--", "sh", "-c", "echo one; sleep 3; echo two"], stdout=subprocess.PIPE)
    same(process.stdout.readline(), b"one\n")
    first = time.monotonic()
    same(process.stdout.readline(), b"two\n")
    if time.monotonic() - first < 1.5:
        raise AssertionError("the first line came only with the second")
    same(process.wait(), 0)


@case
def out_is_saved(role):
    with tempfile.TemporaryDirectory() as folder:
        done = run(role, "sh", "-c", "mkdir /out/d; printf 'a\\000b' >/out/d/f; seq 1 50000 >/out/g; exit 4", options=("--save", folder))
        same(done.returncode, 4, done)
        same(Path(folder, "d/f").read_bytes(), b"a\0b")
        same(len(Path(folder, "g").read_bytes()), 288894)


@case
def script_runs(role):
    with tempfile.NamedTemporaryFile(suffix=".sh") as file:
        file.write(b'echo "$# $1"\nfalse\necho "$?"\nexit 6\n')
        file.flush()
        done = run(role, "a  b", options=("--script", file.name))
        same((done.returncode, done.stdout), (6, b"1 a  b\n1\n"), done)


@case
def prepared(role):
    done = run(role, "sh", "-ec", """
        for kind in proc sysfs devtmpfs tmpfs cgroup2 bpf debugfs tracefs securityfs; do mount | grep -q " type $kind " || echo no $kind; done
        grep -q bpf /sys/kernel/security/lsm || echo no bpf lsm
        modprobe veth; ip link add v0 type veth peer name v1; ip -o link show v1 >/dev/null
        ping -c 1 -W 2 127.0.0.1 >/dev/null
        bpftool prog show >/dev/null
        head -c 64 /dev/random >/dev/null
        [ "$(setpriv --reuid alice --regid alice --clear-groups id -un)" = alice ]
        unshare -m sh -c 'mount --bind /tmp /mnt && mkdir /mnt/old && pivot_root /mnt /mnt/old'
        date +%s""")
    same(done.returncode, 0, done)
    if abs(int(done.stdout) - time.time()) > 5:
        raise AssertionError(f"the guest's clock says {done.stdout!r}")


@case
def default_lsms(role):
    done = run(role, "cat", "/sys/kernel/security/lsm", options=("--lsm", "debian-default", "--no-snapshot"))
    names = done.stdout.decode().split(",")
    if "apparmor" not in names or names.index("apparmor") > names.index("bpf"):
        same(names, "apparmor before bpf", done)


@case
def restored_twice(role):
    same(run(role, "sh", "-c", "echo x >/var/left; echo x >/bpfwarden/left; sync; echo 1 >/proc/sys/kernel/kptr_restrict").returncode, 0)
    done = run(role, "sh", "-c", "ls -A /var/left /bpfwarden/left")
    if done.returncode == 0:
        raise AssertionError("a file of the first run is seen in the second")


@case
def timeout_is_124(role):
    begun = time.monotonic()
    done = lab("run", role, "sh", "-c", "echo before; sleep 100", options=("--timeout", "3"))
    same((done.returncode, done.stdout), (124, b"before\n"), done)
    if time.monotonic() - begun > 15:
        raise AssertionError("the timeout came late")


@case
def panic_is_125(role):
    done = run(role, "sh", "-c", "echo before; sleep 1; echo c >/proc/sysrq-trigger; sleep 50")
    same((done.returncode, done.stdout), (125, b"before\n"), done)
    for word in (b"Kernel panic - not syncing", b"read its console"):
        if word not in done.stderr:
            same(done.stderr, word)


@case
def oops_is_125(role):
    words = ("sh", "-c", "echo '<2>BUG: unable to handle page fault for address: test' >/dev/kmsg; sleep 1; exit 5")
    done = run(role, *words)
    same(done.returncode, 125, done)
    done = run(role, *words, options=("--allow-oops",))
    same(done.returncode, 5, done)


@case
def poweroff_is_125(role):
    done = run(role, "sh", "-c", "poweroff -f")
    same(done.returncode, 125, done)


@case
def console_noise_stays_out(role):
    done = run(role, "sh", "-c", "echo 'end 9' >/dev/console; echo '<3>end 9' >/dev/kmsg; echo fine")
    same((done.returncode, done.stdout, done.stderr), (0, b"fine\n", b""), done)


@case
def nothing_outlives_a_killed_lab(role):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen([LAB, "run", "--kernel", role, "--quiet", "--", "sh", "-c", "echo up; sleep 100"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        same(process.stdout.readline(), b"up\n")
        below = children(process.pid)
        same(len(below), 1)
        process.send_signal(number)
        process.wait(20)
        for _ in range(50):
            if not Path(f"/proc/{below[0]}/cmdline").exists() or not Path(f"/proc/{below[0]}/cmdline").read_bytes():
                break
            time.sleep(0.1)
        else:
            raise AssertionError(f"QEMU lives on after signal {number}")


@case
def instructions_repeat(role):
    # No compiler is needed for this: a shell loop between two readings of the uptime in 10 ms is too coarse, so a long one is timed.
    loop = "i=0; read a _ </proc/uptime; while [ $i -lt 30000 ]; do i=$((i+1)); done; read b _ </proc/uptime; echo $a $b"
    spans = []
    for _ in range(2):
        done = lab("count", role, "sh", "-c", loop)
        same(done.returncode, 0, done)
        a, b = map(float, done.stdout.split())
        spans.append(b - a)
    if abs(spans[0] - spans[1]) > 0.002 * spans[0] + 0.011 or spans[0] <= 0:
        raise AssertionError(f"{spans[0]:.2f} and {spans[1]:.2f} guest seconds")


def in_parallel(roles):
    """Guests of different kernels at once, and two of one kernel."""
    begun = [(role, subprocess.Popen([LAB, "run", "--kernel", role, "--quiet", "--", "sh", "-c", "uname -r; sleep 2; echo $0", str(n)],
                                     stdout=subprocess.PIPE)) for n, role in enumerate([*roles[:2], roles[0]])]
    for number, (role, process) in enumerate(begun):
        text = process.communicate(timeout=120)[0].decode().split()
        same((process.returncode, text[1:]), (0, [str(number)]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, help="append one JSON line a case")
    parser.add_argument("--only", help="cases whose name holds this word")
    parser.add_argument("roles", nargs="*", default=["floor", "lts", "edge"], metavar="ROLE")
    args = parser.parse_args()
    counts, missing = {"passed": 0, "failed": 0, "skipped": 0}, {}

    def one(name, role, function, argument):
        begun, result, reason = time.monotonic(), "passed", ""
        try:
            if role in missing:
                raise Skip(missing[role])
            function(argument)
        except Skip as skip:
            result, reason, missing[role] = "skipped", str(skip), str(skip)
        except Exception as error:
            result, reason = "failed", f"{type(error).__name__}: {error}"
        counts[result] += 1
        ms = round((time.monotonic() - begun) * 1000)
        print(f"{result:7} {role:6} {name} ({ms} ms)" + (f"\n    {reason}" if reason else ""), flush=True)
        if args.results:
            line = {"suite": "lab", "name": name, "kernel": role, "result": result, "reason": reason, "ms": ms}
            with open(args.results, "a") as out:
                out.write(json.dumps(line) + "\n")

    for role in args.roles:
        for function in CASES:
            if not args.only or args.only in function.__name__ or function is fetch:
                one(function.__name__, role, function, role)
    here = [role for role in args.roles if role not in missing]
    if here and (not args.only or args.only in "in_parallel"):
        one("in_parallel", ",".join(here[:2]), in_parallel, here)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C.UTF-8"
    sys.exit(main())
