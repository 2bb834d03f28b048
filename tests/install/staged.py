#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs into a staging folder, as a package's build does, and looks at what lies there."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BPFWARDEN_BUILD", ROOT / "build"))
PREFIX = "/usr"
# Linked in statically: Debian 12's own libbpf knows no tokens, and the installed programs must not need another.
NOT_NEEDED = ("libbpf.so", "libCLI", "libgtest", "libgmock", "libbenchmark")

failed = False


def check(name: str, problems: list[str]) -> None:
    global failed
    for problem in problems:
        print(f"    {problem}")
    failed = failed or bool(problems)
    print(f"ok {name}" if not problems else f"not ok {name}: {problems[0]}")


def output(*argv) -> str:
    return subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace").stdout


def install(stage: Path) -> subprocess.CompletedProcess:
    return subprocess.run(["cmake", "--install", BUILD, "--prefix", PREFIX], env={**os.environ, "DESTDIR": str(stage)}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)


def is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def paths_in(path: Path, scratch: Path) -> list[bytes]:
    """Which of this machine's own paths the file holds. Debug information is left out: it names sources on purpose, and packages
    strip it."""
    copy = scratch / "copy"
    shutil.copy(path, copy)
    if is_elf(path):
        subprocess.run(["strip", "--strip-debug", copy], check=True)
    data = copy.read_bytes()
    # By our own folders: a checkout in /src would be found in the paths that libstdc++ was built with.
    places = {os.fsencode(BUILD), *(os.fsencode(folder) for folder in ROOT.iterdir() if folder.is_dir())}
    return [place for place in places if place + b"/" in data]


