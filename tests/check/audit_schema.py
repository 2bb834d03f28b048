#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/audit.schema.json knows every field that the sources write, with the type that they give it, and the examples of docs/audit.md fit it."""

import json
import re
import sys

sys.dont_write_bytecode = True
from checklib import finish, must, project_files, read  # noqa: E402

FOLDERS = ("src/audit/", "src/broker/", "src/daemon/", "src/enforce/")
# Of an event that is made, or of one that a worker writes into its ring.
FIELD = re.compile(r'\.(?:set|text|number|flag)\("([a-z_]+(?:\.[a-z_]+)*)",')
TYPES = {"string": str, "boolean": bool, "integer": int, "object": dict}


def alternatives(schema: dict) -> list[dict]:
    return schema.get("oneOf", [schema])


def knows(schema: dict, name: str) -> bool:
    head, _, rest = name.partition(".")
    found = schema.get("properties", {}).get(head)
    return found is not None and (not rest or any(knows(one, rest) for one in alternatives(found)))


def misfits(value: object, schema: dict, name: str = "") -> list[str]:
    """What of VALUE the schema does not have, or has otherwise. Only the words of JSON Schema that ours uses."""
    fitting = [one for one in alternatives(schema) if isinstance(value, TYPES[one["type"]]) and (one["type"] == "boolean" or value is not True
               and value is not False)]
    if not fitting:
        return [f"{name or 'the line'}: {value!r} is no {schema.get('type', 'such thing')}"]
    of = fitting[0]
    problems = [f"{name}: {value!r} is none of {of['enum']}"] if value not in of.get("enum", [value]) else []
    problems += [f"{name}: not {of['const']!r}"] if value != of.get("const", value) else []
    if isinstance(value, dict):
        problems += [f"{name}{member} is missing" for member in of.get("required", []) if member not in value]
        for member, inner in value.items():
            full = f"{name}.{member}" if name else member
            problems += misfits(inner, of["properties"][member], full) if member in of["properties"] else [f"{full} is not in the schema"]
    return problems


def examples(schema: dict) -> list[str]:
    blocks = re.findall(r"^```json\n(.*?)^```", read("docs/audit.md"), re.DOTALL | re.MULTILINE)
    problems = must(len(blocks) > 1, "docs/audit.md has no examples")
    return problems + [f"docs/audit.md: {one}" for block in blocks for one in misfits(json.loads(block), schema)]


def written(schema: dict) -> list[str]:
    return [f"{name}: the field {field} is not in docs/audit.schema.json" for name in project_files()
            if name.startswith(FOLDERS) and name.endswith(".cpp") for field in FIELD.findall(read(name)) if not knows(schema, field)]


def self_test(schema: dict) -> list[str]:
    good = {"time": "x", "seq": 1, "event": "policy", "actor": {"pid": 1}, "target": {"path": "/x"}, "blind": True}
    problems = must(not misfits(good, schema), f"what is right is reported: {misfits(good, schema)}")
    problems += must(not misfits({**good, "target": "eth0"}, schema), "a target of a session does not fit")
    for what, change in {"a field of no name": {"nobody": 1}, "another type": {"seq": "1"}, "a bool for a number": {"seq": True},
                         "a number for a bool": {"blind": 1}, "an unknown verdict": {"verdict": "perhaps"},
                         "an unknown field within": {"actor": {"shoe": 43}}, "another type within": {"target": {"path": 1}}}.items():
        problems += must(bool(misfits({**good, **change}, schema)), f"{what} passes")
    problems += must(bool(misfits({"time": "x", "event": "y"}, schema)), "a line without seq passes")
    problems += must(knows(schema, "target.path") and not knows(schema, "target.shoe") and FIELD.findall('x.set("a.b", 1)') == ["a.b"],
                     "names are not found")
    return problems


def main() -> None:
    schema = json.loads(read("docs/audit.schema.json"))
    finish({"self-test": self_test(schema), "fields of the sources": written(schema), "examples": examples(schema)})


main()
