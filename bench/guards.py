# SPDX-License-Identifier: Apache-2.0
"""What a seal costs whatever is not sealed: instructions of acts that the guard looks at, in one guest, before and after it is sealed."""

from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
# Act, how many hooks of the guard are in a turn of it, what it says. A turn of `mount` is a mount and an umount.
ACTS = (("unlink", 1, "making and unlinking a file"), ("rename", 1, "a rename"), ("mount", 2, "a mount and an umount"),
        ("kill", 1, "a signal"), ("map_update", 1, "an update of a map"))
BOUND = 250     # instructions an act
OPEN = 1.01     # of open() and close()


def measure(lab: list, output_of) -> dict:
    text = output_of([*lab, "--script", SOURCE / "bench/guard_cost.sh"], "the cost of a seal")
    sides: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] in ("unsealed", "sealed"):
            sides.setdefault(words[0], {})[words[1]] = float(words[2])
    bounds = []
    for act, hooks, says in ACTS:
        added = sides["sealed"][act] - sides["unsealed"][act]
        bounds.append({"of": act, "value": added, "bound": f"≤ {BOUND * hooks}", "held": added <= BOUND * hooks,
                       "says": f"instructions that a seal adds to {says}"})
    ratio = sides["sealed"]["open"] / sides["unsealed"]["open"]
    bounds.append({"of": "open", "value": ratio, "bound": f"≤ {OPEN}", "held": ratio <= OPEN, "says": "open and close, sealed / unsealed"})
    return {"unit": "instructions", "sides": sides, "bounds": bounds}


def show(result: dict) -> None:
    print("\ninstructions of acts on what is not sealed")
    for act in result["sides"]["unsealed"]:
        before, after = (result["sides"][side][act] for side in ("unsealed", "sealed"))
        print(f"  {act:<12}{before:>12,.0f}{after:>12,.0f}  {after - before:+,.0f}")
    print()
    for bound in result["bounds"]:
        print(f"  {bound['value']:>8.6g}  {bound['bound']:<9} {'held' if bound['held'] else 'MISSED':<7} {bound['says']} ({bound['of']})")
