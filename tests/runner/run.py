# SPDX-License-Identifier: Apache-2.0
"""What all suites of one run share: where things are, what was asked for, what came of it."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from . import screen
from .result import FAILED, SKIPPED, Case, Record
from .settings import Budgets, ExpectedSkips


@dataclass
class Run:
    source: Path
    build: Path
    record: Record
    budgets: Budgets
    expected: ExpectedSkips
    filter: str = ""
    soak: bool = False
    kernels: dict = field(default_factory=dict)  # vm suite → the release that ran
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def logs(self) -> Path:
        return self.build / "test-logs"

    def timeout(self, suite: str, program: str) -> float:
        of = self.budgets.soak_timeout if self.soak else self.budgets.timeout
        return of(suite, program)

    def finish(self, suite: str, program: str, cases: list[Case], seconds: float, texts: dict | None = None, log=None) -> None:
        """Takes in what one program did. A skip that nobody expects is a failure from here on."""
        with self._lock:
            for case in cases:
                if case.result == SKIPPED and not self.expected.covers(case):
                    case.result, case.reason = FAILED, f"a skip that is not in {self.expected.path.name}: {case.reason}"
                self.record.add(case)
            screen.program_line(suite, program, cases, seconds)
            for case in cases:
                if case.result == FAILED:
                    screen.failed_case(case, (texts or {}).get(case.name, ""), log or "none")
