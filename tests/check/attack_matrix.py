#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each vector of tests/attack has its row in docs/attack-matrix.md, with the words of its file, and no row is of another."""

import re
import sys

sys.dont_write_bytecode = True
from checklib import finish, must, project_files, read  # noqa: E402

VECTOR = re.compile(r'Registered vector\{\s*"(\w+)"')
WHAT = re.compile(r'\.what\s*=\s*((?:"(?:[^"\\]|\\.)*"\s*)+)')
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \|", re.MULTILINE)


def vector_in(name: str, text: str) -> tuple[str, str] | None:
    """(what it is called, what it does) of a file of tests/attack, if it has a vector."""
    found = VECTOR.search(text)
    if not found:
        return None
    words = WHAT.search(text, found.end())
    return found[1], "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', words[1])) if words else ""


def compare(files: dict[str, str], document: str) -> list[str]:
    problems, wanted = [], {}
    for name, text in files.items():
        vector = vector_in(name, text)
        if not vector:
            continue
        wanted[vector[0]] = vector[1]
        if name.split("/")[-1] != f"{vector[0]}.cpp":
            problems.append(f"{name}: its vector is called {vector[0]}")
    rows = ROW.findall(document)
    names = [name for name, _ in rows]
    run = "(make attack-matrix)"
    problems += [f"docs/attack-matrix.md: {name} has two rows" for name in sorted(set(names)) if names.count(name) > 1]
    problems += [f"docs/attack-matrix.md: {name} is no vector {run}" for name in names if name not in wanted]
    problems += [f"docs/attack-matrix.md lacks {name} {run}" for name in wanted if name not in names]
    problems += [f"docs/attack-matrix.md: {name} is told in other words than its file's {run}" for name, what in rows
                 if name in wanted and wanted[name] != what]
    return problems + must(bool(wanted), "there are no vectors in tests/attack")


def self_test() -> list[str]:
    file = 'static const Registered vector{"a", {.what = "it is "\n    "gone", .act = act}};'
    row = "| `a` | it is gone | gone → decides |\n"
    good = {"tests/attack/a.cpp": file, "tests/attack/world.cpp": "int x;"}
    problems = must(not compare(good, row), f"what is right is reported: {compare(good, row)}")
    for what, broken in {
        "a vector without a row": (good, ""),
        "a row of no vector": (good, row + "| `b` | it is gone | gone → decides |\n"),
        "two rows": (good, row + row),
        "other words": (good, row.replace("gone |", "there |", 1)),
        "a file with another name": ({"tests/attack/b.cpp": file}, row),
        "no vectors": ({}, ""),
    }.items():
        problems += must(bool(compare(*broken)), f"{what} passes")
    return problems


def main() -> None:
    files = {name: read(name) for name in project_files() if name.startswith("tests/attack/") and name.endswith(".cpp")}
    finish({"self-test": self_test(), "rows": compare(files, read("docs/attack-matrix.md"))})


main()
