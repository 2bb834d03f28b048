# SPDX-License-Identifier: Apache-2.0
"""Packs what rarely changes: busybox, programs of the host, their libraries and the libraries of the build, modules, init."""

import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import cpio, packages, store
from .errors import LabError
from .image import tree_programs
from .kernels import Kernel
from .libraries import Libraries
from .manifest import Manifest

LAYOUT = 2  # part of the key: raise it when this file packs the same inputs differently
GUEST = Path(__file__).resolve().parents[1] / "guest"
_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MERGED = ("bin", "sbin", "lib", "lib64", "lib32")

_ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000:Alice:/home/alice:/bin/bash\n"
              "www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
              "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\nwww-data:x:33:\nalice:x:1000:\nnogroup:x:65534:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\nprotocols: files\nservices: files\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "hostname": "guest\n",
    "shells": "/bin/sh\n/bin/bash\n",
}


@dataclass(frozen=True)
class Contents:
    files: dict  # guest path → host path
    folders: tuple  # that may be empty
    links: dict  # guest path → target
    modules: tuple  # paths below lib/modules/RELEASE
    absent: tuple  # optional programs that the host lacks


def pack(manifest: Manifest, kernel: Kernel) -> Path:
    """The initramfs for that kernel, packed only if its inputs have changed."""
    contents = _collect(manifest, kernel)
    key = store.digest([
        LAYOUT, kernel.name, manifest.load, contents.links, contents.folders, contents.modules,
        [(guest, host, store.stamp(host)) for guest, host in sorted(contents.files.items())],
        [(p.name, p.read_text()) for p in sorted(GUEST.iterdir())], _ETC,
    ])
    folder = store.cache_dir("packed")
    final = folder / f"initramfs-{kernel.role}-{key}.cpio"
    if final.exists():
        os.utime(final)
        return final
    with store.locked(f"pack-{kernel.role}"):
        if final.exists():
            return final
        print(f"lab: packing the initramfs of {kernel.role}", file=sys.stderr)
        if contents.absent:
            print(f"lab: the host has no {', '.join(contents.absent)}: the guest goes without", file=sys.stderr)
        _write(manifest, kernel, contents, final)
        store.prune(folder, keep=2, prefix=f"initramfs-{kernel.role}-")
    return final


def _collect(manifest: Manifest, kernel: Kernel) -> Contents:
    libraries, files, links, folders, absent = Libraries(), {}, {}, [], []

    def take(path: Path) -> None:
        """A host file under its own name, with the links that lead to it."""
        for _ in range(20):
            guest = _merged(str(path))
            if not path.is_symlink():
                files[guest] = str(path)
                return
            target = os.readlink(path)
            links[guest] = target
            path = Path(os.path.normpath(path.parent / target))
        raise LabError(f"{path} leads nowhere", "too many symbolic links")

    def take_libraries(program: Path) -> None:
        for library in libraries.of(program):
            take(Path(library))

    _busybox()
    for name in (*manifest.programs, *manifest.optional):
        found = shutil.which(name, path=_SEARCH)
        if found is None and name in manifest.optional:
            absent.append(name)
            continue
        if found is None:
            package = manifest.packages.get(name, name)
            raise LabError(f"the guest needs the program {name!r}", "the host does not have it",
                           f"install the package {package}, or run `make deps`")
        take(Path(found))
        take_libraries(Path(os.path.realpath(found)))
    for name in manifest.files:
        if os.path.exists(name):
            take(Path(name))
            take_libraries(Path(os.path.realpath(name)))
    for program in tree_programs(manifest):
        take_libraries(program)
    if tree := packages.unpacked(manifest.debian):
        for host, path in packages.contents(tree):
            guest = _merged(path)
            if host.is_symlink():
                links[guest] = os.readlink(host)
            elif host.is_dir():
                folders.append(guest)
            else:
                files[guest] = str(host)
                take_libraries(host)
    libraries.save()
    for path in list(links):
        files.pop(path, None)
    folders = [path for path in folders if path.strip("/") not in _MERGED]
    return Contents(files, tuple(folders), links, _modules(manifest, kernel), tuple(absent))


def _merged(path: str) -> str:
    """/lib/x → /usr/lib/x: the guest's /lib is a link, as on every current Debian."""
    first = path.split("/")[1]
    return "/usr" + path if first in _MERGED else path


def _busybox() -> str:
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.path.exists(path):
            return path
    raise LabError("the guest needs busybox", "the host does not have it", "install the package busybox-static, or run `make deps`")


