# SPDX-License-Identifier: Apache-2.0
"""Whether KVM really works here: a device node that opens proves nothing, so a guest is booted, once for each boot of the host."""

import os
import sys
from dataclasses import replace
from pathlib import Path

from . import store
from .errors import LabError
from .guest import DiedEarly, Guest
from .machine import Machine, Setup, qemu_version

TRIAL_SECONDS = 20


def best(setup: Setup, disk: Path, log) -> str:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    key = store.digest([Path("/proc/sys/kernel/random/boot_id").read_text(), qemu_version()])
    verdict = store.cache_dir("accel") / key
    if verdict.exists():
        return verdict.read_text().strip()
    with store.locked("accel"):
        if not verdict.exists():
            answer, why = _trial(replace(setup, accel="kvm"), disk, log)
            if answer != "kvm":
                print(f"lab: KVM does not work here ({why}); guests are emulated", file=sys.stderr)
            store.write_atomic(verdict, answer.encode())
            store.prune(verdict.parent, keep=2)
    return verdict.read_text().strip()


def _trial(setup: Setup, disk: Path, log) -> tuple:
    with Machine(setup, disk, log) as machine:
        try:
            Guest(machine).wait_ready(TRIAL_SECONDS)
            return "kvm", ""
        except (DiedEarly, LabError) as error:
            why = error.why if isinstance(error, LabError) else str(error)
            return "tcg", why.strip().splitlines()[0][:160] if why.strip() else "the guest died"
