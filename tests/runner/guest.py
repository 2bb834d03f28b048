# SPDX-License-Identifier: Apache-2.0
"""The suites vm-KERNEL: all programs of build/tests/root and build/tests/vm inside a guest of tools/lab.

One guest runs them all, so that a kernel costs one start. If it dies or a program wedges it, another guest goes on with the rest.
"""

import json
import shlex
import subprocess
import time
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from . import gtest, host, process, screen
from .result import FAILED, SKIPPED, Case
from .run import Run

UNAVAILABLE = 77  # `lab fetch`: the mirror has no such kernel
# What has suites of its own, vm-KERNEL-PART, whose time is counted for itself; and what its guests have else.
PARTS = {
    "policy": [],
    # Programs are attached and detached all the time while files are opened. On two emulated processors 7.2 met the int3 of a patched
    # bpf_lsm_file_open and died in two of five runs; on one processor in none.
    "attack": ["--append", "maxcpus=1"],
    "guard": [],
    # As Debian starts it: AppArmor, and no BPF LSM.
    "apparmor": ["--append", "lsm=landlock,lockdown,yama,apparmor"],
}
GUEST_SECONDS = 300  # to boot once and make a snapshot, which later runs restore

# Markers stand on lines of their own; a program's output need not end with a newline.
_SCRIPT = r"""
echo "@@kernel $(uname -r)"
run() { # folder program seconds cases
    printf '\n@@begin %s/%s\n' "$1" "$2"
    start=$(date +%s)
    set -- "$1" "$2" "$3" "/bpfwarden/tests/$1/$2" --gtest_filter="$4" --gtest_output="json:/out/$1.$2.json"
    folder=$1 name=$2 seconds=$3
    shift 3
    # As on the host. Programs of vm/ are about the system as a whole and see it as it is.
    [ "$folder" = vm ] || set -- unshare --mount --propagation private -- "$@"
    timeout -k 5 "$seconds" "$@" 2>&1
    status=$?
    printf '\n@@end %s/%s %s %s\n' "$folder" "$name" "$status" "$(($(date +%s) - start))"
}
"""


@dataclass
class Job:
    folder: str
    program: Path
    cases: str
    seconds: float
    lines: list = field(default_factory=list)
    begun: float = 0.0

    @property
    def key(self) -> str:
        return f"{self.folder}/{self.program.name}"

    @property
    def order(self) -> str:
        return shlex.join(["run", self.folder, self.program.name, str(round(self.seconds)), self.cases])


def fetch(run: Run, role: str) -> str:
    """Why there can be no guest with this kernel, or nothing. Downloads it at most once in the cache's life."""
    log = run.logs / f"vm-{role}" / "fetch.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        status = subprocess.run([run.source / "tools/lab/lab", "fetch", role], stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT).returncode
    if status == 0:
        return ""
    said = " ".join(line.strip() for line in log.read_text(errors="replace").splitlines()[-4:])
    case = Case(f"vm-{role}", "kernel", role, SKIPPED if status == UNAVAILABLE else FAILED,
                f"this kernel is not in this machine's Debian mirror: {said}" if status == UNAVAILABLE else f"cannot get the kernel: {said}")
    run.finish(f"vm-{role}", "kernel", [case], 0, log=log)
    return case.reason


def lab(run: Run) -> None:
    """The lab's own promises, on real guests: a runner that loses a status or output would make all other suites worthless."""
    script, log = run.source / "tests/lab/smoke.py", run.logs / "lab" / "smoke.log"
    if not script.exists() or run.filter and not fnmatch(script.stem, run.filter):
        return
    results = run.logs / "lab" / "results.jsonl"
    results.unlink(missing_ok=True)
    ended = process.run([script, "--results", results, *(["floor", "lts", "edge"] if run.soak else ["lts"])], log,
                        run.timeout("lab", script.stem), run.source)
    cases = [Case(**json.loads(line)) for line in results.read_text().splitlines()] if results.exists() else []
    badly = ended.badly(good=(0, 1) if any(c.result == FAILED for c in cases) else (0,))
    if badly or not cases:
        cases.append(Case("lab", "(smoke)", "", FAILED, badly or "it ran no case"))
    run.finish("lab", script.stem, cases, ended.seconds, {c.name: ended.text for c in cases if c.result == FAILED}, log)


def role_of(name: str) -> str:
    """The kernel of a suite: vm-lts, and vm-lts-policy, which has the programs of one part alone."""
    return name.split("-")[1]


