# SPDX-License-Identifier: Apache-2.0
"""Reads what a GoogleTest program says. Pure, but for asking a program for its list.

Its JSON is the authority on what passed: children of a test may write into the text. But GoogleTest 1.12 leaves the reasons of
skips out of the JSON, and a program that dies leaves no JSON at all: those come from the text.
"""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .result import FAILED, PASSED, SKIPPED

_MARK = re.compile(r"\[( RUN      |       OK |  FAILED  |  SKIPPED )\] ([^\s(,]+/?[^\s(,]*)(?:.*\((\d+) ms\))?")
_SKIP_AT = re.compile(r"^(\S+:\d+): Skipped$")


@dataclass
class Outcome:
    name: str  # Suite.case
    result: str
    reason: str = ""
    ms: int = 0
    text: str = ""  # what the case printed


def read_text(text: str) -> dict[str, Outcome]:
    """The cases a program's output tells of, in order; one that began and never ended is failed."""
    outcomes: dict[str, Outcome] = {}
    running, lines, suite_lines = "", [], []
    for line in text.splitlines():
        if "tests ran." in line and line.startswith("[=========="):
            break  # what follows is a summary that repeats names
        mark = _MARK.search(line)
        if mark and mark[1] == " RUN      ":
            running, lines = mark[2], []
            outcomes[running] = Outcome(running, FAILED, "it began and did not end")
        elif mark and mark[2] == running:
            result = {"O": PASSED, "F": FAILED, "S": SKIPPED}[mark[1].strip()[0]]
            own = "\n".join([*lines, line[: mark.start()]]).strip("\n")
            outcomes[running] = Outcome(running, result, "", int(mark[3] or 0), own)
            if result == SKIPPED:
                outcomes[running].reason = skip_reason(own) or skip_reason("\n".join(suite_lines)) or "no reason given"
            elif result == FAILED:
                outcomes[running].reason = first_failure(own)
            running, lines = "", []
        elif running:
            lines.append(line)
            outcomes[running].text = "\n".join(lines)
        elif line.startswith("[----------]"):
            suite_lines = []
        else:
            suite_lines.append(line)  # SetUpTestSuite's
    return outcomes


def skip_reason(text: str) -> str:
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if _SKIP_AT.match(line):
            reason = []
            for more in lines[number + 1:]:
                if not more.strip():
                    break
                reason.append(more.strip())
            return " ".join(reason)
    return ""


def first_failure(text: str) -> str:
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.endswith(": Failure"):
            detail = " ".join(part.strip() for part in lines[number + 1: number + 6] if part.strip())
            return f"{Path(line.split(':')[0]).name}:{line.split(':')[1]}: {detail}"[:300]
    return "see its output"


def read_json(text: str) -> dict[str, tuple[str, int]]:
    """Suite.case → (result, milliseconds)."""
    results = {}
    for suite in json.loads(text)["testsuites"]:
        for case in suite["testsuite"]:
            if case["status"] == "NOTRUN" and case["result"] == "SUPPRESSED" and "DISABLED_" not in case["name"] + suite["name"]:
                continue  # left out by a filter
            result = FAILED if case.get("failures") else SKIPPED if case["result"] in ("SKIPPED", "SUPPRESSED") else PASSED
            ms = round(float(case.get("time", "0s").rstrip("s")) * 1000)
            results[f"{suite['name']}.{case['name']}"] = result, ms
    return results


def judge(text: str, report: str | None, ended_badly: str) -> list[Outcome]:
    """All cases of one run. ENDED_BADLY says how the program ended if not with status 0 or 1: a signal, a timeout."""
    outcomes = read_text(text)
    results = {}
    if report:
        try:
            results = read_json(report)
        except (ValueError, KeyError, TypeError):
            ended_badly = ended_badly or "its JSON report is broken"
    for name, (result, ms) in results.items():
        outcome = outcomes.setdefault(name, Outcome(name, result))
        if outcome.result != result:
            outcome.result, outcome.reason = result, ""
        outcome.ms = ms
        if result == PASSED:
            outcome.reason = ""
        elif not outcome.reason:
            outcome.reason = "disabled" if "DISABLED_" in name else "no reason given" if result == SKIPPED else "see its output"
    if ended_badly:
        for outcome in outcomes.values():
            if outcome.reason == "it began and did not end":
                outcome.reason = ended_badly
                break
        else:
            outcomes["(program)"] = Outcome("(program)", FAILED, ended_badly, 0, text[-4000:])
    if not outcomes:
        outcomes["(program)"] = Outcome("(program)", FAILED, "it ran no case", 0, text[-4000:])
    return list(outcomes.values())


def cases_matching(program: Path, pattern: str) -> str | None:
    """The --gtest_filter for PATTERN, which is CASE, PROGRAM or PROGRAM/CASE with * and ?; None if nothing fits."""
    from fnmatch import fnmatch

    if not pattern or fnmatch(program.name, pattern):
        return "*"
    head, slash, tail = pattern.partition("/")
    wanted = tail if slash and fnmatch(program.name, head) else pattern
    return wanted if list_cases(program, wanted) else None


def list_cases(program: Path, pattern: str = "*") -> list[str]:
    done = subprocess.run([program, "--gtest_list_tests", f"--gtest_filter={pattern}"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True, timeout=60)
    names, suite = [], ""
    for line in done.stdout.splitlines():
        word = line.split("#")[0].rstrip()
        if line.startswith("  ") and suite:
            names.append(suite + word.strip())
        elif word.endswith("."):
            suite = word
    return names
