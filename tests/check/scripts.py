#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shell scripts parse and pass shellcheck; Python files compile."""

import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
from checklib import ROOT, finish, must, project_files, read  # noqa: E402


def kind(name: str, text: str) -> str:
    """bash, sh, python or nothing."""
    first = text.split("\n", 1)[0]
    if name.endswith(".py") or first.startswith("#!") and "python" in first:
        return "python"
    if first.startswith("#!") and first.rstrip().endswith("bash"):
        return "bash"
    if name.endswith(".sh") or first.startswith("#!") and first.split()[-1].rsplit("/", 1)[-1] in ("sh", "dash"):
        return "sh"
    return ""


def parses(text: str) -> bool:
    return subprocess.run(["bash", "-n"], input=text, text=True, stderr=subprocess.DEVNULL).returncode == 0


def strict(text: str) -> bool:
    return "\nset -euo pipefail\n" in text


def compiles(name: str, text: str) -> str:
    try:
        compile(text, name, "exec", dont_inherit=True)
        return ""
    except SyntaxError as error:
        return f"{name}:{error.lineno}: {error.msg}"


# The lab's init is for busybox's shell and must go on whatever fails; in the others `set -e` ends a script whose cd fails.
NOT_FOR_US = "SC2187,SC2164"


def shellcheck(names: list[str]) -> list[str]:
    done = subprocess.run(["shellcheck", "-x", "-e", NOT_FOR_US, "-f", "gcc", *names], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return [line for line in done.stdout.splitlines() if line.strip()] if done.returncode else []


def main() -> None:
    kinds = {name: (kind(name, text), text) for name in project_files() if (text := read(name)) is not None}
    shell = [name for name, (what, _) in kinds.items() if what in ("bash", "sh")]
    results = {
        "self-test": must(not parses("if true; then\n"), "an unfinished `if` parses") + must(parses("true\n"), "`true` does not parse")
        + must(not strict("#!/bin/bash\nset -e\n"), "`set -e` alone is taken for strict")
        + must(bool(compiles("x", "def f(:\n")), "bad Python compiles") + must(kind("x", "#!/bin/bash\n") == "bash", "bash is not known")
        + must(kind("x", "#!/usr/bin/busybox sh\n") == "sh", "busybox sh is not known"),
        "shell": [f"{name}: it does not parse" for name in shell if not parses(kinds[name][1])],
        "strict": [f"{name}: without `set -euo pipefail`" for name in shell if kinds[name][0] == "bash" and not strict(kinds[name][1])],
        "python": [problem for name, (what, text) in kinds.items() if what == "python" and (problem := compiles(name, text))],
    }
    if shutil.which("shellcheck"):
        sample = subprocess.run(["shellcheck", "-s", "bash", "-"], input="rm $1\n", text=True, stdout=subprocess.DEVNULL)
        results["shellcheck"] = must(sample.returncode != 0, "an unquoted $1 passes") + (shellcheck(shell) if shell else [])
    else:
        print("skip shellcheck: it is not installed")
    finish(results)


main()