def belongs(program: str, suite: str) -> bool:
    """Programs whose name begins with that of a part are in the part's suites, all others in vm-KERNEL."""
    part = program.split("_")[0]
    return suite.split("-")[2:] == ([part] if part in PARTS else [])


def suite(run: Run, name: str) -> None:
    jobs = []
    for folder in ("root", "vm"):
        for program, cases in host.matching(run, run.build / "tests" / folder):
            if belongs(program.name, name):
                jobs.append(Job(folder, program, cases, run.timeout(name, program.name)))
    number = 0
    while jobs:
        number += 1
        left = _one_guest(run, name, jobs, number)
        if len(left) == len(jobs):  # it did not even begin: another guest would not either
            break
        jobs = left


def _one_guest(run: Run, name: str, jobs: list[Job], number: int) -> list[Job]:
    """Runs jobs until the guest ends; returns those that it did not begin."""
    role = role_of(name)
    folder = run.logs / name
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / f"guest-{number}.sh"
    saved = folder / f"guest-{number}"
    errors = folder / f"guest-{number}.stderr"
    environment = f"export BPFWARDEN_KERNEL={role}\n" + ("export BPFWARDEN_SOAK=1\n" if run.soak else "")
    script.write_text(environment + _SCRIPT + "\n".join(job.order for job in jobs) + "\nexit 0\n")
    limit = sum(job.seconds for job in jobs) + GUEST_SECONDS
    argv = [run.source / "tools/lab/lab", "run", "--kernel", role, "--timeout", f"{limit:.0f}", "--save", saved,
            "--console", folder / f"guest-{number}.console", *PARTS.get(name.split("-")[-1], []), "--script", script]
    by_key = {job.key: job for job in jobs}
    begun, done, current = [], [], None
    for old in saved.glob("*.json"):
        old.unlink()
    with errors.open("wb") as err:
        lab = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err)
        for raw in lab.stdout:
            line = raw.decode(errors="replace").rstrip("\r\n")
            word, _, rest = line.partition(" ")
            if word == "@@kernel":
                run.kernels[name] = rest
            elif word == "@@begin" and rest in by_key:
                current = by_key[rest]
                current.begun = time.monotonic()
                begun.append(current)
            elif word == "@@end" and current and rest.split()[0] == current.key:
                status, seconds = (int(part) for part in rest.split()[1:3])
                done.append((current, status, seconds))
                screen.say(f"        {name:<9} {current.program.name:<28} {seconds:6.1f} s  ended")
                current = None
            elif current:
                current.lines.append(line)
        status = lab.wait()
    said = errors.read_text(errors="replace")
    for job, ended, seconds in done:
        _finish(run, name, job, ended, seconds, saved)
    if current:  # the guest went down with it
        _finish(run, name, current, None, time.monotonic() - current.begun, saved, _why(status, said))
        return [job for job in jobs if job not in begun]
    if status or len(begun) < len(jobs):
        case = Case(name, f"(guest {number})", role, FAILED, _why(status, said))
        run.finish(name, case.name, [case], 0, {case.name: said}, errors)
    return [job for job in jobs if job not in begun]


def _why(status: int, said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.startswith("lab: ") or line.startswith("  why: ")]
    return f"the guest failed (lab ended with {status}): " + " ".join(lines[-2:])


def _finish(run: Run, name: str, job: Job, status: int | None, seconds: float, saved: Path, guest_failed: str = "") -> None:
    role = role_of(name)
    text = "\n".join(job.lines)
    log = run.logs / name / f"{job.folder}.{job.program.name}.log"
    log.write_text(text)
    report = saved / f"{job.folder}.{job.program.name}.json"
    report_text = report.read_text(errors="replace") if report.exists() else None
    badly = guest_failed
    if not badly and status not in ((0, 1) if report_text else (0,)):
        # busybox's timeout gives the signal's status, as if the program had died of it by itself.
        over = status in (137, 143, 124) and seconds >= round(job.seconds)
        badly = f"still running after {seconds} s, and killed" if over else \
            f"killed by signal {status - 128}" if status and status > 128 else f"ended with status {status}"
    outcomes = gtest.judge(text, report_text, badly)
    if status == 1 and report_text and all(o.result != FAILED for o in outcomes):
        outcomes.append(gtest.Outcome("(program)", FAILED, "ended with status 1 though no case failed", 0, text[-4000:]))
    run.finish(name, job.program.name, [Case(name, f"{job.program.name}/{o.name}", role, o.result, o.reason, o.ms, run.kernels.get(name, "")) for o in outcomes],
               seconds, {f"{job.program.name}/{o.name}": o.text for o in outcomes}, log)
