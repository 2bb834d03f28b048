#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every command of bpf() has its class in src/grant/facts.cpp, its way over a session in src/wire/commands.cpp, and a line in
docs/sessions.md that says both; and no way over a session gives what the class refuses."""

import re
import sys

sys.dont_write_bytecode = True
from checklib import finish, must, read  # noqa: E402

# How docs/sessions.md says what src/wire/commands.cpp does.
WAYS = {"broker": "broker", "kernel": "kernel", "info": "kernel, then broker", "freeze": "kernel, then broker", "refused": "refused"}
CLASSES = ("checked", "free", "refused")


def classes(text: str) -> list[tuple[str, str]]:
    """(command, class), in the order of the table."""
    table = re.search(r"CommandFacts commands\[\] = \{\n(.*?)^\};", text, re.DOTALL | re.MULTILINE)
    return re.findall(r'^    \{"(\w+)", (\w+),', table[1], re.MULTILINE) if table else []


def ways(text: str) -> list[tuple[str, str]]:
    return re.findall(r'^    Command\{"(\w+)", (\w+)\},$', text, re.MULTILINE)


def documented(text: str) -> list[tuple[str, str, str]]:
    """(command, class, way) of the table below "## Commands"."""
    section = re.search(r"^## Commands\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|:]+?)(?::[^|]*)? \|$", section[1] if section else "", re.MULTILINE)
    return rows


def compare(facts: str, routes: str, doc: str) -> list[str]:
    wanted, route = classes(facts), dict(ways(routes))
    rows = documented(doc)
    lines = {name: (kind, way) for name, kind, way in rows}
    problems = must(bool(wanted) and bool(route), "a table of the sources cannot be read any more")
    problems += [f"docs/sessions.md: {name} has {count} lines" for name in lines if (count := [r[0] for r in rows].count(name)) > 1]
    problems += [f"docs/sessions.md: {name} is no command" for name in lines if name not in dict(wanted)]
    problems += [f"src/wire/commands.cpp: {name} is no command of src/grant/facts.cpp" for name in route if name not in dict(wanted)]
    for name, kind in wanted:
        if kind not in CLASSES:
            problems.append(f"src/grant/facts.cpp: {name}: the class {kind} is not known here")
        if name not in route:
            problems.append(f"src/wire/commands.cpp lacks {name}")
            continue
        way = WAYS.get(route[name], route[name])
        if kind == "refused" and way != "refused":
            problems.append(f"{name} is refused to everybody, and goes over a session ({way})")
        if kind == "checked" and way not in ("broker", "refused"):
            problems.append(f"{name} is checked against the grant, and the client goes past the broker ({way})")
        if lines.get(name) != (kind, way):
            problems.append(f"docs/sessions.md: the line of {name} must say `{kind}` and `{way}`, and says {lines.get(name)}")
    return problems


def self_test() -> list[str]:
    facts = 'static constexpr CommandFacts commands[] = {\n    {"a_b", checked, x},\n    {"c", free, x},\n    {"d", refused, x},\n};\n'
    routes = '    Command{"a_b", broker},\n    Command{"c", info},\n    Command{"d", refused},\n'
    doc = "## Commands\n| `a_b` | checked | broker |\n| `c` | free | kernel, then broker: why |\n| `d` | refused | refused |\n## Next\n"
    problems = must(not compare(facts, routes, doc), f"what is right is reported: {compare(facts, routes, doc)}")
    for what, broken in {
        "a command without a line": (facts, routes, doc.replace("| `c` |", "| c |")),
        "another class": (facts, routes, doc.replace("| free |", "| checked |")),
        "another way": (facts, routes, doc.replace("kernel, then", "kernel and")),
        "a line of no command": (facts, routes, doc.replace("## Next", "| `e` | free | kernel |\n## Next")),
        "a line twice": (facts, routes, doc.replace("## Next", "| `d` | refused | refused |\n## Next")),
        "a refused command that goes through": (facts, routes.replace('"d", refused', '"d", kernel'),
                                                doc.replace("refused | refused", "refused | kernel")),
        "a checked command past the broker": (facts, routes.replace('"a_b", broker', '"a_b", kernel'), doc.replace("| broker", "| kernel")),
        "a command that the client forgot": (facts, routes.replace('    Command{"c", info},\n', ""), doc),
        "a table that is not found": ("", routes, doc),
    }.items():
        problems += must(bool(compare(*broken)), f"{what} passes")
    return problems


def main() -> None:
    finish({"self-test": self_test(),
            "commands": compare(read("src/grant/facts.cpp"), read("src/wire/commands.cpp"), read("docs/sessions.md"))})


main()
