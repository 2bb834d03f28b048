# SPDX-License-Identifier: Apache-2.0
"""What the checks share. A check reads the project's files, and first shows on a bad sample that it can fail."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def project_files() -> list[str]:
    """Paths of the files that are, or could be committed as, the project's. Without git: all but what a build makes."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
        names = done.stdout.split("\0") if done.returncode == 0 else []
    except OSError:
        names = []
    if not any(names):
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [f for f in folders if f not in (".git", "build", "__pycache__", ".cache")]
            names += [os.path.relpath(os.path.join(folder, file), ROOT) for file in files]
    return sorted({name for name in names if name and (ROOT / name).is_file()})


def read(name: str) -> str:
    return (ROOT / name).read_text(errors="replace")


def report(check: str, problems: list[str]) -> None:
    for problem in problems:
        print(f"    {problem}")
    print(f"ok {check}" if not problems else f"not ok {check}: {len(problems)} found, the first: {problems[0]}")


def finish(results: dict[str, list[str]]) -> None:
    for check, problems in results.items():
        report(check, problems)
    sys.exit(1 if any(results.values()) else 0)


def must(found: bool, what: str) -> list[str]:
    """For a self-test: the problem that the sample did not do what it should."""
    return [] if found else [f"self-test: {what}"]
