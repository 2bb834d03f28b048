# SPDX-License-Identifier: Apache-2.0
"""What a policy costs, beside AppArmor with the same rules: instructions of open() and close() and of an exec, counted in guests of one
kernel that differ in their lsm= list and in what is in force; and how long it takes to compile the rules, on this machine.
"""

import subprocess
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
RULES = (10, 10_000)
GROWTH = 1.03  # from the fewest rules to the most
MEASURES = ("short", "deep", "many", "short_renamed", "deep_renamed", "exec")
# Side, measure, bound on what is added to the same without BPF LSM and AppArmor.
BOUNDS = (
    ("warden_unconfined", "short", 361), ("warden_unconfined", "deep", 361),
    ("warden_10", "short", 550), ("warden_10", "deep", 600),
    ("warden_10", "short_renamed", 1000), ("warden_10", "deep_renamed", 2000),
)
SAYS = {
    "bpf_idle": "BPF LSM, nothing attached", "warden_unconfined": "bpfwarden, an unconfined process",
    "warden_10": "bpfwarden, confined, 10 rules", "warden_10000": "bpfwarden, confined, 10,000 rules",
    "apparmor_unconfined": "AppArmor, an unconfined process", "apparmor_10": "AppArmor, confined, 10 rules",
    "apparmor_10000": "AppArmor, confined, 10,000 rules",
}


def places(count: int) -> list[str]:
    """What applications have: directories of their own, whose names have little in common."""
    return [f"/opt/application-{i % 97}/{i * 2654435761 % 2**32:08x}/data/**" for i in range(count)]


def policy(rules: int) -> str:
    head = '''format = 1
name = "cost"
mode = "enforce"
[[domain]]
name = "cost"
enter = [ { exe = "/srv/bin/cost" } ]
default = "deny"
[[rule]]
allow = ["read", "exec", "map_exec"]
paths = ["/etc/passwd", "/srv/**", "/usr/**", "/lib/**"]
[[rule]]
allow = ["read", "@write"]
paths = ["/dev/shm/**"]
[[rule]]
deny = ["write"]
paths = ["/etc/**"]
'''
    return head + "".join(f'[[rule]]\nallow = ["read", "write"]\npaths = ["{place}"]\n' for place in places(rules - 6))


def profile(rules: int) -> str:
    head = '''abi <abi/3.0>,
profile cost /srv/bin/cost {
  /etc/passwd r,
  /srv/** mrix,
  /usr/** mrix,
  /lib/** mrix,
  /dev/shm/** rwl,
  deny /etc/** w,
'''
    return head + "".join(f"  {place} rw,\n" for place in places(rules - 6)) + "}\n"


def seconds(command: list) -> float:
    start = time.monotonic()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - start


def prepare(build: Path) -> dict:
    """Writes the policies and compiled profiles for the guests; says how long the most rules take to compile."""
    folder = build / "bench/policies"
    folder.mkdir(parents=True, exist_ok=True)
    for rules in RULES:
        (folder / f"{rules}.toml").write_text(policy(rules))
        (folder / f"{rules}.profile").write_text(profile(rules))
        parser = ["apparmor_parser", "--skip-kernel-load", "--skip-cache", "--skip-read-cache", "--kernel-features", "/etc/apparmor.d/abi/3.0",
                  "--ofile", folder / f"{rules}.apparmor", folder / f"{rules}.profile"]
        theirs = seconds(parser)
        ours = seconds([build / "bin/bpfwarden", "policy", "check", folder / f"{rules}.toml"])
    return {"rules": RULES[-1], "ours_s": ours, "apparmor_parser_s": theirs, "ratio": ours / theirs, "bound": "≤ 1", "held": ours <= theirs}


def measure(build: Path, lab: list, output_of) -> dict:
    """LAB counts in a guest; OUTPUT_OF runs a command and gives its output."""
    compiled = prepare(build)
    text = ""
    # A kernel with nothing but what is measured: Landlock, too, has its hooks in each open.
    for side, modules in (("none", "lockdown"), ("warden", "lockdown,bpf"), ("apparmor", "lockdown,apparmor")):
        guest = [*lab, "--append", f"lsm={modules}", "--script", SOURCE / "bench/policy_cost.sh", "--", side]
        text += output_of(guest, f"the cost of opens (lsm={modules})")
    sides: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in MEASURES:
            sides.setdefault(words[0], {})[words[1]] = float(words[2])
    added = {side: {name: value - sides["none"][name] for name, value in values.items()} for side, values in sides.items() if side != "none"}
    bounds = [{"of": f"{side}: {name}", "value": added[side][name], "bound": f"≤ {bound}", "held": added[side][name] <= bound,
               "says": f"instructions added, {SAYS[side]}"} for side, name, bound in BOUNDS]
    for name in MEASURES[:-1]:
        grown = sides["warden_10000"][name] / sides["warden_10"][name]
        bounds.append({"of": f"10,000 rules: {name}", "value": grown, "bound": f"≤ {GROWTH}", "held": grown <= GROWTH,
                       "says": "instructions of open and close under 10,000 rules / under 10"})
    for one in ("unconfined", "10"):
        ours, theirs = (added[f"{who}_{one}"]["exec"] for who in ("warden", "apparmor"))
        bounds.append({"of": f"exec: {one}", "value": ours, "bound": f"≤ {theirs:.0f}", "held": ours <= theirs,
                       "says": "instructions added to an exec; the bound is what AppArmor adds"})
    bounds.append({"of": "compile", "value": compiled["ratio"], "bound": compiled["bound"], "held": compiled["held"],
                   "says": f"time to compile {compiled['rules']:,} rules / apparmor_parser's for the same"})
    return {"unit": "instructions", "sides": sides, "added": added, "compile": compiled, "bounds": bounds}


def show(result: dict) -> None:
    print("\ninstructions of open() and close(), and of an exec; then what is added to that (short: /etc/passwd; deep: nine components; many:\n"
          "80 files of one directory in turn; renamed: after a rename elsewhere, so that nothing kept holds)")
    print(f"  {'side':<38}" + "".join(f"{name:>15}" for name in MEASURES))
    print(f"  {'neither BPF LSM nor AppArmor':<38}" + "".join(f"{result['sides']['none'][name]:>15,.0f}" for name in MEASURES))
    for side, says in SAYS.items():
        print(f"  {says:<38}" + "".join(f"{'+' + format(result['added'][side][name], ',.0f'):>15}" for name in MEASURES))
    print()
    for bound in result["bounds"]:
        print(f"  {bound['value']:>8.6g}  {bound['bound']:<9} {'held' if bound['held'] else 'MISSED':<7} {bound['says']} ({bound['of']})")
