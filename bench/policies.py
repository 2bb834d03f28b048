# SPDX-License-Identifier: Apache-2.0
"""What a policy costs, beside AppArmor with the same rules: instructions of open() and close() and of an exec, counted in guests of one
kernel that differ in their lsm= list and in what is in force; and how long it takes to compile the rules, on this machine.
"""

import shutil
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


def policy(rules: int, whole: bool) -> str:
    """WHOLE: of all operations, so that all programs are loaded; a guest takes a minute to verify them."""
    head = '''format = 1
name = "cost"
mode = "enforce"
[[domain]]
name = "cost"
enter = [ { exe = "/srv/bin/cost" } ]
DEFAULT
[[rule]]
allow = ["read", "exec", "map_exec"]
paths = ["/etc/passwd", "/srv/**", "/usr/**", "/lib/**"]
[[rule]]
allow = ["read", "@write"]
paths = ["/dev/shm/**"]
[[rule]]
deny = ["write"]
paths = ["/etc/**"]
'''.replace("DEFAULT", 'default = "deny"' if whole else "")
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


def prepare(build: Path, counts: tuple[int, ...], whole: bool) -> dict | None:
    """Writes the policies and profiles for the guests. Says how long the most rules take to compile, if this machine has AppArmor's parser."""
    folder = build / "bench/policies"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for rules in counts:
        (folder / f"{rules}.toml").write_text(policy(rules, whole))
        (folder / f"{rules}.profile").write_text(profile(rules))
    most = counts[-1]
    if most < RULES[-1] or not shutil.which("apparmor_parser"):
        return None
    # As a guest's emulated processor would take hours for that.
    theirs = seconds(["apparmor_parser", "--skip-kernel-load", "--skip-cache", "--skip-read-cache", "--kernel-features", "/etc/apparmor.d/abi/3.0",
                      "--ofile", folder / f"{most}.apparmor", folder / f"{most}.profile"])
    ours = seconds([build / "bin/bpfwarden", "policy", "check", folder / f"{most}.toml"])
    return {"rules": most, "ours_s": ours, "apparmor_parser_s": theirs, "ratio": ours / theirs}


def measure(build: Path, lab: list, output_of, quick: bool) -> dict:
    """LAB counts in a guest; OUTPUT_OF runs a command and gives its output. QUICK: opens alone, under few rules about reading."""
    counts = RULES[:1] if quick else RULES
    compiled = prepare(build, counts, not quick)
    text = ""
    # A kernel with nothing but what is measured: Landlock, too, has its hooks in each open.
    for side, modules in (("none", "lockdown"), ("warden", "lockdown,bpf"), ("apparmor", "lockdown,apparmor")):
        with_parser = [n for n in counts if side != "apparmor" or n < RULES[-1] or compiled]
        guest = [*lab, "--append", f"lsm={modules}", "--script", SOURCE / "bench/policy_cost.sh", "--", side, *map(str, with_parser)]
        text += output_of(guest, f"the cost of opens (lsm={modules})")
    sides: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in MEASURES and not (quick and words[1] == "exec"):
            sides.setdefault(words[0], {})[words[1]] = float(words[2])
    added = {side: {name: value - sides["none"][name] for name, value in values.items()} for side, values in sides.items() if side != "none"}
    bounds = [{"of": f"{side}: {name}", "value": added[side][name], "bound": f"≤ {bound}", "held": added[side][name] <= bound,
               "says": f"instructions added, {SAYS[side]}"} for side, name, bound in BOUNDS]
    if not quick:
        bounds += grown(sides) + execs(added)
    if compiled:
        bounds.append({"of": "compile", "value": compiled["ratio"], "bound": "≤ 1", "held": compiled["ratio"] <= 1,
                       "says": f"time to compile {compiled['rules']:,} rules / apparmor_parser's for the same"})
    return {"unit": "instructions", "sides": sides, "added": added, "compile": compiled, "bounds": bounds}


def grown(sides: dict) -> list[dict]:
    """What more rules cost."""
    few, many = (sides[f"warden_{rules}"] for rules in RULES)
    return [{"of": f"10,000 rules: {name}", "value": many[name] / few[name], "bound": f"≤ {GROWTH}", "held": many[name] <= few[name] * GROWTH,
             "says": "instructions of open and close under 10,000 rules / under 10"} for name in MEASURES if name != "exec"]


def execs(added: dict) -> list[dict]:
    pairs = [(one, *(added[f"{who}_{one}"]["exec"] for who in ("warden", "apparmor"))) for one in ("unconfined", "10")]
    return [{"of": f"exec: {one}", "value": ours, "bound": f"≤ {theirs:.0f}", "held": ours <= theirs,
             "says": "instructions added to an exec; the bound is what AppArmor adds"} for one, ours, theirs in pairs]


def show(result: dict) -> None:
    names = [name for name in MEASURES if name in result["sides"]["none"]]
    print("\ninstructions of open() and close(), and of an exec; then what is added to that (short: /etc/passwd; deep: nine components; many:\n"
          "80 files of one directory in turn; renamed: after a rename elsewhere, so that nothing kept holds)")
    print(f"  {'':<38}" + "".join(f"{name:>15}" for name in names))
    print(f"  {'neither BPF LSM nor AppArmor':<38}" + "".join(f"{result['sides']['none'][name]:>15,.0f}" for name in names))
    for side, says in SAYS.items():
        if side in result["added"]:
            print(f"  {says:<38}" + "".join(f"{'+' + format(result['added'][side][name], ',.0f'):>15}" for name in names))
    print()
    for bound in result["bounds"]:
        print(f"  {bound['value']:>8.6g}  {bound['bound']:<9} {'held' if bound['held'] else 'MISSED':<7} {bound['says']} ({bound['of']})")
