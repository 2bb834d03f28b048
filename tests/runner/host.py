# SPDX-License-Identifier: Apache-2.0
"""The suites that run on this machine: check, unit, root, install."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path

from . import gtest, process, screen
from .result import FAILED, PASSED, SKIPPED, Case
from .run import Run

SOAK_ONLY = {"fresh-chroot"}  # too slow, or too big a download, for every run
# In a mount namespace of each program's own: what a test forgets to unmount is gone with it. systemd mounts tracefs and
# debugfs; where it does not run (containers), nobody has.
_WITH_TRACING = ["sh", "-c", "[ -e /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing;"
                 '[ -e /sys/kernel/debug/tracing ] || mount -t debugfs debugfs /sys/kernel/debug; exec "$@"', "sh"]
_LINE = re.compile(r"^(ok|not ok|skip) ([^:]+)(?:: (.*))?$")


def programs(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*") if p.is_file() and os.access(p, os.X_OK)) if folder.is_dir() else []


def matching(run: Run, folder: Path) -> list[tuple[Path, str]]:
    """The GoogleTest programs of a folder with the cases that --filter leaves."""
    found = ((p, gtest.cases_matching(p, run.filter)) for p in programs(folder))
    return [(p, cases) for p, cases in found if cases]


def unit(run: Run) -> None:
    def one(item) -> None:
        _program(run, "unit", *item, prefix=[])

    # A program is one process with little parallelism of its own: as many at a time as there are cores.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(one, matching(run, run.build / "tests/unit")))


def root(run: Run) -> None:
    prefix = become_root()
    for program, cases in matching(run, run.build / "tests/root"):
        if prefix is None:
            skipped = [Case("root", f"{program.name}/{name}", "host", SKIPPED, "needs root, and there is no way to become root here")
                       for name in gtest.list_cases(program, cases)]
            run.finish("root", program.name, skipped, 0)
            continue
        _program(run, "root", program, cases, [*prefix, "unshare", "--mount", "--propagation", "private", "--", *_WITH_TRACING])


def become_root() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    asks = ["-v"] if sys.stdin and sys.stdin.isatty() else ["-n", "-v"]
    try:
        if subprocess.run(["sudo", *asks]).returncode == 0:
            return ["sudo", "-n", "--preserve-env=BPFWARDEN_SOAK"]
    except OSError:
        pass
    return None


def _program(run: Run, suite: str, program: Path, cases: str, prefix: list) -> None:
    report = run.logs / suite / f"{program.name}.json"
    log = run.logs / suite / f"{program.name}.log"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    ended = process.run([*prefix, program, f"--gtest_filter={cases}", f"--gtest_output=json:{report}"], log,
                        run.timeout(suite, program.name), run.source)
    text = report.read_text(errors="replace") if report.exists() else None
    outcomes = gtest.judge(ended.text, text, ended.badly(good=(0, 1) if text else (0,)))
    if ended.status == 1 and text and all(o.result != FAILED for o in outcomes):
        # GoogleTest has no case for what fails in SetUpTestSuite and the like.
        outcomes.append(gtest.Outcome("(program)", FAILED, "ended with status 1 though no case failed", 0, ended.text[-4000:]))
    run.finish(suite, program.name,
               [Case(suite, f"{program.name}/{o.name}", "host", o.result, o.reason, o.ms) for o in outcomes], ended.seconds,
               {f"{program.name}/{o.name}": o.text for o in outcomes}, log)


def scripts(run: Run, suite: str) -> None:
    """Executables in tests/SUITE. Each prints a line for each thing it checked: `ok NAME`, `not ok NAME: why`, `skip NAME: why`;
    one that prints none is a single case, judged by its status (77: skipped, for the reason in its last line)."""
    for script in programs(run.source / "tests" / suite):
        if run.filter and not fnmatch(script.name, run.filter) or script.name in SOAK_ONLY and not run.soak:
            continue
        log = run.logs / suite / f"{script.name}.log"
        ended = process.run([script], log, run.timeout(suite, script.name), run.source, {"BPFWARDEN_BUILD": str(run.build)})
        cases = read_script(suite, script.stem, ended)
        run.finish(suite, script.name, cases, ended.seconds,
                   {c.name: ended.text for c in cases if c.result == FAILED}, log)


def read_script(suite: str, name: str, ended: process.Ended) -> list[Case]:
    cases = []
    for line in ended.text.splitlines():
        if found := _LINE.match(line):
            result = {"ok": PASSED, "not ok": FAILED, "skip": SKIPPED}[found[1]]
            reason = (found[3] or "no reason given") if result != PASSED else ""
            cases.append(Case(suite, f"{name}/{found[2].strip()}", "host", result, reason))
    last = (ended.text.strip().splitlines() or [""])[-1]
    failed = any(c.result == FAILED for c in cases)
    if not cases:
        result = PASSED if ended.status == 0 else SKIPPED if ended.status == 77 else FAILED
        reason = "" if result == PASSED else last if result == SKIPPED else ended.badly() or last
        cases.append(Case(suite, name, "host", result, reason))
    elif ended.badly() and not failed:
        cases.append(Case(suite, f"{name}/(script)", "host", FAILED, ended.badly()))
    if len(cases) == 1:
        cases[0].ms = round(ended.seconds * 1000)
    return cases


def list_suite(run: Run, suite: str) -> None:
    if suite == "lab":
        screen.say("lab smoke.py")
    elif suite in ("check", "install"):
        for script in programs(run.source / "tests" / suite):
            screen.say(f"{suite} {script.name}" + (" (only in a soak)" if script.name in SOAK_ONLY else ""))
    else:
        for folder in (("root", "vm") if suite.startswith("vm-") else (suite,)):
            for program, cases in matching(run, run.build / "tests" / folder):
                for name in gtest.list_cases(program, cases):
                    screen.say(f"{suite} {program.name}/{name}")
