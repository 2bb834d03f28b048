# SPDX-License-Identifier: Apache-2.0
"""What answering an unmodified program's calls costs: the same program by root directly and under a grant, in turns."""

import statistics
import subprocess
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
GRANT = '''format = 1
name = "bench"
dangerous = ["kernel_read"]
[allow]
program_types = ["socket_filter"]
map_types = ["array"]
capabilities = ["bpf", "net_admin", "perfmon"]
verifier = ["any"]
'''
SIDES = ("root", "root_again", "allow_all", "bare", "intercept")
ADDED_US = 25           # of a call
LARGE_RATIO = 1.1       # of loading 10,000 instructions
START_RATIO = 1.3       # of execsnoop up to its first line


def measure(build: Path, caller: list, grant: Path, output_of, rounds: int) -> dict:
    """`caller`: the words before each command, for root and the daemon to use; `grant`: a file with GRANT."""
    samples: dict[str, dict[str, dict[int, list[float]]]] = {}
    warden = build / "bin/bpfwarden"
    for number in range(rounds):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            command = [build / "bench/intercept_cost", side, str(number)] + ([side] if side in ("allow_all", "bare") else [])
            if side == "intercept":
                command = [warden, "run", "--via", "intercept", "--grant", grant, "--", *command]
            for line in output_of([*caller, *command], "the cost of the intercept").splitlines():
                step, _, _, ns = line.split()
                samples.setdefault(step, {}).setdefault(side, {}).setdefault(number, []).append(float(ns))
    # A median a process: its place in memory is one throw of the dice for all of its calls.
    return {step: {side: {number: statistics.median(all_ns) for number, all_ns in each.items()} for side, each in sides.items()}
            for step, sides in samples.items()}


def judge(free: dict, together: dict) -> dict:
    """`free`: with processes wherever the kernel puts them; `together`: all on one processor."""
    steps, one = ({step: {side: statistics.median(each.values()) for side, each in sides.items()} for step, sides in medians.items()}
                  for medians in (free, together))
    # What it takes to wake another processor is the machine's, and the most of it: the bare answerer shows how much.
    bounds = [{"of": step, "value": (us := (one[step]["intercept"] - one[step]["root"]) / 1000), "bound": f"≤ {ADDED_US} us",
               "held": us <= ADDED_US, "says": "added to a call of root's, on one processor"} for step in ("map_create", "prog_load")]
    ratio = steps["prog_load_large"]["intercept"] / steps["prog_load_large"]["root"]
    bounds.append({"of": "prog_load_large", "value": ratio, "bound": f"≤ {LARGE_RATIO}", "held": ratio <= LARGE_RATIO,
                   "says": "loading 10,000 instructions, intercepted / by root"})
    for step in ("getppid", "read"):
        # Equal within what two equal sides, root and root again, differ from one process to the next.
        apart = [abs(free[step]["root"][n] - free[step]["root_again"][n]) for n in free[step]["root"]]
        more = steps[step]["intercept"] - steps[step]["allow_all"]
        limit = max(statistics.quantiles(apart, n=4)[2], 1.0)
        bounds.append({"of": step, "value": more, "bound": f"≤ {limit:.1f} ns", "held": more <= limit,
                       "says": "ns a call more than under a filter that allows all; the bound is how far root and root again are apart"})
    return {"unit": "ns", "steps": steps, "on_one_processor": one, "bounds": bounds}


def start(build: Path, caller: list, execsnoop: str, output_of, rounds: int) -> dict:
    def by(uid: int) -> list:  # what makes somebody nobody takes time too: both are started by it
        return ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]
    words = [*caller, build / "bench/start_cost", "--first-line", str(rounds), "root", *by(0), execsnoop,
             "---", "intercept", *by(65534), build / "bin/bpfwarden", "run", "--grant", "execsnoop", "--", execsnoop]
    times: dict[str, list[float]] = {}
    for line in output_of(words, "the start of execsnoop").splitlines():
        name, _, ns = line.split()
        times.setdefault(name, []).append(int(ns) / 1e6)
    medians = {name: statistics.median(each) for name, each in times.items()}
    ratio = medians["intercept"] / medians["root"]
    return {"unit": "ms", "medians": medians, "bounds": [{"of": "execsnoop", "value": ratio, "bound": f"≤ {START_RATIO}",
            "held": ratio <= START_RATIO, "says": "from execsnoop's start to its first line, by nobody under a grant / by root"}]}


def show(result: dict) -> None:
    for where, steps in (("wherever the kernel puts processes", result["steps"]), ("all on one processor", result["on_one_processor"])):
        print(f"\na program's own calls, ns each (medians of processes in turns), {where}; bare: answered with no check")
        print(f"  {'call':<18}" + "".join(f"{side:>14}" for side in SIDES))
        for step, sides in steps.items():
            print(f"  {step:<18}" + "".join(f"{sides[side]:>14,.1f}" for side in SIDES))
    if started := result.get("start"):
        print("  execsnoop to its first line: " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in started["medians"].items()))
    print()
    for bound in result["bounds"]:
        print(f"  {bound['value']:>8.4g}  {bound['bound']:<9} {'held' if bound['held'] else 'MISSED':<7} {bound['says']} ({bound['of']})")
