# SPDX-License-Identifier: Apache-2.0
"""Keeps prepared guests: memory in one file, the devices' state in another.

Not savevm/loadvm: loadvm reads all memory back and needs a private copy of the qcow2 for each guest. Here a restored guest
maps the memory file privately, so it starts at once, reads only what it touches, and any number run from one snapshot.
"""

import os
import shlex
import time
from dataclasses import asdict
from pathlib import Path

from . import store
from .errors import LabError
from .guest import Guest, boot
from .machine import Machine, Setup, qemu_version
from .kernels import Kernel

KEEP = 4  # a role: both LSM lists, a counting one, and one to spare


def path_of(kernel: Kernel, setup: Setup) -> Path:
    key = store.digest([2, kernel.name, asdict(setup), setup.options, qemu_version()])
    return store.cache_dir("snapshots") / f"{kernel.role}-{key}"


def usable(path: Path) -> bool:
    return (path / "state").exists() and (path / "ram").exists()


def make(path: Path, setup: Setup, disk: Path, log, before_save=lambda guest: None) -> None:
    """Boots a guest and keeps it at PATH. The guest ends: from here on its memory file must not change."""
    with store.new_entry(path) as temp:
        guest = boot(lambda: Machine(setup, disk, log, ram_file=_blank(temp / "ram", setup.memory)))
        machine = guest.machine
        try:
            before_save(guest)
            machine.qmp("stop")
            _ignore_shared(machine)
            machine.qmp("migrate", uri=f"exec:cat > {shlex.quote(str(temp / 'state'))}")
            _finish(machine, "query-migrate", "save")
        finally:
            machine.close()
    store.prune(path.parent, keep=KEEP, prefix=path.name.split("-")[0] + "-")


def restore(path: Path, setup: Setup, disk: Path, log) -> Guest:
    os.utime(path)
    machine = Machine(setup, disk, log, incoming=True, ram_file=path / "ram")
    try:
        guest = Guest(machine)
        _ignore_shared(machine)
        machine.qmp("migrate-incoming", uri=f"exec:cat {shlex.quote(str(path / 'state'))}")
        _finish(machine, "query-migrate", "restore")
        machine.qmp("cont")
        return guest
    except BaseException:
        machine.close()
        raise


def _ignore_shared(machine: Machine) -> None:
    machine.qmp("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])


def _finish(machine: Machine, query: str, what: str) -> None:
    end = time.monotonic() + 120
    while True:
        answer = machine.qmp(query)
        status = answer.get("status", "")
        if status == "completed":
            return
        if status in ("failed", "cancelled") or time.monotonic() > end:
            why = answer.get("error-desc") or machine.last_words() or f"migration is {status!r}"
            raise LabError(f"cannot {what} the guest's snapshot", why,
                           "run once with --no-snapshot; `lab clean` drops all snapshots")
        machine.poll(0.01)


def _blank(path: Path, megabytes: int) -> Path:
    with open(path, "wb") as out:
        out.truncate(megabytes << 20)
    return path
