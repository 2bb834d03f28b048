# SPDX-License-Identifier: Apache-2.0
"""All that tests/run prints. One line a program, in a terminal or not."""

import sys
import threading

from .result import FAILED, PASSED, SKIPPED, Case, Record

_lock = threading.Lock()


def say(text: str = "") -> None:
    with _lock:
        print(text, flush=True)


def program_line(suite: str, name: str, cases: list[Case], seconds: float) -> None:
    counts = [f"{n} {word}" for word in (PASSED, FAILED, SKIPPED) if (n := sum(c.result == word for c in cases))]
    mark = "FAILED " if any(c.result == FAILED for c in cases) else "ok     "
    say(f"{mark} {suite:<9} {name:<28} {seconds:6.1f} s  {', '.join(counts) or 'nothing'}")


def failed_case(case: Case, text: str, log) -> None:
    body = text.strip("\n")
    if len(body) > 20000:
        body = body[:4000] + f"\n…\n(the middle is left out; all of it is in {log})\n…\n" + body[-16000:]
    lines = [f"--- {case.suite} {case.name}: {case.reason}", *("    " + line for line in body.splitlines())]
    say("\n".join([*lines, f"    (log: {log})"]))


def matrix(record: Record, rows: list[tuple[str, str]]) -> None:
    """ROWS: suite and what ran there (a kernel's release)."""
    if not rows:
        return
    say(f"\n{'kernels':<40} passed  failed  skipped")
    for suite, label in rows:
        counts = "  ".join(f"{record.count(result, suite):>6}" for result in (PASSED, FAILED, SKIPPED))
        say(f"  {suite:<10} {label:<27} {counts}")


def ledger(used: dict[str, float], minutes: dict[str, float]) -> None:
    say("\ntime           used  budget")
    for name, seconds in used.items():
        budget = f"{minutes[name]:>4.0f}:00" if name in minutes else "      -"
        over = "  OVER" if name in minutes and seconds > minutes[name] * 60 else ""
        say(f"  {name:<10} {_clock(seconds)} {budget}{over}")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:>3}:{int(seconds) % 60:02}"


def skips(cases: list[Case]) -> None:
    """Each reason once, with the cases that gave it."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for case in cases:
        by_reason.setdefault((case.suite, case.reason), []).append(case.name)
    if by_reason:
        say("\nskipped")
    for (suite, reason), names in by_reason.items():
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        say(f"  {suite}: {reason}\n      {shown}")


def error(text: str) -> None:
    with _lock:
        print(f"tests/run: {text}", file=sys.stderr, flush=True)
