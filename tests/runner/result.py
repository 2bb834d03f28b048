# SPDX-License-Identifier: Apache-2.0
"""One case's result, and the file that keeps them all."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass
class Case:
    suite: str
    name: str  # program/Suite.case, or the script's name and the line it printed
    kernel: str  # the guest's role, or "host"
    result: str
    reason: str = ""
    ms: int = 0
    release: str = ""  # of the guest's kernel


class Record:
    """build/results.jsonl: a line is written as soon as its case is known, so that an interrupted run leaves what it did."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # another user's file may be unlinked, though not written
        self._file = path.open("w")
        self.cases: list[Case] = []

    def add(self, case: Case) -> None:
        self.cases.append(case)
        self._file.write(json.dumps(asdict(case)) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def count(self, result: str, suite: str | None = None) -> int:
        return sum(c.result == result and suite in (None, c.suite) for c in self.cases)
