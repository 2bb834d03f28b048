# SPDX-License-Identifier: Apache-2.0
"""The lab's own failures, always told as what, why and what to do."""

# As env(1) and timeout(1) do, so that they cannot be mistaken for a test's own small numbers.
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 77  # the mirror has no such kernel: a skip, not a failure
EXIT_TIMEOUT = 124
EXIT_LAB = 125


class LabError(Exception):
    def __init__(self, what: str, why: str = "", todo: str = "", code: int = EXIT_LAB):
        super().__init__(what)
        self.what, self.why, self.todo, self.code = what, why, todo, code

    def __str__(self) -> str:
        lines = [f"lab: {self.what}"]
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.todo:
            lines.append(f"  do:  {self.todo}")
        return "\n".join(lines)
