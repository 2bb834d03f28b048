#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""C and C++ are as clang-format leaves them: `make fmt` mends what this finds."""

import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
from checklib import ROOT, finish, must, project_files  # noqa: E402

TOOL = "clang-format-19"


def main() -> None:
    if not shutil.which(TOOL):
        print(f"skip format: {TOOL} is not installed")
        return
    bad = subprocess.run([TOOL, "--dry-run", "-Werror", "--assume-filename=src/base/x.cpp"], input="int  f( ){return 1 ;}\n", text=True,
                         cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    files = [name for name in project_files() if name.endswith((".cpp", ".hpp", ".h", ".c"))]
    found = []
    if files:
        done = subprocess.run([TOOL, "--dry-run", "-Werror", *files], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        names = dict.fromkeys(re.findall(r"^([^:\s]+):\d+:\d+: error:", done.stdout, re.MULTILINE))
        found = [f"{name}: not as clang-format leaves it" for name in names]
        if done.returncode and not found:
            found = [f"{TOOL} failed: {done.stdout.strip()[:500]}"]
    finish({"self-test": must(bad.returncode != 0, "a badly formatted line passes"), "files": found})


main()
