# SPDX-License-Identifier: Apache-2.0
"""Which kernel each role stands for, and which of several candidates is the newest."""

import functools
import re
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    name: str
    pattern: str  # of the package's name, without -unsigned
    suites: tuple  # of the main archive
    security: tuple  # of the security archive
    cpu: str  # that QEMU emulates


# la57 only makes page tables deeper. Without cx16 the kernel's allocator does without cmpxchg16b, after which QEMU 7.2
# sometimes leaves wrong flags: with it one guest in three of 6.12.95 died, without none of sixteen. From 6.18 on the
# kernel refuses kmalloc_nolock() without it, and with that arenas and more.
_OLD, _NEW = "max,la57=off,cx16=off", "max,la57=off"

ROLES = {
    role.name: role
    for role in (
        Role("floor", r"linux-image-6\.1\.0-\d+-cloud-amd64", ("bookworm",), ("bookworm-security",), _OLD),
        Role("lts", r"linux-image-6\.12\.\d+\+deb12(\.\d+)?-cloud-amd64", ("bookworm-backports",), ("bookworm-security",), _OLD),
        Role("edge", r"linux-(binary|image)-7\.\d+(\.\d+)?\+deb\d+(\.\d+)?-cloud-amd64", ("sid",), (), _NEW),
    )
}


@dataclass(frozen=True)
class Candidate:
    package: str
    version: str


def _older(a: str, b: str) -> bool:
    return subprocess.run(["dpkg", "--compare-versions", a, "lt", b]).returncode == 0


def compare_versions(a: str, b: str) -> int:
    """dpkg's own order: 6.1.0-9 before 6.1.0-10, and ~ before everything."""
    if a == b:
        return 0
    return -1 if _older(a, b) else 1


def base_name(package: str) -> str:
    """Without -unsigned, which stands last in bookworm's names and after linux-binary in sid's."""
    return re.sub(r"-unsigned(?=-|$)", "", package)


def choose(role: Role, candidates) -> Candidate | None:
    """The newest candidate that fits ROLE; of equals the plain (signed) one.

    The package's version decides first, then its name: of two ABIs at one source version the later name is later.
    A name of linux-binary goes before linux-image: where both exist, the second may be a meta-package.
    """
    fits = [c for c in candidates if re.fullmatch(role.pattern, base_name(c.package))]

    def order(a: Candidate, b: Candidate) -> int:
        return (
            compare_versions(a.version, b.version)
            or compare_versions(abi(a.package), abi(b.package))
            or _rank(a.package) - _rank(b.package)
        )

    return max(fits, key=functools.cmp_to_key(order), default=None)


def abi(package: str) -> str:
    """6.12.117+deb12 of linux-image-6.12.117+deb12-cloud-amd64-unsigned."""
    return re.sub(r"^linux-(binary|image)-", "", base_name(package)).removesuffix("-cloud-amd64")


def _rank(package: str) -> int:
    return (0 if base_name(package) != package else 2) + (1 if package.startswith("linux-binary-") else 0)