def _modules(manifest: Manifest, kernel: Kernel) -> tuple:
    depends = {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        depends[path] = rest.split()
    return tuple(close_over(manifest.modules + manifest.load, depends))


def close_over(names, depends: dict) -> list:
    """The paths of the modules NAMES and of all they need. depends: path → paths, as in modules.dep."""
    by_name = {module_name(path): path for path in depends}
    todo = [by_name[n.replace("-", "_")] for n in names if n.replace("-", "_") in by_name]
    taken = set()
    while todo:
        path = todo.pop()
        if path not in taken:
            taken.add(path)
            todo += depends.get(path, [])
    return sorted(taken)


def module_name(path: str) -> str:
    return re.sub(r"\.ko(\.\w+)?$", "", path.rsplit("/", 1)[-1]).replace("-", "_")


def _write(manifest: Manifest, kernel: Kernel, contents: Contents, final: Path) -> None:
    archive = cpio.Archive()
    for name in ("dev", "proc", "sys", "run", "tmp", "root", "home", "mnt", "etc", "var/lib", "var/log", "out", "bpfwarden",
                 "usr/bin", "usr/sbin", "usr/lib", "usr/lib64"):
        archive.directory(name, {"tmp": 0o1777, "out": 0o1777, "root": 0o700}.get(name, 0o755))
    for name in _MERGED[:4]:
        archive.link(name, f"usr/{name}")
    archive.link("var/run", "/run")
    archive.link("etc/mtab", "/proc/self/mounts")
    # The kernel opens /dev/console for init before anything is mounted.
    archive.node("dev/console", 5, 1)
    for name, text in _ETC.items():
        archive.file(f"etc/{name}", text.encode())

    for folder in contents.folders:
        archive.directory(folder)
    busybox = _busybox()
    archive.file("usr/bin/busybox", Path(busybox).read_bytes(), 0o755)
    for guest, host in contents.files.items():
        archive.file(guest, Path(host).read_bytes(), 0o755 if os.access(host, os.X_OK) else 0o644)
    for guest, target in contents.links.items():
        archive.link(guest, target)
    applets = subprocess.run([busybox, "--list-full"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    present = {os.path.basename(path) for path in (*contents.files, *contents.links) if "/bin/" in path or "/sbin/" in path}
    for applet in applets:
        # A real program wins over the applet of the same name, whichever folder each is in.
        if os.path.basename(applet) not in present and os.path.basename(applet) != "busybox":
            archive.link(_merged("/" + applet), "/usr/bin/busybox")
    archive.file("init", (GUEST / "init").read_bytes(), 0o755)
    archive.file("etc/lab-modules", "".join(f"{name}\n" for name in manifest.load).encode())
    _write_modules(archive, kernel, contents.modules)
    # Not compressed: QEMU hands it over at host speed, while unpacking would run emulated (README, "Facts").
    handle, temp = tempfile.mkstemp(prefix=".new-", dir=final.parent)
    with os.fdopen(handle, "wb") as out:
        archive.write(out)
    os.rename(temp, final)


def _write_modules(archive: cpio.Archive, kernel: Kernel, paths) -> None:
    base = f"usr/lib/modules/{kernel.release}"
    with tempfile.TemporaryDirectory(prefix="bpfwarden-modules-") as temp:
        root = Path(temp) / "lib/modules" / kernel.release
        root.mkdir(parents=True)
        for path in paths:
            # Plain, whatever the package has: busybox's modprobe then needs no decompressor.
            plain = re.sub(r"\.ko\.\w+$", ".ko", path)
            (root / plain).parent.mkdir(parents=True, exist_ok=True)
            (root / plain).write_bytes(_unpacked(kernel.modules / path))
        for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            if (kernel.modules / name).exists():
                shutil.copyfile(kernel.modules / name, root / name)
        done = subprocess.run([shutil.which("depmod", path=_SEARCH) or "depmod", "-b", temp, kernel.release],
                              stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise LabError("cannot index the guest's modules", done.stderr.strip()[-300:], "is the package kmod installed?")
        for path in sorted(root.rglob("*")):
            if path.is_file():
                archive.file(f"{base}/{path.relative_to(root)}", path.read_bytes())


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", str(path)], stdout=subprocess.PIPE, check=True).stdout
    if path.suffix == ".gz":
        import gzip

        return gzip.decompress(data)
    return data
