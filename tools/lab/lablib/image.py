# SPDX-License-Identifier: Apache-2.0
"""Packs what changes with every build: the manifest's trees, as an ext4 disk mounted at /bpfwarden after the snapshot.

ext4 without a journal: it is built in to all three kernels, is read lazily at host speed, and takes fs-verity.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import packages, store
from .errors import LabError
from .manifest import TREE_ROOT, Manifest

DEBIAN = f"{TREE_ROOT}/debian"
# Leftovers of a build that no guest runs.
_SKIP_DIRS = {"CMakeFiles", "_deps", "Testing"}
_SKIP_ENDS = (".o", ".a", ".ninja", ".cmake", ".d", ".gcno", ".gcda")


def _wanted(path: Path) -> bool:
    # BPF objects are .bpf.o; other .o files are the build's own.
    return path.name.endswith(".bpf.o") or not path.name.endswith(_SKIP_ENDS)


def tree_files(manifest: Manifest):
    """(host path, guest path) of every file and link in the trees, in a fixed order."""
    for tree in manifest.trees:
        root = store.PROJECT / tree.source
        for folder, names, files in os.walk(root):
            names[:] = sorted(n for n in names if n not in _SKIP_DIRS)
            links = [n for n in names if os.path.islink(os.path.join(folder, n))]
            for name in sorted(files + links):
                host = Path(folder) / name
                if _wanted(host) and (host.is_file() or host.is_symlink()):
                    yield host, Path(tree.target) / host.relative_to(root)
    if unpacked := packages.unpacked(manifest.disk):
        for host, path in packages.contents(unpacked):
            if _wanted(host) and (host.is_symlink() or host.is_file()):
                yield host, Path(DEBIAN) / path.lstrip("/")


def tree_programs(manifest: Manifest):
    for host, _ in tree_files(manifest):
        if host.is_file() and not host.is_symlink() and (os.access(host, os.X_OK) or ".so" in host.name):
            yield host


def pack(manifest: Manifest) -> Path:
    """The disk with the trees, made only if a file of theirs has changed."""
    files = list(tree_files(manifest))
    key = store.digest([3, manifest.image, [(str(g), os.readlink(h) if h.is_symlink() else [str(h), store.stamp(h)]) for h, g in files]])
    folder = store.cache_dir("packed")
    final = folder / f"trees-{key}.ext4"
    if final.exists():
        os.utime(final)
        return final
    with store.locked("pack-trees"):
        if final.exists():
            return final
        if files:
            print(f"lab: packing {len(files)} files of the build", file=sys.stderr)
        _write(files, manifest.image, final)
        store.prune(folder, keep=2, prefix="trees-")
    return final


def _write(files, megabytes: int, final: Path) -> None:
    mke2fs = shutil.which("mke2fs", path="/usr/sbin:/sbin:/usr/bin:/bin")
    debugfs = shutil.which("debugfs", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if not mke2fs or not debugfs:
        raise LabError("cannot make the guest's disk", "mke2fs or debugfs is not installed", "install the package e2fsprogs")
    stage = Path(tempfile.mkdtemp(prefix=".new-trees-", dir=final.parent))
    temp = stage.with_suffix(".ext4")
    try:
        stage.chmod(0o755)
        foreign = []
        for host, guest in files:
            place = stage / guest.relative_to(TREE_ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            if host.is_symlink():
                os.symlink(os.readlink(host), place)
                continue
            try:
                os.link(host, place)
            except OSError:  # another file system, or a hard-linking restriction
                shutil.copy2(host, place)
            info = place.stat()
            if info.st_uid or info.st_gid:
                foreign.append("/" + str(guest.relative_to(TREE_ROOT)))
        if os.getuid():
            foreign += ["/" + str(p.relative_to(stage)) for p in stage.rglob("*") if p.is_dir() or p.is_symlink()]
        _run([mke2fs, "-q", "-t", "ext4", "-O", "^has_journal,verity,^metadata_csum_seed", "-b", "4096", "-m", "0",
              "-E", "root_owner=0:0,lazy_itable_init=1,nodiscard", "-d", str(stage), str(temp), f"{megabytes}M"])
        if foreign:
            # A build by a normal user: in the guest everything is root's.
            orders = "".join(f'sif "{path}" uid 0\nsif "{path}" gid 0\n' for path in foreign)
            _run([debugfs, "-w", "-f", "-", str(temp)], orders)
        os.rename(temp, final)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        temp.unlink(missing_ok=True)


def _run(argv, text: str = "") -> None:
    done = subprocess.run(argv, input=text, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise LabError("cannot make the guest's disk", f"{os.path.basename(argv[0])}: {done.stderr.strip()[-400:]}",
                       "if the trees are too big for it, raise `image` in guest.toml")
