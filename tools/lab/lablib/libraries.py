# SPDX-License-Identifier: Apache-2.0
"""Which shared libraries a program needs, asked of the dynamic loader itself and remembered per file."""

import json
import os
import re
import subprocess
from pathlib import Path

from . import store
from .errors import LabError

_LINE = re.compile(r"^\s*(?:(\S+) => )?(/\S+|not found)(?: \(0x[0-9a-f]+\))?$")


def is_elf(path: Path) -> bool:
    try:
        with open(path, "rb") as handle:
            head = handle.read(18)
    except OSError:
        return False
    # Executables and shared objects; not .o files, BPF objects among them.
    return head[:4] == b"\x7fELF" and head[16:18] in (b"\x02\x00", b"\x03\x00")


def parse_ldd(text: str) -> tuple:
    """(paths, names not found) of ldd's output."""
    paths, missing = [], []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and match[2] == "not found":
            missing.append(match[1])
        elif match:
            paths.append(match[2])
    return paths, missing


class Libraries:
    def __init__(self):
        self._path = store.cache_dir("packed") / "libraries.json"
        try:
            self._known = json.loads(self._path.read_text())
        except (OSError, ValueError):
            self._known = {}
        self._used, self._changed = {}, False

    def of(self, program: Path) -> list:
        key, stamp = str(program), store.stamp(program)
        entry = self._known.get(key)
        # A library replaced under its old name keeps its path, so paths stay right while they exist.
        if not entry or entry[0] != stamp or not all(os.path.exists(p) for p in entry[1]):
            entry = [stamp, self._ask(program)]
            self._changed = True
        self._used[key] = entry
        return entry[1]

    def save(self) -> None:
        if self._changed:
            store.write_atomic(self._path, json.dumps({**self._known, **self._used}).encode())

    @staticmethod
    def _ask(program: Path) -> list:
        if not is_elf(program):
            return []
        # A package that is only unpacked has the libraries of the others beside it, where they are in guests as well.
        beside = next((str(folder) for folder in program.parents if folder.parent == store.cache_dir("packages")), "")
        search = {"LD_LIBRARY_PATH": ":".join(f"{beside}/usr/lib/{name}" for name in os.listdir(f"{beside}/usr/lib"))} if beside and \
            os.path.isdir(f"{beside}/usr/lib") else {}
        done = subprocess.run(["ldd", str(program)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              errors="surrogateescape", env=dict(os.environ, LC_ALL="C", **search))
        paths, missing = parse_ldd(done.stdout)
        paths = [path for path in paths if not beside or not path.startswith(beside + "/")]
        if missing:
            raise LabError(f"{program} needs {', '.join(missing)}, which the host lacks", "ldd: not found", "run `make deps`")
        return paths
