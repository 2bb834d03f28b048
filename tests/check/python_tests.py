#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unit tests of the Python tools: tests/run's own, and the lab's."""

import sys
import unittest

sys.dont_write_bytecode = True
from checklib import ROOT  # noqa: E402

FOLDERS = ("tests/runner", "tests/lab")


class Lines(unittest.TestResult):
    """A line a test, as tests/run reads them."""

    def addSuccess(self, test):
        print(f"ok {name(test)}")

    def addSkip(self, test, reason):
        print(f"skip {name(test)}: {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        print(f"{self.failures[-1][1]}\nnot ok {name(test)}: {err[1]!s:.200}".replace("\r", " "))

    def addError(self, test, err):
        super().addError(test, err)
        print(f"{self.errors[-1][1]}\nnot ok {name(test)}: {err[0].__name__} {err[1]!s:.200}")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            print(f"not ok {name(test)}: {err[1]!s:.200}")


def name(test) -> str:
    return ".".join(test.id().split(".")[-2:]).replace(":", " ")


def main() -> None:
    result = Lines()
    for folder in FOLDERS:
        if not (ROOT / folder).is_dir():
            continue
        sys.path.insert(0, str(ROOT / "tests"))
        # A loader of its own: one remembers the top folder it was first given.
        unittest.TestLoader().discover(str(ROOT / folder), top_level_dir=str(ROOT / folder)).run(result)
    sys.exit(0 if result.wasSuccessful() else 1)


main()
