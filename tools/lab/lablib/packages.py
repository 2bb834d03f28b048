# SPDX-License-Identifier: Apache-2.0
"""Debian packages that guests have and the machine need not: downloaded and unpacked, never installed.

An installation would start services: nginx's a web server for all the network.
"""

import os
import shutil
import sys
import time
from pathlib import Path

from . import store
from .apt import Apt, run
from .errors import LabError

# Nothing that a guest runs.
_LEFT_OUT = ("usr/share/apport", "usr/share/bug", "usr/share/doc", "usr/share/info", "usr/share/lintian", "usr/share/locale",
             "usr/share/man", "usr/share/vim")
_RETRY = 3600  # seconds after which a mirror that failed is asked again


def unpacked(names, update: bool = False) -> Path | None:
    """A folder with what the packages contain; nothing if the mirror does not give them, which is told."""
    if not names:
        return None
    release = _release()
    folder = store.cache_dir("packages")
    final = folder / f"{release}-{store.digest(sorted(names))}"
    failed = final.with_suffix(".failed")
    with store.locked("packages"):
        if final.exists() and not update:
            return final
        if not update and failed.exists() and time.time() - failed.stat().st_mtime < _RETRY:
            return None
        print(f"lab: downloading {' '.join(names)} for guests", file=sys.stderr)
        try:
            with Apt((release, f"{release}-updates"), (f"{release}-security",)) as apt:
                apt.update()
                _unpack(apt.download(names), final)
        except LabError as error:
            failed.touch()
            if final.exists():
                return final
            print(f"{error}\nlab: guests go without {' '.join(names)}; asked again in an hour, or by `lab fetch --update`", file=sys.stderr)
            return None
        failed.unlink(missing_ok=True)
        return final


def _release() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    return "stable"


def _unpack(debs, final: Path) -> None:
    with store.new_entry(final) as temp:
        for deb in debs:
            run(["dpkg-deb", "-x", str(deb), str(temp)], f"cannot extract {deb.name}")
        for name in _LEFT_OUT:
            shutil.rmtree(temp / name, ignore_errors=True)


def contents(tree: Path):
    """(host path, guest path) of every file, link and folder, in a fixed order."""
    for folder, names, files in os.walk(tree):
        names.sort()
        for name in sorted(names + files):
            host = Path(folder) / name
            yield host, "/" + str(host.relative_to(tree))
