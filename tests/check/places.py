#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nothing in the project belongs to one machine: no path of somebody's work folder, no package mirror; and no unfinished notes."""

import re
import sys

sys.dont_write_bytecode = True
from checklib import finish, must, project_files, read  # noqa: E402

# Written apart, so that this file does not find itself.
MARKS = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X:"))
RULES = (
    ("a path of one machine", re.compile(r"(?<![\w.$}])/(?:wo" + r"rk|home/(?!alice\b|user\b|bob\b)[a-z]\w*|Users)/")),
    ("a package mirror", re.compile(r"\b(?:[a-z0-9-]+\.)*(?:debian" + r"\.org|debian" + r"\.net|ubuntu" + r"\.com|pkg" + r"\.dev|npmjs"
                                    + r"\.(?:org|com)|pypi" + r"\.org|pythonhosted" + r"\.org)\b")),
    ("an unfinished note", re.compile(rf"\b(?:{MARKS})\b")),
)
TEXT_ONLY = ("LICENSES/",)  # as their authors wrote them


def problems_in(name: str, text: str) -> list[str]:
    if name.startswith(TEXT_ONLY) or "\0" in text[:4096] or "corpus/" in name:
        return []
    return [f"{name}:{number}: {what}: {found[0]}" for number, line in enumerate(text.splitlines(), 1) for what, rule in RULES
            if (found := rule.search(line))]


def self_test() -> list[str]:
    bad = ["cd /wo" + "rk/x", "see /ho" + "me/jane/src", "deb http://ftp.de." + "debian" + ".org/debian", "// TO" + "DO: mend",
           "# FIX" + "ME", "https://registry." + "npmjs" + ".org/x"]
    good = ["/home/alice/x", "a network/work/", "the Debian mirror", "todo list", "$HOME/work/x", "${dir}/work/x"]
    problems = []
    for line in bad:
        problems += must(bool(problems_in("src/x.cpp", line)), f"{line!r} is not found")
    for line in good:
        problems += must(not problems_in("src/x.cpp", line), f"{line!r} is wrongly reported")
    return problems


def main() -> None:
    finish({"self-test": self_test(), "files": [problem for name in project_files() for problem in problems_in(name, read(name))]})


main()
