# SPDX-License-Identifier: Apache-2.0
"""docs/attack-matrix.md: what each vector of tests/attack did on each kernel, from the records of a run. Pure."""

from dataclasses import dataclass

from .result import FAILED, PASSED, SKIPPED

ROLES = ("floor", "lts", "edge")
# What Control.NAME and Sealed.NAME have shown when they pass.
SHOWN = {"policy": ("gone", "decides"), "other": ("done", "refused"), "act": ("done", "refused"), "nothing": ("no loss", "no loss"),
         "refused": ("refused", "refused")}
HEAD = """# The attack matrix

Made by `make attack-matrix` from the records of a run of `tests/attack/`, in guests of three kernels:
{kernels}.
No line is written by hand, and none of what was not run. Each vector is an act of full root, and runs twice: as it is, and under a seal ([guard.md](guard.md)).

- *gone → decides*: without a seal the policy is gone after the act. Under the seal it still decides, the act was refused, and an event `tamper` names who it was. (Nobody
  attaches programs to the root of cgroup2 without a link under a seal: for the attacks on those, it is the guard's own that still decide.)
- *done → refused*: the act takes something else than the policy, or gives what nobody should have. Under the seal it was refused and told in the same way.
- *done → done*: the guard does not hold this; the note says why. The policy decides nevertheless. Of the guard's own process: what is tried while it is down is told
  when it runs again.
- *no loss → no loss*: the act works, and takes nothing, with a seal or without. *refused → refused*: the kernel refuses it anyway.
- *, own*: under the same act the guard's own bpffs stayed where it is, too.

| vector | what root does | {heads} |
|---|---|{rules}
"""


@dataclass(frozen=True)
class Vector:
    name: str
    loses: str
    own: bool  # made on the guard's bpffs, too
    not_held: str
    what: str


class Incomplete(Exception):
    """The records do not show what the document would say."""


def vectors(listing: str) -> list[Vector]:
    """What `attack --list-vectors` prints: a line each, with tabs between."""
    found = []
    for line in listing.splitlines():
        name, loses, own, not_held, what = line.split("\t")
        found.append(Vector(name, loses, own == "own", not_held, what))
    return sorted(found, key=lambda one: one.name)


class Notes:
    def __init__(self):
        self.texts: list[str] = []

    def mark(self, text: str) -> str:
        if text not in self.texts:
            self.texts.append(text)
        return f"[^{self.texts.index(text) + 1}]"


def cell(vector: Vector, role: str, cases: dict, notes: Notes) -> str:
    """`cases`: (role, name of the case) → record."""
    suites = ["Control", "Sealed", *(["Guard"] if vector.own else [])]
    records = []
    for suite in suites:
        record = cases.get((role, f"attack/{suite}.{vector.name}"))
        if record is None:
            raise Incomplete(f"{suite}.{vector.name} was not run on {role}")
        if record["result"] == FAILED:
            raise Incomplete(f"{suite}.{vector.name} failed on {role}")
        records.append(record)
    skipped = [record for record in records if record["result"] == SKIPPED]
    if skipped:
        if len(skipped) < len(records):
            raise Incomplete(f"{vector.name} was run in part on {role}")
        return f"not there{notes.mark(skipped[0]['reason'])}"
    control, sealed = SHOWN[vector.loses]
    if vector.not_held:
        sealed = f"{control}{notes.mark(vector.not_held)}"
    return f"{control} → {sealed}{', own' if vector.own else ''}"


def document(all_vectors: list[Vector], records: list[dict]) -> str:
    cases, releases = {}, {}
    for record in records:
        if not record["suite"].endswith("-attack"):
            continue
        cases[record["kernel"], record["name"]] = record
        releases[record["kernel"]] = record.get("release", "")
    missing = [role for role in ROLES if not releases.get(role)]
    if missing:
        raise Incomplete(f"there is no run on {', '.join(missing)}")
    notes = Notes()
    rows = [f"| `{one.name}` | {one.what} | {' | '.join(cell(one, role, cases, notes) for role in ROLES)} |" for one in all_vectors]
    text = HEAD.format(kernels=", ".join(f"*{role}* {releases[role]}" for role in ROLES), heads=" | ".join(ROLES), rules="---|" * len(ROLES))
    text += "".join(f"{row}\n" for row in rows)
    text += f"\n{len(all_vectors)} vectors. "
    text += "; ".join(f"{role}: {count(cases, role, PASSED)} cases passed, {count(cases, role, SKIPPED)} not there" for role in ROLES) + ".\n\n"
    return text + "".join(f"[^{number}]: {note}.\n" for number, note in enumerate(notes.texts, 1))


def count(cases: dict, role: str, result: str) -> int:
    suites = ("attack/Control.", "attack/Sealed.", "attack/Guard.")
    return sum(record["result"] == result for (of, name), record in cases.items() if of == role and name.startswith(suites))
