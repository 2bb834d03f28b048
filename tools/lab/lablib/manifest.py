# SPDX-License-Identifier: Apache-2.0
"""Reads guest.toml: what a guest contains."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from .errors import EXIT_USAGE, LabError

DEFAULT = Path(__file__).resolve().parents[1] / "guest.toml"
TREE_ROOT = "/bpfwarden"

_KEYS = {
    "": {"format", "programs", "modules", "files", "guest", "debian", "tree"},
    "programs": {"names", "optional", "packages"},
    "modules": {"names", "load"},
    "files": {"names"},
    "debian": {"packages", "disk"},
    "guest": {"memory", "cpus", "image"},
    "tree": {"from", "to"},
}


@dataclass(frozen=True)
class Tree:
    source: str
    target: str


@dataclass(frozen=True)
class Manifest:
    programs: tuple
    optional: tuple
    packages: dict  # program → the Debian package that has it
    modules: tuple
    load: tuple  # modules loaded before the snapshot
    files: tuple  # of the host, with what they load by dlopen (NSS and the like)
    debian: tuple  # packages that the host need not have
    disk: tuple  # the same, on the disk: what is too big for every guest's memory
    trees: tuple
    memory: int  # MiB
    cpus: int
    image: int  # MiB, size of the disk that holds the trees


def load(path: Path) -> Manifest:
    try:
        text = path.read_text()
    except OSError as error:
        raise LabError(f"cannot read the guest's manifest {path}", error.strerror or "", "", EXIT_USAGE) from None
    return parse(text, str(path))


def parse(text: str, name: str = "guest.toml") -> Manifest:
    def bad(why: str) -> LabError:
        return LabError(f"{name} is not a guest manifest", why, "see tools/lab/README.md", EXIT_USAGE)

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise bad(str(error)) from None
    if data.get("format") != 1:
        raise bad("it does not start with `format = 1`")

    def section(key: str) -> dict:
        value = data.get(key, {})
        if not isinstance(value, dict):
            raise bad(f"[{key}] is not a table")
        return value

    def known(table: dict, key: str) -> None:
        for word in table:
            if word not in _KEYS[key]:
                raise bad(f"unknown key {word!r}" + (f" in [{key}]" if key else "") + f"; known: {', '.join(sorted(_KEYS[key]))}")

    def strings(table: dict, key: str) -> tuple:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise bad(f"{key} is not a list of strings")
        return tuple(value)

    def number(table: dict, key: str, default: int) -> int:
        value = table.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise bad(f"{key} is not a positive number")
        return value

    known(data, "")
    programs, modules, files, debian, guest = (section(k) for k in ("programs", "modules", "files", "debian", "guest"))
    for key, table in (("programs", programs), ("modules", modules), ("files", files), ("debian", debian), ("guest", guest)):
        known(table, key)
    packages = programs.get("packages", {})
    if not isinstance(packages, dict) or not all(isinstance(v, str) for v in packages.values()):
        raise bad("packages is not a table of strings")

    trees = []
    for entry in data.get("tree", []):
        known(entry, "tree")
        source, target = entry.get("from"), entry.get("to")
        if not isinstance(source, str) or not isinstance(target, str):
            raise bad("a [[tree]] needs `from` and `to`")
        if not target.startswith(TREE_ROOT + "/") or ".." in target.split("/"):
            raise bad(f"a tree's `to` must lie under {TREE_ROOT}/, which is a disk of its own; this is {target!r}")
        trees.append(Tree(source, target.rstrip("/")))

    return Manifest(
        programs=strings(programs, "names"), optional=strings(programs, "optional"), packages=packages,
        modules=strings(modules, "names"), load=strings(modules, "load"), files=strings(files, "names"),
        debian=strings(debian, "packages"), disk=strings(debian, "disk"), trees=tuple(trees),
        memory=number(guest, "memory", 2048), cpus=number(guest, "cpus", 2), image=number(guest, "image", 4096),
    )
