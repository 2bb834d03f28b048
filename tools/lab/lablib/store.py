# SPDX-License-Identifier: Apache-2.0
"""Where the lab keeps what it may throw away: kernels, initramfs, images, snapshots. Never in the source tree."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]


def cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "bpfwarden"


def cache_dir(name: str) -> Path:
    path = cache_root() / name
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def locked(name: str):
    """One lab at a time does NAME; the others wait. flock, so a killed lab leaves no stale lock."""
    with open(cache_dir("locks") / name, "a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def new_entry(final: Path):
    """A folder that appears at FINAL whole or not at all."""
    final.parent.mkdir(parents=True, exist_ok=True)
    temp = Path(tempfile.mkdtemp(prefix=".new-", dir=final.parent))
    try:
        yield temp
        temp.chmod(0o755)
        if final.exists():
            shutil.rmtree(final)
        os.rename(temp, final)
    finally:
        if temp.exists():
            shutil.rmtree(temp, ignore_errors=True)


def write_atomic(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temp = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    with os.fdopen(handle, "wb") as out:
        out.write(data)
    os.rename(temp, path)


def digest(value) -> str:
    """A short name for a value made of plain JSON types."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:20]


def stamp(path) -> list:
    """Changes whenever the file does, without reading it."""
    info = os.stat(path)
    return [info.st_size, info.st_mtime_ns, info.st_mode & 0o7777]


def prune(folder: Path, keep: int, prefix: str = "") -> None:
    """Drops all but the newest entries. Used entries are touched, so newest means last used.

    An entry used a moment ago stays, within reason: another lab may be about to open it. Once open, it may go.
    """
    entries = [e for e in folder.iterdir() if e.name.startswith(prefix) and not e.name.startswith(".new-")]
    entries.sort(key=lambda e: e.stat().st_mtime, reverse=True)
    now = time.time()
    for index, entry in enumerate(entries[keep:]):
        if index >= 4 or now - entry.stat().st_mtime > 120:
            _drop(entry)
    for left in folder.glob(".new-*"):  # of a lab that was killed
        if now - left.stat().st_mtime > 3600:
            _drop(left)


def _drop(entry: Path) -> None:
    if entry.is_dir():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)
