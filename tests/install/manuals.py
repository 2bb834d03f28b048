#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The manual pages render without a warning, and tell of every command and option that the program has."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BPFWARDEN_BUILD", ROOT / "build"))
PROGRAM = BUILD / "bin/bpfwarden"
IMPLIED = {"--help", "--help-all", "--json", "--version"}  # told once, in bpfwarden(1)

failed = False


def check(name: str, problems: list[str]) -> None:
    global failed
    for problem in problems:
        print(f"    {problem}")
    failed = failed or bool(problems)
    print(f"ok {name}" if not problems else f"not ok {name}: {len(problems)} found, the first: {problems[0]}")


def warnings(page: Path) -> list[str]:
    done = subprocess.run(["groff", "-ww", "-man", "-Tutf8", "-Z", page], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True)
    return done.stderr.splitlines() or ([f"{page.name}: groff ended with {done.returncode}"] if done.returncode else [])


def heading(page: Path, text: str) -> list[str]:
    """A page's .TH must agree with its file's name, or man(1) lists it under another."""
    found = re.search(r'^\.TH\s+"?([^"\s]+)"?\s+"?(\d)"?', text, re.MULTILINE)
    name, section = page.stem, page.suffix[1:]
    if not found or (found[1].lower().replace("\\-", "-"), found[2]) != (name.lower(), section):
        return [f"{page.name}: its .TH line is not of {name}({section})"]
    return []


def plain(text: str) -> str:
    return re.sub(r"\\f[A-Z]|\\&|\\f\[[A-Z]*\]", "", text).replace("\\-", "-").replace('"', "")


def subcommands(words: list[str]) -> list[str]:
    done = subprocess.run([PROGRAM, *words, "--help"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    found = re.search(r"^Subcommands:\n((?:[ \t]+.*\n?|\n)*)", done.stdout, re.MULTILINE)
    return re.findall(r"^  (\S+)", found[1], re.MULTILINE) if found else []


def commands() -> list[list[str]]:
    leaves = []
    for first in subcommands([]):
        below = subcommands([first])
        leaves += [[first, second] for second in below] or [[first]]
    return leaves


def options(words: list[str]) -> set[str]:
    done = subprocess.run([PROGRAM, *words, "--help"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    # The list of options only: descriptions may name those of other programs.
    return set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", done.stdout, re.MULTILINE)) - IMPLIED


def missing(pages: dict[str, str], wanted: dict[str, set[str]]) -> list[str]:
    """WANTED: command → its options. A command may be told in any page; its options in the same one."""
    problems = []
    for command, names in wanted.items():
        telling = [text for text in pages.values() if re.search(rf"\b{re.escape(command)}\b", text)]
        if not telling:
            problems.append(f"no page tells of `{command}`")
        problems += [f"no page that tells of `{command}` has {name}" for name in sorted(names)
                     if telling and not any(re.search(rf"{name}(?![\w-])", text) for text in telling)]
    return problems


def self_test() -> list[str]:
    if not shutil.which("groff"):
        return []
    with tempfile.TemporaryDirectory() as folder:
        bad = Path(folder) / "bad.1"
        bad.write_text('.TH OTHER 1\n.SH NAME\nbad \\(xx sign\n.nosuchmacro\n')
        problems = [] if warnings(bad) else ["self-test: a page with an unknown macro passes"]
        problems += [] if heading(bad, bad.read_text()) else ["self-test: a page under another name passes"]
    pages = {"a.1": plain("\\fBbpfwarden grant check\\fR has \\fB\\-\\-deep\\fR")}
    if missing(pages, {"grant check": {"--deep"}}):
        problems.append("self-test: a told option is missed")
    if len(missing(pages, {"grant check": {"--dee"}, "grant show": set()})) != 2:
        problems.append("self-test: an untold command or option passes")
    return problems


def main() -> int:
    pages = sorted((ROOT / "man").glob("*.[1-8]"))
    texts = {page.name: page.read_text() for page in pages}
    check("self-test", self_test())
    if shutil.which("groff"):
        check("warnings", [line for page in pages for line in warnings(page)])
    else:
        print("skip warnings: groff is not installed")
    check("headings", [problem for page in pages for problem in heading(page, texts[page.name])])
    if not PROGRAM.exists():
        check("the program", [f"{PROGRAM} is not built"])
        return 1
    found = commands()
    check("the program lists its commands", [] if found else [f"none found in the output of {PROGRAM.name} --help"])
    check("commands", missing({name: plain(text) for name, text in texts.items()}, {" ".join(words): options(words) for words in found}))
    return 1 if failed else 0


sys.exit(main())
