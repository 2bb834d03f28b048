# SPDX-License-Identifier: Apache-2.0
"""Fetches kernels and keeps them extracted in the cache."""

import contextlib
import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from . import store
from .apt import Apt, run
from .errors import EXIT_UNAVAILABLE, EXIT_USAGE, LabError
from .roles import ROLES, Candidate, Role, abi, choose, compare_versions


@dataclass(frozen=True)
class Kernel:
    role: str
    version: str  # of the package
    release: str  # what uname -r says
    root: Path

    @property
    def image(self) -> Path:
        return self.root / "vmlinuz"

    @property
    def modules(self) -> Path:
        return self.root / "lib/modules" / self.release

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def name(self) -> str:
        return f"{self.role}-{self.version}"


def role_named(name: str) -> Role:
    if name not in ROLES:
        raise LabError(f"no kernel role {name!r}", f"the roles are {', '.join(ROLES)}", "name one of them", EXIT_USAGE)
    return ROLES[name]


def cached(role: Role) -> Kernel | None:
    """The newest cached kernel of ROLE."""
    found = []
    for entry in store.cache_dir("kernels").glob(f"{role.name}-*"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            meta = json.loads((entry / "meta.json").read_text())
            found.append(Kernel(role.name, meta["version"], meta["release"], entry))
    best = None
    for kernel in found:
        if best is None or compare_versions(best.version, kernel.version) < 0:
            best = kernel
    return best


def get(role_name: str) -> Kernel:
    """The kernel of that role, fetched now if this is the first use."""
    return fetch(role_name, update=False)


def fetch(role_name: str, update: bool) -> Kernel:
    role = role_named(role_name)
    kernel = cached(role)
    if kernel and not update:
        return kernel
    with store.locked(f"fetch-{role.name}"):
        kernel = cached(role)
        if kernel and not update:
            return kernel
        with Apt(role.suites, role.security) as apt:
            _update(apt, role)
            candidates = parse_packages(apt.available())
            best = choose(role, candidates)
            if best is None:
                raise LabError(
                    f"no kernel for the role {role.name!r}",
                    f"the mirror has no package matching {role.pattern} in {', '.join(role.suites + role.security)}",
                    "skip this role here, or use a mirror that carries these suites",
                    EXIT_UNAVAILABLE,
                )
            final = store.cache_dir("kernels") / f"{role.name}-{best.version}"
            if kernel and kernel.root == final:
                return kernel
            print(f"lab: downloading {best.package} {best.version}", file=sys.stderr)
            names = [best.package, *[c.package for c in candidates if _part(best, c)]]
            _install(role, best, apt.download([f"{name}={best.version}" for name in names]), final)
    return cached(role)


def _install(role: Role, chosen: Candidate, debs, final: Path) -> None:
    with store.new_entry(final) as temp:
        tree = temp / "tree"
        for deb in debs:
            run(["dpkg-deb", "-x", str(deb), str(tree)], f"cannot extract {deb.name}")
        images = sorted([*tree.glob("boot/vmlinuz-*"), *tree.glob("usr/lib/modules/*/vmlinuz"),
                         *tree.glob("lib/modules/*/vmlinuz")])
        folders = [p for pat in ("lib/modules/*", "usr/lib/modules/*") for p in sorted(tree.glob(pat)) if (p / "kernel").is_dir()]
        if not images or not folders:
            raise LabError(f"{chosen.package} has no kernel inside",
                           f"found images {[str(i.relative_to(tree)) for i in images]} and module folders {[f.name for f in folders]}",
                           "the package's layout has changed: teach lablib/kernels.py the new one")
        release = folders[0].name
        (temp / "lib/modules").mkdir(parents=True)
        shutil.move(folders[0], temp / "lib/modules" / release)
        left = temp / "lib/modules" / release / "vmlinuz"
        shutil.copyfile(left if left.exists() else images[0], temp / "vmlinuz")
        left.unlink(missing_ok=True)
        configs = sorted([*tree.glob("boot/config-*"), *tree.glob("usr/lib/modules/*/config")])
        config = temp / "lib/modules" / release / "config"
        if config.exists():
            shutil.copyfile(config, temp / "config")
        elif configs:
            shutil.copyfile(configs[0], temp / "config")
        shutil.rmtree(tree)
        run(["depmod", "-b", str(temp), release], "cannot index the kernel's modules")
        meta = {"role": role.name, "package": chosen.package, "version": chosen.version, "release": release}
        (temp / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")


def _update(apt: Apt, role: Role) -> None:
    print(f"lab: looking for the newest kernel of the role {role.name}", file=sys.stderr)
    try:
        apt.update()
    except LabError as error:
        if re.search(r"does not have a Release file|404 +Not Found", error.why):
            raise LabError(f"no kernel for the role {role.name!r}",
                           f"the mirror lacks one of the suites {', '.join(role.suites + role.security)}",
                           "skip this role here, or use a mirror that carries these suites", EXIT_UNAVAILABLE) from None
        raise


def _part(chosen: Candidate, other: Candidate) -> bool:
    """sid splits a kernel in three: linux-binary (vmlinuz), linux-modules, linux-base (its config)."""
    tail = f"{abi(chosen.package)}-cloud-amd64"
    return (chosen.package.startswith("linux-binary-") and other.version == chosen.version
            and other.package in (f"linux-modules-{tail}", f"linux-base-{tail}"))


def parse_packages(listing: str) -> list:
    """Names and versions in the text of a Packages file."""
    found, package = [], None
    for line in listing.splitlines():
        if line.startswith("Package: "):
            package = line[9:].strip()
        elif line.startswith("Version: ") and package:
            if package.startswith(("linux-image-", "linux-binary-", "linux-modules-", "linux-base-")):
                found.append(Candidate(package, line[9:].strip()))
            package = None
    return found