def pages(stage: Path) -> list[str]:
    """A page's .TH must agree with its file's name, or man(1) lists it under another; and it renders without a warning."""
    problems = []
    for page in sorted(stage.glob("usr/share/man/man*/*")):
        found = re.search(r'^\.TH\s+"?([^"\s]+)"?\s+"?(\d)"?', page.read_text(), re.MULTILINE)
        name, section = page.stem, page.suffix[1:]
        if not found or (found[1].lower().replace("\\-", "-"), found[2]) != (name.lower(), section):
            problems.append(f"{page.name}: its .TH line is not of {name}({section})")
        if shutil.which("groff"):
            done = subprocess.run(["groff", "-ww", "-man", "-Tutf8", "-Z", page], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            problems += done.stderr.splitlines()
    return problems


def states(stage: Path) -> dict:
    return {str(p.relative_to(stage)): (p.lstat().st_mode, p.lstat().st_size) for p in stage.rglob("*")}


def look(stage: Path, scratch: Path) -> None:
    files = [p for p in stage.rglob("*") if p.is_file() and not p.is_symlink()]
    elves = [p for p in files if is_elf(p)]
    version = re.search(r"project\(bpfwarden VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    program = stage / "usr/sbin/bpfwarden"

    wanted = ["usr/sbin/bpfwarden", "usr/sbin/bpfwardend", "usr/sbin/bpfwarden-guard", "usr/lib/sysusers.d/bpfwarden.conf",
              "usr/lib/tmpfiles.d/bpfwarden.conf", "usr/lib/systemd/system/bpfwarden-guard.service", "usr/lib/systemd/system/bpfwarden-seal.service",
              "usr/lib/systemd/system/bpfwardend.service", "usr/lib/systemd/system/bpfwardend.socket"]
    wanted += [f"usr/share/bpfwarden/apparmor/{name}" for name in ("bpfwarden-service", "abstractions/bpfwarden")]
    wanted += [f"usr/share/man/man{page.suffix[1:]}/{page.name}" for page in (ROOT / "man").glob("*.[1-8]")]
    wanted += [f"usr/include/bpfwarden/{name}" for name in ("bpfwarden.h", "bpfwarden.hpp", "filter.h", "filter.hpp", "seccomp_filter.h")]
    wanted += [str(library(stage, name).relative_to(stage)) for name in ("libbpfwarden.so", "libbpfwarden.so.0", "libbpfwarden-preload.so",
                                                                        "pkgconfig/bpfwarden.pc")]
    wanted += [f"usr/share/doc/bpfwarden/{name}" for name in ("README.md", "CHANGELOG.md", "SECURITY.md", "audit.schema.json")]
    check("what must be there", [f"{name} is missing" for name in wanted if not (stage / name).is_file()])
    check("nothing outside the prefix", [str(p.relative_to(stage)) for p in files if p.relative_to(stage).parts[0] not in ("usr", "etc")])
    check("manual pages", pages(stage))
    check("modes", [f"{p.relative_to(stage)}: {stat.filemode(p.lstat().st_mode)}" for p in stage.rglob("*")
                    if not p.is_symlink() and p.stat().st_mode & (stat.S_IWOTH | stat.S_IWGRP | stat.S_ISUID | stat.S_ISGID)])
    check("empty files", [str(p.relative_to(stage)) for p in files if p.stat().st_size == 0])
    check("paths of this machine", [f"{p.relative_to(stage)} holds {place.decode()}" for p in files for place in paths_in(p, scratch)])
    needed = {p: output("readelf", "-d", p) for p in elves}
    check("libraries", [f"{p.name} needs {name}" for p, text in needed.items() for name in re.findall(r"NEEDED.*\[(.*)\]", text)
                        if name.startswith(NOT_NEEDED)])
    check("no search path of libraries", [f"{p.name}: {line.strip()}" for p, text in needed.items() for line in text.splitlines()
                                          if "RPATH" in line or "RUNPATH" in line])
    headers = {p: output("readelf", "-lW", p) for p in elves if not p.name.endswith(".bpf.o")}
    check("hardening", [f"{p.name}: no PIE" for p in headers if "DYN" not in output("readelf", "-h", p)]
          + [f"{p.name}: no full RELRO" for p, text in headers.items() if "GNU_RELRO" not in text or not re.search("BIND_NOW|NOW", needed[p])]
          + [f"{p.name}: an executable stack" for p, text in headers.items() if re.search(r"GNU_STACK.*RWE", text)])

    said = output(program, "--version").strip()
    check("version", [] if said == f"bpfwarden {version}" else [f"--version says {said!r}, CMakeLists.txt {version}"])
    helped = subprocess.run([program, "--help"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    check("help", [] if helped.returncode == 0 and helped.stdout and not helped.stderr else [f"--help: {helped}"])
    wrong = subprocess.run([program, "no-such-command"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    check("usage", [] if wrong.returncode == 2 and wrong.stderr and not wrong.stdout else [f"an unknown command: {wrong}"])


def library(stage: Path, name: str) -> Path:
    """Where that file of the library folder is, which is lib, lib64 or lib/MULTIARCH; lib/NAME if it is nowhere."""
    return next((path for path in stage.glob(f"usr/lib*/**/{name}")), stage / "usr/lib" / name)


def build_against(stage: Path, scratch: Path) -> None:
    """Programs see the library through pkg-config alone: what is in the checkout must not be needed."""
    package = library(stage, "pkgconfig/bpfwarden.pc").parent
    env = {**os.environ, "PKG_CONFIG_LIBDIR": str(package), "PKG_CONFIG_SYSROOT_DIR": str(stage)}

    def pkg_config(*words: str) -> list[str]:
        done = subprocess.run(["pkg-config", *words, "bpfwarden"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        return done.stdout.split()

    version = re.search(r"project\(bpfwarden VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    check("pkg-config: version", [] if pkg_config("--modversion") == [version] else [" ".join(pkg_config("--modversion"))])
    preload = pkg_config("--variable=preload")
    names = [Path(path).name for path in preload]
    check("pkg-config: preload", [] if names == ["libbpfwarden-preload.so"] else [f"it says {preload}"])
    flags = pkg_config("--cflags", "--libs")
    run = {**os.environ, "LD_LIBRARY_PATH": str(library(stage, "libbpfwarden.so.0").parent), "BPFWARDEN_RUN": str(scratch / "nowhere")}
    for source, compiler in (("map_for_child.c", ["cc", "-std=gnu11"]), ("describe_session.cpp", ["c++", "-std=c++20"]),
                             ("describe_session.cpp", ["c++", "-std=c++23"])):
        copy, program = scratch / source, scratch / f"{Path(source).stem}{compiler[1].removeprefix('-std=')}"
        shutil.copy(ROOT / "examples/session" / source, copy)
        done = subprocess.run([*compiler, "-Wall", "-Wextra", "-Wpedantic", "-Werror", copy, "-o", program, *flags], cwd=scratch,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        problems = [line for line in done.stdout.splitlines() if "error" in line] or ["it does not build"] if done.returncode else []
        if not problems:
            # No daemon is there: that it says so, in the library's words, shows that it runs with the installed one.
            said = subprocess.run([program, "no-such-grant"], env=run, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            if said.returncode != 1 or "opening the grant 'no-such-grant'" not in said.stdout:
                problems = [f"it says {said.stdout!r}, status {said.returncode}"]
        check(f"{source} with {' '.join(compiler)} against what is installed", problems)
    for header, compiler, standard in (("bpfwarden.h", "cc", "c11"), ("filter.h", "cc", "c11"), ("bpfwarden.hpp", "c++", "c++23"),
                                       ("filter.hpp", "c++", "c++23")):
        done = subprocess.run([compiler, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-x",
                               "c++" if compiler == "c++" else "c", "-", *flags], input=f"#include <bpfwarden/{header}>\n",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        check(f"{header} alone as {standard}", done.stdout.splitlines()[:3] if done.returncode else [])
    check("run_filtered.c against what is installed", run_filtered(scratch, flags, run))


def run_filtered(scratch: Path, flags: list[str], env: dict[str, str]) -> list[str]:
    """The filter of errno_table lets no folder be made: `mkdir` says with which errno, and makes one where there is no filter."""
    source, program, made = ROOT / "examples/filters/run_filtered.c", scratch / "run_filtered", scratch / "made"
    done = subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror", source, "-o", program, *flags],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        return done.stdout.splitlines()[:3]

    def under(*words) -> subprocess.CompletedProcess:
        return subprocess.run([str(word) for word in words], env={**env, "LC_ALL": "C"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)

    wanted = [(under(program, BUILD / "examples/filters/errno_table.v4.bpf.o", "mkdir", made), 1, "No space left on device"),
              (under(program, "/no/such/filter", "mkdir", made), 1, "opening /no/such/filter"),
              (under(program, source, "mkdir", made), 1, "are no classic BPF program")]
    problems = [f"status {one.returncode}, not {status}; says {one.stdout!r}" for one, status, text in wanted
                if one.returncode != status or text not in one.stdout]
    problems += [f"{made} was made under the filter"] if made.exists() else []
    without = under("mkdir", made)
    return problems + ([] if without.returncode == 0 else [f"mkdir alone: {without.stdout!r}"])


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bpfwarden-stage-") as name:
        stage, scratch = Path(name) / "stage", Path(name) / "scratch"
        stage.mkdir(mode=0o755)
        scratch.mkdir()
        done = install(stage)
        check("cmake --install", [] if done.returncode == 0 else done.stdout.splitlines()[-3:])
        if done.returncode:
            return 1
        look(stage, scratch)
        build_against(stage, scratch)
        before = states(stage)
        again = install(stage)
        check("a second install changes nothing", [] if again.returncode == 0 and states(stage) == before else [again.stdout[-500:]])
    return 1 if failed else 0


sys.exit(main())
