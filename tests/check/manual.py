#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The manual pages and completions are what the command table says now, render without a warning, and the completions complete."""

import difflib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
from checklib import ROOT, finish, must  # noqa: E402

PROGRAM = Path(os.environ.get("BPFWARDEN_BUILD", ROOT / "build")) / "bin/bpfwarden"
COMPLETIONS = {"bash": "bpfwarden.bash", "zsh": "_bpfwarden", "fish": "bpfwarden.fish"}

# Calls the completion function as readline does, for the words given; a reply a line.
DRIVER = """
set -u
complete() { :; }
compopt() { :; }
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
_bpfwarden bpfwarden
printf '%s\\n' "${COMPREPLY[@]}"
"""


def output(*words: str) -> str:
    done = subprocess.run([PROGRAM, "internal", *words], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.stdout if done.returncode == 0 else f"({done.stdout.strip()})"


def stale(name: str, wanted: str) -> list[str]:
    """NAME's text is not WANTED; the first line that differs, and what mends it."""
    path = ROOT / name
    have = path.read_text() if path.exists() else ""
    if have == wanted:
        return []
    lines = [line for line in difflib.unified_diff(have.splitlines(), wanted.splitlines(), n=0, lineterm="")][3:]
    return [f"{name} is not what the command table makes of it (run `make man`): {lines[0] if lines else 'the end differs'}"]


def warnings(path: Path) -> list[str]:
    problems = []
    for command in (["groff", "-ww", "-man", "-Tutf8", "-Z", path], ["man", "--warnings", "-E", "UTF-8", "-l", path]):
        if not shutil.which(command[0]):
            continue
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
        problems += [f"{command[0]}: {line}" for line in done.stderr.splitlines()]
    return problems


def replies(script: Path, *words: str) -> set[str]:
    done = subprocess.run(["bash", "--norc", "-c", DRIVER, "bash", script, "bpfwarden", *words], cwd=ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return {line.rstrip() for line in done.stdout.splitlines() if line}


def completing(script: Path) -> list[str]:
    """Words so far, the last one to be completed; what must be offered, and what must not."""
    all_of_run = {"--grant", "--user", "--net", "--dry-run", "--json", "--help"}
    cases: list[tuple[list[str], set[str], set[str]]] = [
        ([""], {"run", "grant", "filter", "session", "host", "audit"}, {"internal", "check", "--json"}),
        (["--"], {"--json", "--help", "--version"}, {"--grant"}),
        (["gr"], {"grant"}, {"run", "host"}),
        (["grant", ""], {"check", "show", "explain", "diff", "list", "init", "reload", "revoke"}, {"man", "--root"}),
        (["--json", "grant", "ch"], {"check"}, {"show"}),
        (["grant", "check", "--"], {"--root", "--json"}, {"--grant", "--template"}),
        (["grant", "check", "README.m"], {"README.md"}, set()),
        (["grant", "check", "README.md", "LICEN"], {"LICENSE"}, set()),
        (["grant", "check", "--root", "src"], {"src"}, {"README.md"}),
        (["grant", "check", "--root", "/tmp", "README.m"], {"README.md"}, set()),
        (["grant", "init", "--template", ""], {"xdp", "tracing", "cgroup"}, set()),
        (["grant", "init", "--template", "=", "x"], {"xdp"}, {"cgroup"}),
        (["grant", "init", "--user", "roo"], {"root"}, set()),
        (["grant", "explain", "README.md", "map"], {"map_create"}, {"prog_load"}),
        (["grant", "explain", "map"], set(), {"map_create"}),
        (["host", "check", "tok"], {"token"}, {"btf"}),
        (["host", "check", "--require", "btf,tok"], {"btf,token"}, {"token"}),
        (["audit", ""], {"tail", "query", "stats"}, {"check"}),
        (["audit", "tail", "--"], {"--follow", "--lines", "--grant", "--file"}, {"--strict"}),
        (["audit", "query", "--verdict", ""], {"allowed", "refused", "denied", "would_deny", "entered"}, {"perhaps"}),
        (["audit", "query", "--file", "README.m"], {"README.md"}, set()),
        (["session", ""], {"list", "show", "revoke", "attach"}, {"check"}),
        (["session", "revoke", "--"], {"--dry-run", "--json"}, {"--grant"}),
        (["session", "attach", "--grant", "x", "bas"], {"bash"}, set()),
        (["session", "attach", "--grant", "x", "--", "cat", "README.m"], {"README.md"}, set()),
        (["filter", "build", "READ"], {"README.md"}, set()),
        (["filter", "build", "--arch", "x86"], {"x86_64"}, {"x32"}),
        (["filter", "run", "READ"], {"README.md"}, set()),
        (["filter", "run", "README.md", "bas"], {"bash"}, set()),
        (["filter", "run", "--log", "README.md", "--", "bas"], {"bash"}, set()),
        (["filter", "run", "README.md", "cat", "README.m"], {"README.md"}, set()),
        (["policy", ""], {"check", "show", "explain", "diff"}, {"reload", "--domain"}),
        (["policy", "check", "README.m"], {"README.md"}, set()),
        (["policy", "explain", "README.md", "--op", "read"], {"read", "read_memory"}, {"write"}),
        (["policy", "explain", "README.md", "--capability", "net_b"], {"net_bind_service", "net_broadcast"}, {"net_raw"}),
        (["run", "--"], all_of_run, {"--root", "--version"}),
        (["run", "--grant", "README.m"], {"README.md"}, set()),
        (["run", "--grant", "=", "README.m"], {"README.md"}, set()),
        (["run", "--net", ""], {"private", "inherit"}, set()),
        (["run", "--user", "roo"], {"root"}, set()),
        (["run", "--into", "1"], {"1"}, set()),
        (["run", "--unenforced", "limits.pro"], {"limits.programs"}, set()),
        (["run", "--grant", "x", "bas"], {"bash"}, set()),
        (["run", "--grant", "x", "--", "bas"], {"bash"}, set()),
        (["run", "--grant", "x", "cat", "README.m"], {"README.md"}, set()),
        (["run", "--grant", "x", "cat", "--gra"], set(), {"--grant"}),
    ]
    problems = []
    for words, wanted, unwanted in cases:
        got = replies(script, *words)
        line = " ".join(["bpfwarden", *words])
        problems += [f"`{line}` does not offer {word}" for word in sorted(wanted - got)]
        problems += [f"`{line}` offers {word}" for word in sorted(unwanted & got)]
    return problems


def parses(shell: str, path: Path) -> list[str]:
    if not shutil.which(shell):
        return []  # bash is always there; the others are looked at where somebody has them
    done = subprocess.run([shell, "-n", path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return [f"{path.name}: {done.stdout.strip() or 'it does not parse'}"] if done.returncode else []


def self_test() -> list[str]:
    problems = must(bool(stale("README.md", "x\n")), "a file with another text is not stale")
    problems += must(not stale("README.md", (ROOT / "README.md").read_text()), "a file is stale though its text is the same")
    with tempfile.TemporaryDirectory() as folder:
        bad = Path(folder) / "bad.1"
        bad.write_text(".TH BAD 1\n.SH NAME\nbad\n.nosuchmacro\n")
        if shutil.which("groff"):
            problems += must(bool(warnings(bad)), "a page with an unknown macro renders silently")
        script = Path(folder) / "bad.bash"
        script.write_text("_bpfwarden() { COMPREPLY=(internal); }\n")
        problems += must(len(completing(script)) > 10, "completions that offer one wrong word pass")
        script.write_text("if\n")
        problems += must(bool(parses("bash", script)), "an unfinished `if` parses")
    return problems


def main() -> None:
    pages = sorted((ROOT / "man").glob("*.[1-8]"))
    scripts = {shell: ROOT / "completions" / name for shell, name in COMPLETIONS.items()}
    results = {
        "self-test": self_test(),
        "rendering": [line for page in pages for line in warnings(page)],
        "syntax": [line for shell, path in scripts.items() for line in parses(shell, path)],
        "completing": completing(scripts["bash"]),
    }
    if PROGRAM.exists():
        listed = output("man", "--list").split()
        generated = {f"man/{page}": output("man", page) for page in listed}
        generated |= {f"completions/{name}": output("completions", shell) for shell, name in COMPLETIONS.items()}
        results["up to date"] = must(bool(listed), "no page is listed") + [line for name, text in generated.items()
                                                                           for line in stale(name, text)]
        results["fragments"] = [f"man/fragments/{path.name}: it belongs to no page" for path in (ROOT / "man/fragments").glob("*")
                                if path.stem not in listed]
    else:
        print("skip up to date: bpfwarden is not built")
    finish(results)


main()
